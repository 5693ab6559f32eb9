//! Measures the consuming side alone: a full topic, read in a new group by an empty handler, by an empty
//! loop, and by a loop that reads headers too, in turns.

use std::{
    fmt::Write as _,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use futures_util::{StreamExt as _, stream};
use kafka_rpc::{RpcError, kafka_handler};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde::Serialize;
use tests::Cluster;
use tokio::{sync::Notify, task};
use uuid::Uuid;

use crate::{
    contract::{BenchEvents, EVENTS, GROUP, Order, PLACED, Payload},
    kafka::Kafka,
    measure::{Sample, Used, as_float, in_turn, median},
    raw::{self, events::Reading, properties, wire},
    report::Ratio,
    threads::Threads,
};

/// The number of events in the topic. The embedded broker keeps 5 MB of each partition.
const EVENTS_IN_ALL: u64 = 1_000_000;
const EVENTS_IN_ALL_EMBEDDED: u64 = 15_000;

const PARTITIONS: u16 = 3;

/// The number of events in flight while the topic is filled.
const FILLING: usize = 10_000;

/// The side that reads.
#[derive(Debug, Clone, Copy)]
enum Side {
    Raw(Reading),
    Framework,
}

const SIDES: [Side; 3] = [Side::Raw(Reading::Value), Side::Raw(Reading::ValueAndHeaders), Side::Framework];

/// The results of one side, over all repetitions.
#[derive(Debug, Serialize)]
pub(crate) struct Consumed {
    pub(crate) side: &'static str,
    pub(crate) events: u64,
    pub(crate) events_per_second: f64,
    pub(crate) cpu_micros_per_event: f64,
    /// The processor time of the busiest thread, which limits a side that has processors for all its threads.
    pub(crate) busiest_thread_micros_per_event: f64,
    pub(crate) allocations_per_event: f64,
    pub(crate) over_raw: Option<EventsOver>,
    pub(crate) over_raw_headers: Option<EventsOver>,
}

/// The ratios of one side to another.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct EventsOver {
    pub(crate) events_per_second: Ratio,
    pub(crate) cpu: Ratio,
    /// `None` if the system does not report the processor time of threads.
    pub(crate) busiest_thread: Option<Ratio>,
}

/// One run of one side.
struct Run {
    sample: Sample,
    busiest_thread_micros: f64,
}

impl Run {
    /// Returns the run between two moments.
    fn between(from: &Moment, to: &Moment, count: u64) -> anyhow::Result<Self> {
        let busiest = to.threads.busiest_since(&from.threads);
        Ok(Self {
            sample: Sample::between(&from.used, &to.used, count)?,
            busiest_thread_micros: busiest
                .map_or(f64::NAN, |busiest| busiest.as_secs_f64() * 1e6 / as_float(count)),
        })
    }
}

/// What the process and its threads have used up to a moment.
#[derive(Debug)]
struct Moment {
    used: Used,
    threads: Threads,
}

impl Moment {
    fn now() -> Self {
        Self { used: Used::now(), threads: Threads::now() }
    }
}

/// A service whose handler only counts.
#[derive(Debug, Clone)]
struct Counting(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    count: AtomicU64,
    until: u64,
    first: OnceLock<Moment>,
    last: Notify,
}

#[kafka_handler(register = false)]
impl BenchEvents for Counting {
    async fn placed(&self, order: Order) -> Result<(), RpcError> {
        std::hint::black_box(order);
        let Counted { count, until, first, last } = &*self.0;
        first.get_or_init(Moment::now);
        if count.fetch_add(1, Ordering::Relaxed) + 1 == *until {
            last.notify_one();
        }
        Ok(())
    }
}

/// Fills a topic, and reads it `repetitions` times on each side.
pub(crate) async fn measure(kafka: &Kafka, repetitions: usize) -> anyhow::Result<Vec<Consumed>> {
    let cluster = kafka.cluster(false);
    let count = if cluster.is_embedded() { EVENTS_IN_ALL_EMBEDDED } else { EVENTS_IN_ALL };
    cluster.create_topic(EVENTS, PARTITIONS).await;
    fill(&cluster, count).await?;
    let mut runs = [Vec::new(), Vec::new(), Vec::new()];
    for repetition in 0..repetitions {
        for (side, runs) in in_turn(SIDES.into_iter().zip(&mut runs), repetition) {
            runs.push(match side {
                Side::Raw(reading) => by_raw(&cluster, count, reading)?,
                Side::Framework => by_framework(&cluster, count).await?,
            });
        }
    }
    cluster.delete_topic(EVENTS).await;
    let [raw, raw_headers, framework] = runs;
    Ok(vec![
        consumed("raw", &raw, [None, None]),
        consumed("raw-headers", &raw_headers, [Some(&raw), None]),
        consumed("framework", &framework, [Some(&raw), Some(&raw_headers)]),
    ])
}

