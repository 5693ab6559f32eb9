//! Promise 1, when the log panics while a record is being finished: the record is read again. Alone in its
//! process, which has one log.

use std::{
    fmt::{self, Write as _},
    sync::{Arc, Mutex, PoisonError},
};

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tests::{
    Cluster, Record,
    mocked::{broker_with, runs_here, serving_on},
    orders::{DEAD_LETTERS, GROUP, OrderService, TOPIC, order, place},
    until,
};
use tracing::{Event, Subscriber, field::Field};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

/// The beginning of the line that the record's task logs. The consumer thread, which a panic would end, logs
/// a line with this text in its middle.
const UNDELIVERED: &str = "a reply, retry or dead letter cannot be delivered";

/// Keeps what is logged, and panics at a letter that cannot be delivered, as a log does that writes to a pipe
/// without a reader.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn count(&self, begins: &str) -> usize {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter(|line| line.starts_with(begins)).count()
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut line = String::new();
        event.record(&mut |field: &Field, value: &dyn fmt::Debug| {
            if field.name() == "message" {
                let _infallible = write!(line, "{value:?}");
            }
        });
        let panics = line.starts_with(UNDELIVERED);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        assert!(!panics, "the log panics");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_in_whose_failure_the_log_panics_twice_is_read_again_with_what_is_behind_it() {
    if !runs_here() {
        return;
    }
    let log = Log::default();
    tracing_subscriber::registry().with(log.clone()).init();
    let broker = broker_with(&[(TOPIC, 1), (DEAD_LETTERS, 1)]);
    let (cluster, service) = (Cluster::mocked(&broker), OrderService::default());
    let peer = cluster.peer();
    for record in [Record::new("poison").key("a"), Record::new(place("b", 1)).key("b")] {
        peer.send(TOPIC, &record).await;
    }
    // The letter of the poison is refused, and so is the letter that reports the panic.
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN; 2];
    broker.request_errors(RDKafkaApiKey::Produce, &refused);
    let running = serving_on(&broker, &service).await;
    let letter = peer.read(DEAD_LETTERS, 1).await.remove(0);
    assert_eq!((letter.value.as_deref(), letter.text("status-code")), (Some(&b"poison"[..]), Some("400")));
    until("both are final", || cluster.committed_sum(GROUP, TOPIC, 1) == 2).await;
    assert!(service.ended().contains(&order("b", 1)));
    assert_eq!(log.count(UNDELIVERED), 2);
    assert_eq!(log.count("sought back"), 1);
    running.shutdown().await.expect("a clean shutdown");
}
