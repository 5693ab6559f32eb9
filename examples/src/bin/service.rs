//! Serves all five services until SIGINT or SIGTERM.
//!
//! `KAFKA_BROKERS=localhost:9092 cargo run -p examples --bin service`
//!
//! Run any number of these processes: Kafka shares the partitions out among them. Each keeps its state in
//! memory, where the others do not see it, so a real service would use a database.

use std::error::Error;

use examples::{
    services::{self, alerts::AlertFeed},
    terminal,
};
use kafka_rpc::{Config, Runtime};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    terminal::log("info,librdkafka=warn");
    // Creating topics at startup lets this example run on a bare Kafka. In production, operators create the
    // topics.
    let config = Config::from_env()?.create_topics(true);
    services::provide(Runtime::builder(), AlertFeed::default()).config(config).build()?.run().await?;
    Ok(())
}
