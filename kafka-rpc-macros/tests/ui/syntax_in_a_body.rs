//! Of a body that is being written, only the compiler speaks.
use kafka_rpc::{Client, RpcError, kafka_handler};

struct Accounts;

#[kafka_handler(topic = "accounts-commands", group = "accounts")]
impl Accounts {
    #[command("OPEN")]
    async fn open(&self, owner: String) -> Result<u64, RpcError> {
        let number = ;
        Ok(owner.len() as u64)
    }

    #[command("CLOSE")]
    async fn close(&self, number: u64) -> Result<(), RpcError> {
        drop(number);
        Ok(())
    }
}

async fn calls(client: &Client) -> Result<u64, kafka_rpc::CallError> {
    client.close(1).await?;
    client.open("ada".to_owned()).await
}

fn main() {}
