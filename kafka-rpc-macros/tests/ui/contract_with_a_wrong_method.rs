//! Of a mistake in a method of a contract, those who implement and call it are not told.
use kafka_rpc::{Client, RpcError, UserId, kafka_handler};

#[kafka_handler(topic = "orders-commands", group = "orders")]
pub trait Orders {
    #[command("PLACE")]
    async fn place(&self, order: u64, user: UserId) -> Result<u64, RpcError>;

    #[command(name = "CANCEL")]
    async fn cancel(&self, order: u64) -> Result<(), RpcError>;
}

pub struct Service;

#[kafka_handler]
impl Orders for Service {
    async fn place(&self, order: u64, user: UserId) -> Result<u64, RpcError> {
        Ok(order + user.0.len() as u64)
    }

    async fn cancel(&self, order: u64) -> Result<(), RpcError> {
        drop(order);
        Ok(())
    }
}

pub async fn calls(client: &Client) -> Result<u64, kafka_rpc::CallError> {
    client.cancel(1).await?;
    client.place(2).await
}

fn main() {}
