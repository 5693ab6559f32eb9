//! Tests handlers that a `macro_rules!` macro writes, from its own tokens and its caller's.

use kafka_rpc::{RpcError, Runtime, RuntimeBuilder, kafka_handler};

const GROUP: &str = "bank";

macro_rules! served {
    ($topic:literal, $($item:tt)*) => {
        #[kafka_handler(topic = $topic, group = GROUP, replies = "bank-responses")]
        $($item)*
    };
}

served! { "bank-commands",
    trait Bank {
        #[command("PAY")]
        async fn pay(&self, cents: u64) -> Result<u64, RpcError>;
        #[command("CLOSE")]
        async fn close(&self) -> Result<(), RpcError>;
    }
}

served! { "safe-commands",
    impl Safe {
        #[command("OPEN")]
        async fn open(&self, code: u64) -> Result<u64, RpcError> {
            Ok(code + self.0)
        }
    }
}

served! { "vault-commands",
    mod vault {
        use super::RpcError;

        #[command("LOCK")]
        pub(super) async fn lock(code: u64) -> Result<u64, RpcError> {
            Ok(code + 2)
        }
    }
}

struct Safe(u64);

struct Branch;

macro_rules! implements {
    ($contract:path, $service:ty, $pay:ident, $cents:ident: $payload:ty, $pays:block) => {
        #[kafka_handler]
        impl $contract for $service {
            async fn $pay(&self, $cents: $payload) -> Result<u64, RpcError> $pays
            async fn close(&self) -> Result<(), RpcError> {
                Ok(())
            }
        }
    };
}

implements! { Bank, Branch, pay, cents: u64, { Ok(cents * 2) } }

macro_rules! pings {
    ($service:ty, $payload:ty) => {
        #[kafka_handler(topic = "pings", group = GROUP, client = PingClient)]
        impl $service {
            #[command("PING")]
            async fn ping(&self, _: $payload) -> Result<u64, RpcError> {
                Ok(self.0)
            }
        }
    };
}

struct Pinged(u64);

pings! { Pinged, () }

mod platform {
    pub(crate) use kafka_rpc as rpc;
}

macro_rules! through_a_platform {
    ($name:ident, $payload:ty, $answer:expr) => {
        #[$crate::platform::rpc::kafka_handler(topic = "answers", group = "all", crate = $crate::platform::rpc)]
        async fn $name(_: $payload) -> Result<u64, $crate::platform::rpc::RpcError> {
            Ok($answer)
        }
    };
}

through_a_platform!(answer, String, 42);

fn runtime() -> RuntimeBuilder {
    Runtime::builder().provide(Safe(1)).provide(Branch).provide(Pinged(7))
}

#[tokio::test]
async fn what_a_macro_writes_of_its_callers_tokens_is_served() {
    use vault::VaultClient as _;

    let loopback = runtime().build().expect("all is provided").loopback();
    let client = loopback.client();
    assert_eq!(client.pay(21).await, Ok(42));
    assert_eq!(client.close().await, Ok(()));
    assert_eq!(client.open(1).await, Ok(2));
    assert_eq!(client.lock(1).await, Ok(3));
    assert_eq!(client.answer("what?".to_owned()).await, Ok(42));
}

#[tokio::test]
async fn no_payload_is_none_where_a_macro_is_given_its_type() {
    let loopback = runtime().build().expect("all is provided").loopback();
    assert_eq!(loopback.client().ping().await, Ok(7));
}
