//! Tests the options about failures, in every form that has them.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use kafka_rpc::{CallError, Client, Loopback, Retry, RetryPolicy, RpcError, Runtime, UserId, kafka_handler};

/// A policy with the same name as others but another limit, so that the number of runs shows which one is
/// used.
static POLICY: OnceMore = OnceMore(1);

/// Retries this many times, whatever the error.
struct OnceMore(u32);

impl RetryPolicy for OnceMore {
    fn delay(&self, _error: &RpcError, retry: u32) -> Option<Duration> {
        (retry <= self.0).then_some(Duration::from_millis(1))
    }
}

/// The number of runs of each handler.
static RUNS: [AtomicU32; 12] = [const { AtomicU32::new(0) }; 12];

/// Counts a run, and fails.
fn fail(test: usize) -> Result<(), RpcError> {
    RUNS[test].fetch_add(1, Ordering::Relaxed);
    Err(RpcError::internal("again"))
}

fn runs(test: usize) -> u32 {
    RUNS[test].load(Ordering::Relaxed)
}

#[kafka_handler(topic = "module-failures", group = "failures", retry = POLICY, timeout = "10m")]
mod functions {
    use super::{OnceMore, RpcError, fail};

    /// Not the policy in the module's attribute, which resolves outside of the module.
    static POLICY: OnceMore = OnceMore(5);

    #[command("TWICE", retry(max = 2, base = "1ms"))]
    pub(super) async fn twice() -> Result<(), RpcError> {
        fail(0)
    }

    #[command("NEVER", retry = none)]
    pub(super) async fn never() -> Result<(), RpcError> {
        fail(1)
    }

    #[command("BY_DEFAULT_OF_THE_MODULE")]
    pub(super) async fn by_default() -> Result<(), RpcError> {
        fail(2)
    }

    #[command("OWN", retry = POLICY)]
    pub(super) async fn own() -> Result<(), RpcError> {
        fail(3)
    }

    #[command("SLEEPS", timeout = "50ms", retry = none)]
    pub(super) async fn sleeps() -> Result<(), RpcError> {
        let _ = fail(4);
        std::future::pending().await
    }

    #[command("SLEEPS_AGAIN", timeout = "20ms", retry(max = 1, base = "1ms", factor = 1.5, jitter = true))]
    pub(super) async fn sleeps_again() -> Result<(), RpcError> {
        let _ = fail(5);
        std::future::pending().await
    }
}
use functions::FunctionsClient as _;

struct Service;

impl Service {
    const POLICY: Retry = Retry::new().max(1).base(Duration::from_millis(1));
}

#[kafka_handler(topic = "service-failures", group = "failures", retry(max = 3, base = "1ms", factor = 1))]
impl Service {
    #[command("BY_DEFAULT_OF_THE_SERVICE")]
    async fn by_default_of_the_service(&self) -> Result<(), RpcError> {
        fail(6)
    }

    #[command("BY_SELF", retry = Self::POLICY, dedupe = "1h")]
    async fn by_self(&self) -> Result<(), RpcError> {
        fail(7)
    }
}

#[kafka_handler(
    topic = "contract-failures",
    group = "failures",
    retry_topic = "contract-failures-retries",
    retry = none,
    dedupe = "2s",
)]
trait Contract {
    #[command("BY_DEFAULT_OF_THE_CONTRACT")]
    async fn by_default_of_the_contract(&self) -> Result<(), RpcError>;

    #[command("BY_UNIT_STRUCT", retry = Twice)]
    async fn by_unit_struct(&self) -> Result<(), RpcError>;
}

struct Twice;

impl RetryPolicy for Twice {
    fn delay(&self, error: &RpcError, retry: u32) -> Option<Duration> {
        OnceMore(2).delay(error, retry)
    }
}

#[kafka_handler]
impl Contract for Service {
    async fn by_default_of_the_contract(&self) -> Result<(), RpcError> {
        fail(8)
    }

    async fn by_unit_struct(&self) -> Result<(), RpcError> {
        fail(9)
    }
}

#[kafka_handler(topic = "every-failure", group = "failures", retry(max = 2, base = "1ms"), timeout = "1s")]
async fn every_record() -> Result<(), RpcError> {
    fail(10)
}

macro_rules! one_command {
    ($policy:path, $max:literal, $timeout:literal) => {
        #[kafka_handler(topic = "macro-failures", group = "failures", retry = $policy)]
        #[command("IN_MACRO", retry(max = $max, base = "1ms"), timeout = $timeout)]
        async fn in_macro() -> Result<(), RpcError> {
            fail(11)
        }
    };
}

one_command!(POLICY, 4, "1s");

#[kafka_handler(
    dead_letters_of = "module-failures",
    // Sorts before the group of the records: a call to one of their commands must not reach this handler.
    group = "a-undertaker",
    ordering = "none",
    concurrency = 2,
    retry(max = 1),
    timeout = "5s"
)]
async fn on_dead_letter(letter: kafka_rpc::DeadLetter, user: Option<UserId>) -> Result<(), RpcError> {
    let _ = (letter.error(), user);
    Ok(())
}

/// The user's own type with the name of one of ours.
#[derive(serde::Serialize, serde::Deserialize)]
struct DeadLetter(String);

#[kafka_handler(topic = "own-letters", group = "failures")]
async fn own_letter(letter: DeadLetter) -> Result<String, RpcError> {
    Ok(letter.0)
}

#[expect(clippy::expect_used)]
fn loopback() -> Loopback {
    Runtime::builder().provide(Service).build().expect("everything is provided").loopback()
}

fn status(answer: &Result<(), CallError>) -> u16 {
    match answer {
        Err(CallError::Remote(error)) => error.status().as_u16(),
        _ => 0,
    }
}

/// Makes a call and returns the status of its reply.
macro_rules! status_of {
    ($command:ident) => {{
        let loopback = loopback();
        let client: Client = loopback.client();
        status(&client.$command().await)
    }};
}

#[tokio::test]
async fn a_handler_is_retried_as_often_as_its_command_says() {
    assert_eq!((status_of!(twice), runs(0)), (500, 3));
    assert_eq!((status_of!(in_macro), runs(11)), (500, 5));
    assert_eq!((status_of!(every_record), runs(10)), (500, 3));
}

#[tokio::test]
async fn retries_can_be_turned_off() {
    assert_eq!((status_of!(never), runs(1)), (500, 1));
}

#[tokio::test]
async fn a_policy_is_named_by_its_path() {
    assert_eq!((status_of!(own), runs(3)), (500, 6));
    assert_eq!((status_of!(by_self), runs(7)), (500, 2));
    assert_eq!((status_of!(by_unit_struct), runs(9)), (500, 3));
}

#[tokio::test]
async fn what_a_command_does_not_state_is_as_its_item_says() {
    assert_eq!((status_of!(by_default), runs(2)), (500, 2));
    assert_eq!((status_of!(by_default_of_the_service), runs(6)), (500, 4));
    assert_eq!((status_of!(by_default_of_the_contract), runs(8)), (500, 1));
}

#[tokio::test]
async fn a_handler_that_takes_longer_than_its_timeout_is_stopped() {
    assert_eq!((status_of!(sleeps), runs(4)), (504, 1));
    assert_eq!((status_of!(sleeps_again), runs(5)), (504, 2));
}

#[tokio::test]
async fn a_type_of_the_users_own_may_be_named_as_ours() {
    let loopback = loopback();
    assert_eq!(loopback.client().own_letter(DeadLetter("own".to_owned())).await, Ok("own".to_owned()));
}
