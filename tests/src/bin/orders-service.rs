//! A service as a process of its own, which can be killed: `orders-service BROKERS PREFIX JOURNAL [PROPERTY=VALUE]..`.
//!
//! It appends a line `NUMBER PARTITION OFFSET` to the journal for each order that it has placed. Orders of the account
//! [`FAILING`] fail, and are tried again for as long as the process lives; those of [`HELD`] are placed, and do not end.

use std::{env, fs::File, io::Write as _, sync::Arc};

use kafka_rpc::{Config, RecordInfo, RpcError, Runtime, State, kafka_handler};
use tests::orders::{FAILING, GROUP, HELD, Order, TOPIC};

#[derive(Clone)]
struct Journal(Arc<File>);

#[kafka_handler(topic = TOPIC, group = GROUP, client = none, retry(max = 1_000_000, base = "1s", factor = 1))]
#[command("PLACE")]
async fn place(
    order: Order,
    State(Journal(journal)): State<Journal>,
    record: RecordInfo,
) -> Result<u64, RpcError> {
    if order.account == FAILING {
        return Err(RpcError::unavailable("this account always fails"));
    }
    // One write a line, to a file that is open for appending: lines of two processes never mix.
    (&*journal)
        .write_all(format!("{} {} {}\n", order.number, record.partition, record.offset).as_bytes())
        .map_err(|error| RpcError::internal(format!("the journal cannot be written: {error}")))?;
    if order.account == HELD {
        std::future::pending::<()>().await;
    }
    Ok(order.number)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [brokers, prefix, journal, properties @ ..] = arguments.as_slice() else {
        return Err("usage: orders-service BROKERS PREFIX JOURNAL [PROPERTY=VALUE]..".into());
    };
    let journal = File::options().create(true).append(true).open(journal)?;
    let properties = properties.iter().filter_map(|property| property.split_once('='));
    let config = properties
        .fold(Config::new(brokers).create_topics(true), |config, (name, value)| config.property(name, value));
    let (topics, groups) = (prefix.clone(), prefix.clone());
    Runtime::builder()
        .config(config)
        .provide(Journal(Arc::new(journal)))
        .without_registry()
        .handlers(place_handlers())
        .map_topics(move |topic| format!("{topics}{topic}"))
        .map_groups(move |group| format!("{groups}{group}"))
        .build()?
        .run()
        .await?;
    Ok(())
}
