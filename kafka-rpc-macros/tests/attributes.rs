//! Tests the user's attributes, on an item and inside it.

#![deny(warnings)]

use kafka_rpc::{RpcError, Runtime, kafka_handler};

#[kafka_handler(topic = "attributes-commands", group = "contract")]
trait Contract {
    //! Words.

    #[command("FIRST")]
    async fn first(&self) -> Result<u8, RpcError>;

    #[command("SECOND")]
    async fn second(&self) -> Result<u8, RpcError> {
        #![expect(unused_variables)]
        let unused = ();
        Ok(2)
    }
}

struct Service;

/// Words.
#[kafka_handler]
#[expect(unused_variables, reason = "it is what is tested")]
impl Contract for Service {
    //! More words.
    #![allow(clippy::let_unit_value)]

    async fn first(&self) -> Result<u8, RpcError> {
        let unused = ();
        Ok(1)
    }
}

#[kafka_handler(topic = "attributes-queries", group = "module")]
mod module {
    //! Words.
    #![cfg(test)]

    #[command("THIRD")]
    async fn third() -> Result<u8, super::RpcError> {
        //! Words.
        #![cfg(test)]
        Ok(3)
    }
}

#[kafka_handler(topic = "attributes-events", group = "function")]
async fn fourth() -> Result<u8, RpcError> {
    //! Words.
    #![cfg(test)]
    Ok(4)
}

#[tokio::test]
async fn attributes_stay_where_they_belong() {
    use module::ModuleClient as _;

    let loopback = Runtime::builder().provide(Service).build().expect("all is provided").loopback();
    let client = loopback.client();
    assert_eq!(client.first().await, Ok(1));
    assert_eq!(client.second().await, Ok(2));
    assert_eq!(client.third().await, Ok(3));
    assert_eq!(client.fourth().await, Ok(4));
}
