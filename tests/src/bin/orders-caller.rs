//! A caller as a process of its own, which can be stopped and killed: `orders-caller BROKERS PREFIX`.
//!
//! Makes one call and prints the answer.

use std::env;

use kafka_rpc::{Config, Runtime};
use tests::{BOUND, orders::OrdersClient};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [brokers, prefix] = arguments.as_slice() else {
        return Err("usage: orders-caller BROKERS PREFIX".into());
    };
    let topics = prefix.clone();
    let running = Runtime::builder()
        .config(Config::new(brokers))
        .client_only()
        .map_topics(move |topic| format!("{topics}{topic}"))
        .build()?
        .start()
        .await?;
    println!("{}", running.client().echo("hello".to_owned()).timeout(BOUND).await?);
    running.shutdown().await?;
    Ok(())
}
