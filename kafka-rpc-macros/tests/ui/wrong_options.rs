//! Of a wrong option it is said what it is, and nothing of those who use the item.
use kafka_rpc::{Client, DeadLetter, RpcError, Runtime, kafka_handler};

#[kafka_handler(topic = "orders", group = "g", timout = "5s")]
trait Orders {
    #[command("PLACE", retries = 3)]
    async fn place(&self, order: String) -> Result<String, RpcError>;
}

struct Service;

#[kafka_handler(registers = false)]
impl Orders for Service {
    async fn place(&self, order: String) -> Result<String, RpcError> {
        Ok(order)
    }
}

struct Desk;

#[kafka_handler(topics = "desk", group = "g")]
impl Desk {
    #[command("ASK", key = "account")]
    async fn ask(&self, question: String) -> Result<String, RpcError> {
        Ok(question)
    }
}

#[kafka_handler(topic = "mail", gruop = "g", concurrency = 0)]
mod mail {
    use super::RpcError;

    #[command("SEND")]
    async fn send(text: String) -> Result<String, RpcError> {
        Ok(text)
    }
}

#[kafka_handler(topic = "audit log", group = "g")]
async fn audit(line: String) -> Result<(), RpcError> {
    drop(line);
    Ok(())
}

#[kafka_handler(dead_letter_of = "orders", group = "g")]
async fn letter(letter: DeadLetter) -> Result<(), RpcError> {
    drop(letter);
    Ok(())
}

async fn calls(client: Client) {
    use mail::MailClient as _;
    drop(client.place(String::new()).await);
    drop(client.ask(String::new()).await);
    drop(client.send(String::new()).await);
    drop(client.audit(String::new()).await);
    let _runtime = Runtime::builder()
        .provide(Desk)
        .handlers(<Service as Orders>::handlers())
        .handlers(Desk::handlers())
        .handlers(mail::handlers())
        .build();
}

fn main() {}