fn consumed(side: &'static str, runs: &[Run], over: [Option<&Vec<Run>>; 2]) -> Consumed {
    let [over_raw, over_raw_headers] = over.map(|others| {
        Some(EventsOver {
            events_per_second: Ratio::of(runs, others?, |run| run.sample.per_second())?,
            cpu: Ratio::of(runs, others?, |run| run.sample.cpu_micros_per_call)?,
            busiest_thread: Ratio::of(runs, others?, |run| run.busiest_thread_micros),
        })
    });
    Consumed {
        side,
        events: runs.iter().map(|run| run.sample.completed).sum(),
        events_per_second: median(runs.iter().map(|run| run.sample.per_second())),
        cpu_micros_per_event: median(runs.iter().map(|run| run.sample.cpu_micros_per_call)),
        busiest_thread_micros_per_event: median(runs.iter().map(|run| run.busiest_thread_micros)),
        allocations_per_event: median(runs.iter().map(|run| run.sample.allocations_per_call)),
        over_raw,
        over_raw_headers,
    }
}

async fn fill(cluster: &Cluster, count: u64) -> anyhow::Result<()> {
    let mut properties = properties::producer(cluster);
    let producer: &FutureProducer = &properties.set("linger.ms", "5").create()?;
    let topic = cluster.name(EVENTS);
    let sent = stream::iter(0..count).map(|number| {
        let topic = &topic;
        async move {
            let id = Uuid::new_v4().to_string();
            let order = Payload::Of(256).order(number);
            let event =
                wire::Request { id: &id, command: PLACED, payload: &order, timestamp: wire::now_millis() };
            let value = serde_json::to_vec(&event)?;
            let record = FutureRecord::to(topic).key(&id).payload(&value).headers(wire::event_headers(&id));
            producer.send(record, Duration::from_secs(30)).await.map_err(|(error, _)| error)?;
            anyhow::Ok(())
        }
    });
    let mut sent = sent.buffer_unordered(FILLING);
    while let Some(result) = sent.next().await {
        result.context("filling the topic")?;
    }
    Ok(())
}

fn by_raw(cluster: &Cluster, count: u64, reading: Reading) -> anyhow::Result<Run> {
    let (topic, group) = (cluster.name(EVENTS), cluster.name(&Uuid::new_v4().to_string()));
    let mut first = None;
    task::block_in_place(|| {
        let consumer =
            raw::events::read(cluster, &topic, &group, (count, reading), || first = Some(Moment::now()))?;
        let ended = Moment::now();
        drop(consumer);
        Run::between(&first.context("no event came")?, &ended, count)
    })
}

async fn by_framework(cluster: &Cluster, count: u64) -> anyhow::Result<Run> {
    let counted = Arc::new(Counted {
        count: AtomicU64::new(0),
        until: count,
        first: OnceLock::new(),
        last: Notify::new(),
    });
    let group = cluster.name(&Uuid::new_v4().to_string());
    let running = cluster
        .runtime(cluster.config())
        .map_groups(move |own| format!("{group}-{own}"))
        .provide(Counting(Arc::clone(&counted)))
        .handlers(<Counting as BenchEvents>::handlers())
        .build()?
        .start()
        .await?;
    tokio::time::timeout(tests::BOUND, counted.last.notified()).await.with_context(|| {
        format!("{} of {count} {EVENTS} came to {GROUP}", counted.count.load(Ordering::Relaxed))
    })?;
    let ended = Moment::now();
    running.shutdown().await?;
    Run::between(counted.first.get().context("no event came")?, &ended, count)
}

/// Formats the results for the terminal.
pub(crate) fn table(rows: &[Consumed]) -> String {
    let mut text = format!(
        "\nevents consumed, 256 B, {PARTITIONS} partitions\n{:<12} {:>9} {:>7} {:>11} {:>7}\n",
        "side", "events/s", "cpu us", "busiest us", "allocs"
    );
    for row in rows {
        let _infallible = writeln!(
            text,
            "{:<12} {:>9.0} {:>7.2} {:>11.2} {:>7.1}",
            row.side,
            row.events_per_second,
            row.cpu_micros_per_event,
            row.busiest_thread_micros_per_event,
            row.allocations_per_event
        );
    }
    let _infallible =
        writeln!(text, "\n{:<26} {:<18} {:<18} {:<18}", "over", "events/s", "cpu", "busiest thread");
    for row in rows {
        for (base, over) in [("raw", row.over_raw), ("raw-headers", row.over_raw_headers)] {
            let Some(EventsOver { events_per_second, cpu, busiest_thread }) = over else { continue };
            let _infallible = writeln!(
                text,
                "{:<26} {:<18} {:<18} {:<18}",
                format!("{} over {base}", row.side),
                events_per_second.text(),
                cpu.text(),
                busiest_thread.map_or_else(|| "-".to_owned(), Ratio::text)
            );
        }
    }
    text
}
