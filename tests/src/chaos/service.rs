//! An instance of the service: it does what each command says, and writes down what it does.

use std::{
    collections::HashSet,
    error::Error,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::StatusCode;
use kafka_rpc::{Config, RecordInfo, RpcError, Runtime, kafka_handler};

use super::{
    args::ServiceArguments,
    contract::{Chaos, FAILED, REFUSED, Task, Work, Worked},
    ledger::{HandlerEnd, Moment, Place, ServiceEntry, Writer},
    observe,
};
use crate::process::end_with_parent;

#[derive(Debug)]
struct ChaosService {
    ledger: Arc<Writer>,
    /// The flaky commands that have failed once in this process.
    failed: Mutex<HashSet<Place>>,
}

#[kafka_handler(register = false)]
impl Chaos for ChaosService {
    async fn work(&self, work: Work, record: RecordInfo) -> Result<Worked, RpcError> {
        let place = Place { partition: record.partition, offset: record.offset };
        let Work { id, number, task, .. } = work;
        let key = work.key.clone();
        self.note(&ServiceEntry::Started { at: Moment::now(), place, id, key, number })?;
        if !task.takes().is_zero() {
            tokio::time::sleep(task.takes()).await;
        }
        let (how, answer) = match task {
            Task::Quick | Task::Slow { .. } => (HandlerEnd::Done, Ok(Worked { sum: work.answer() })),
            Task::Flaky if self.has_failed(place) => (HandlerEnd::Done, Ok(Worked { sum: work.answer() })),
            Task::Flaky | Task::Fail => (HandlerEnd::Failed, Err(error(FAILED, "Failed", &work))),
            Task::Refuse => (HandlerEnd::Refused, Err(error(REFUSED, "Refused", &work))),
            Task::Panic => (HandlerEnd::Panicked, Err(error(FAILED, "Failed", &work))),
        };
        self.note(&ServiceEntry::Ended { at: Moment::now(), place, id, how })?;
        assert_ne!(how, HandlerEnd::Panicked, "on purpose");
        answer
    }
}

impl ChaosService {
    fn note(&self, entry: &ServiceEntry) -> Result<(), RpcError> {
        let noted = self.ledger.append(entry);
        noted.map_err(|error| RpcError::internal(format!("the ledger cannot be written: {error}")))
    }

    /// Returns whether a record has failed in this process before, and notes that it has now.
    fn has_failed(&self, place: Place) -> bool {
        !self.failed.lock().unwrap_or_else(PoisonError::into_inner).insert(place)
    }
}

fn error(status: u16, name: &str, work: &Work) -> RpcError {
    let status = StatusCode::from_u16(status).unwrap_or_default();
    RpcError::new(status, name, "on purpose").with_code(work.code())
}

/// Serves until SIGTERM.
pub(super) fn run(arguments: &ServiceArguments) -> Result<(), Box<dyn Error>> {
    end_with_parent();
    let ledger = Arc::new(Writer::append_to(&arguments.ledger)?);
    observe::install(Some(Arc::clone(&ledger)));
    let config = Config::new(&arguments.brokers)
        .client_id("chaos-service")
        // The first broker that is contacted may be frozen at that moment.
        .connection_timeout(Duration::from_secs(30));
    let config = arguments
        .protocol
        .properties()
        .iter()
        .fold(config, |config, (name, value)| config.property(*name, *value));
    let service = ChaosService { ledger: Arc::clone(&ledger), failed: Mutex::default() };
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    tokio.block_on(async {
        let runtime = Runtime::builder()
            .config(config)
            .provide(service)
            .without_registry()
            .handlers(<ChaosService as Chaos>::handlers())
            .build()?;
        runtime.run().await
    })?;
    let stopped: io::Result<()> = ledger.append(&ServiceEntry::Stopped { at: Moment::now() });
    stopped.map_err(Into::into)
}
