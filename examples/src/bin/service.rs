//! Serves all five services until SIGINT or SIGTERM.
//!
//! `KAFKA_BROKERS=localhost:9092 cargo run -p examples --bin service`
//!
//! Run as many of it as you like: Kafka shares the partitions out among them. What one of them is told it keeps in its memory, where
//! the others do not find it: a service of yours has a database for that.

use std::error::Error;

use examples::{
    services::{self, alerts::AlertFeed},
    terminal,
};
use kafka_rpc::{Config, Runtime};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    terminal::log("info,librdkafka=warn");
    // In production topics are made by whoever runs the cluster; here a bare Kafka is enough.
    let config = Config::from_env()?.create_topics(true);
    services::provide(Runtime::builder(), AlertFeed::default()).config(config).build()?.run().await?;
    Ok(())
}
