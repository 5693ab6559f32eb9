//! A service as a process of its own, which can be killed:
//! `orders-service BROKERS PREFIX JOURNAL [PROPERTY=VALUE]..`.
//!
//! The service appends a line `NUMBER PARTITION OFFSET` to the journal for each order that it places. Orders
//! of the account [`FAILING`] fail, and are retried while the process lives. Handlers of [`HELD`] orders
//! write their line and never end; those of [`RELEASED`] orders end once the journal is released, and then
//! write a second line.

use std::{
    env,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use kafka_rpc::{Config, RecordInfo, RpcError, Runtime, State, kafka_handler};
use tests::{
    orders::{FAILING, GROUP, HELD, Order, RELEASED, TOPIC},
    service::release_of,
};

/// How often handlers check whether their orders are released.
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[derive(Clone)]
struct Journal {
    file: Arc<File>,
    release: PathBuf,
}

impl Journal {
    fn note(&self, number: u64, record: &RecordInfo) -> Result<(), RpcError> {
        // One write per line to a file open for appending: the lines of two processes never mix.
        let line = format!("{number} {} {}\n", record.partition, record.offset);
        (&*self.file)
            .write_all(line.as_bytes())
            .map_err(|error| RpcError::internal(format!("the journal cannot be written: {error}")))
    }
}

#[kafka_handler(topic = TOPIC, group = GROUP, client = none, retry(max = 1_000_000, base = "1s", factor = 1))]
#[command("PLACE")]
async fn place(order: Order, State(journal): State<Journal>, record: RecordInfo) -> Result<u64, RpcError> {
    if order.account == FAILING {
        return Err(RpcError::unavailable("this account always fails"));
    }
    journal.note(order.number, &record)?;
    if order.account == HELD {
        std::future::pending::<()>().await;
    }
    if order.account == RELEASED {
        while !journal.release.exists() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        journal.note(order.number, &record)?;
    }
    Ok(order.number)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [brokers, prefix, journal, properties @ ..] = arguments.as_slice() else {
        return Err("usage: orders-service BROKERS PREFIX JOURNAL [PROPERTY=VALUE]..".into());
    };
    let file = Arc::new(File::options().create(true).append(true).open(journal)?);
    let journal = Journal { file, release: release_of(Path::new(journal)) };
    let properties = properties.iter().filter_map(|property| property.split_once('='));
    let config = properties
        .fold(Config::new(brokers).create_topics(true), |config, (name, value)| config.property(name, value));
    let (topics, groups) = (prefix.clone(), prefix.clone());
    Runtime::builder()
        .config(config)
        .provide(journal)
        .without_registry()
        .handlers(place_handlers())
        .map_topics(move |topic| format!("{topics}{topic}"))
        .map_groups(move |group| format!("{groups}{group}"))
        .build()?
        .run()
        .await?;
    Ok(())
}
