use kafka_rpc::{RpcError, kafka_handler};

trait Store: Send + Sync + 'static {
    const GROUP: &str;
}

struct Topics<T>(T);

impl<T> Topics<T> {
    const DEAD_LETTERS: &str = "a-letters";
}

struct Service<T>(T);

#[kafka_handler(
    topic = Self::TOPIC,
    group = T::GROUP,
    replies = <Service<T>>::REPLIES,
    dead_letter = Topics::<T>::DEAD_LETTERS,
    register = false
)]
impl<T: Store> Service<T> {
    const TOPIC: &str = "a-commands";
    const REPLIES: &str = "a-replies";

    #[command("A")]
    async fn a(&self) -> Result<(), RpcError> {
        Ok(())
    }
}

fn main() {}
