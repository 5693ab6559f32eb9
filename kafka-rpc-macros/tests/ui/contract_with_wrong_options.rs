use kafka_rpc::{Client, RpcError, UserId, kafka_handler};

#[kafka_handler(topics = "t", group = "g")]
trait Contract {
    #[command("A")]
    async fn a(&self, request: String) -> Result<(), RpcError>;
}

struct Service;

#[kafka_handler]
impl Contract for Service {
    async fn a(&self, request: String, _user: UserId) -> Result<(), RpcError> {
        drop(request);
        Ok(())
    }
}

async fn calls(client: Client) {
    drop(client.a(String::new()).await);
}

fn main() {}
