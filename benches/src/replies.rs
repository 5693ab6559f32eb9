//! Measures what each of many instances reads if all have their replies on one topic, in both ways of reading
//! it.
//!
//! Each instance is a process of its own, and all make their calls at the same time. This process is the
//! service.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use ::tests::cluster::started;
use anyhow::{Context as _, ensure};
use indicatif::ProgressBar;
use kafka_rpc::ReplyReading;
use serde::Serialize;
use tokio::time;

use crate::{
    caller::{CALLED, CALLS, Caller, GO, IN_FLIGHT, READY, Seen},
    calls::bar,
    contract::{COMMANDS, REPLIES},
    framework::served,
    kafka::Kafka,
    measure::{Sample, Used, as_float, in_turn, median},
    memory::PAYLOAD,
    plot::{self, Chart},
    proxied::Proxy,
    report,
};

const INSTANCES: [u64; 3] = [1, 4, 16];
const PARTITIONS: [u16; 2] = [3, 16];
const READINGS: [ReplyReading; 2] = [ReplyReading::AllPartitions, ReplyReading::OwnPartition];

/// The partitions of the command topic: only those of the reply topic vary.
const PARTITIONS_OF_COMMANDS: u16 = 3;

/// How many instances call before measuring: a broker that has just started is slow.
const WARM_UP: u64 = 4;

/// How long instances keep reading replies to others: before the measured calls, and before the counts are
/// taken.
const SETTLE: Duration = Duration::from_millis(500);

/// Where callers find the service.
struct Place {
    brokers: String,
    prefix: String,
    partitions: u16,
}

/// One run of instances that call at the same time.
#[derive(Debug)]
struct Run {
    whole: Sample,
    seen: Vec<Seen>,
    /// The bytes that brokers sent to each instance; empty without a proxy to count them.
    bytes: Vec<u64>,
}

/// One way of reading, with one number of instances and of partitions, over all repetitions.
#[derive(Debug, Serialize)]
struct Row {
    partitions: u16,
    instances: u64,
    reading: &'static str,
    payload: String,
    /// The calls in flight at each instance.
    in_flight: u64,
    repetitions: usize,
    /// The calls of all instances, in one repetition.
    calls: u64,
    /// The calls of all instances together.
    calls_per_second: f64,
    /// The replies that an instance reads, its own and those of others, per call that it makes.
    records_read_per_call: Spread,
    /// All bytes that brokers send to an instance, per call that it makes: fetched records, empty fetches and
    /// acknowledgements of its requests. Connecting and the first metadata come before; only metadata
    /// refreshed meanwhile counts.
    bytes_from_brokers_per_call: Option<Spread>,
    /// The processor time of an instance, per call that it makes. Includes reading the replies to others
    /// after its last call.
    cpu_micros_per_call: Spread,
    /// The processor time of the service, per call of any instance.
    service_cpu_micros_per_call: f64,
}

/// The mean and the extremes over instances.
#[derive(Debug, Clone, Copy, Serialize)]
struct Spread {
    mean: f64,
    min: f64,
    max: f64,
}

impl Spread {
    /// Returns `None` without values.
    fn of(values: &[f64]) -> Option<Self> {
        let each = || values.iter().copied();
        let (min, max) = (each().reduce(f64::min)?, each().reduce(f64::max)?);
        Some(Self { mean: each().sum::<f64>() / as_float(values.len() as u64), min, max })
    }

    fn text(self, digits: usize) -> String {
        format!("{:.digits$} ({:.digits$}..{:.digits$})", self.mean, self.min, self.max)
    }
}

/// Measures on a Kafka behind a proxy, which counts the bytes. Without a proxy, bytes are left out.
pub(crate) async fn measure(found: Option<Kafka>, repetitions: usize) -> anyhow::Result<()> {
    let mut kafka = match found {
        Some(kafka) => kafka,
        None => Kafka::start(1, Some(0))?,
    };
    ensure!(repetitions > 0, "--repetitions 0 measures nothing");
    let bar = bar(PARTITIONS.len() * INSTANCES.len() * READINGS.len() * repetitions);
    let (mut rows, mut callers) = (Vec::new(), 0);
    for partitions in PARTITIONS {
        // The service bypasses the proxy, which counts and carries only for the measured instances.
        let cluster = kafka.cluster(false);
        ensure!(
            !cluster.is_embedded(),
            "--replies needs a Kafka that other processes reach; leave out --embedded"
        );
        cluster.create_topic(COMMANDS, PARTITIONS_OF_COMMANDS).await;
        cluster.create_topic(REPLIES, partitions).await;
        let service = started(served(cluster.runtime(cluster.config()))).await;
        let brokers = kafka.cluster(true).brokers().to_owned();
        let place = Place { brokers, prefix: cluster.name(""), partitions };
        bar.set_message(format!("{partitions} partitions: warming up"));
        one_run(&mut kafka, &place, WARM_UP, ReplyReading::AllPartitions, &mut callers).await?;
        // The most instances first: a single instance makes few calls, and by then the broker is warm.
        for instances in INSTANCES.into_iter().rev() {
            let runs = in_turns(&mut kafka, &place, instances, repetitions, &mut callers, &bar).await?;
            for (reading, runs) in READINGS.into_iter().zip(&runs) {
                rows.push(row(partitions, instances, reading, runs)?);
            }
        }
        service.shutdown().await?;
    }
    bar.finish_and_clear();
    rows.sort_by_key(|row| (row.partitions, row.instances));
    say(&rows)
}

/// Returns the runs of each way of reading.
async fn in_turns(
    kafka: &mut Kafka,
    place: &Place,
    instances: u64,
    repetitions: usize,
    started: &mut u64,
    bar: &ProgressBar,
) -> anyhow::Result<[Vec<Run>; 2]> {
    let mut runs = [Vec::new(), Vec::new()];
    for repetition in 0..repetitions {
        for (reading, runs) in in_turn(READINGS.into_iter().zip(&mut runs), repetition) {
            let what =
                format!("{} partitions, {instances} instance(s), {}", place.partitions, label(reading));
            bar.set_message(what.clone());
            runs.push(one_run(kafka, place, instances, reading, started).await.context(what)?);
            bar.inc(1);
        }
    }
    Ok(runs)
}

async fn one_run(
    kafka: &mut Kafka,
    place: &Place,
    instances: u64,
    reading: ReplyReading,
    started: &mut u64,
) -> anyhow::Result<Run> {
    let mut callers = Vec::new();
    for _ in 0..instances {
        // Gives each instance a `client.id` of its own.
        *started += 1;
        callers.push(Caller::start(format!("caller-{started}"), &place.brokers, &place.prefix, reading)?);
    }
    for caller in &mut callers {
        caller.says(READY).await?;
    }
    time::sleep(SETTLE).await;

    let (before, from) = (traffic(kafka)?, Used::now());
    for caller in &mut callers {
        caller.tell(GO).await?;
    }
    for caller in &mut callers {
        caller.says(CALLED).await?;
    }
    let whole = Sample::between(&from, &Used::now(), CALLS * instances)?;
    time::sleep(SETTLE).await;
    let after = traffic(kafka)?;
    let bytes = match before.zip(after) {
        Some((before, after)) => callers
            .iter()
            .map(|caller| sent_to(caller.client_id(), &before, &after))
            .collect::<Result<_, _>>()?,
        None => Vec::new(),
    };

    let mut seen = Vec::new();
    for caller in callers {
        seen.push(caller.end().await?);
    }
    Ok(Run { whole, seen, bytes })
}

/// Returns the proxy's counts, if there is a proxy.
fn traffic(kafka: &mut Kafka) -> anyhow::Result<Option<BTreeMap<String, u64>>> {
    kafka.proxy().map(Proxy::traffic).transpose()
}

/// Returns the bytes sent to a client between two counts. A client that has called is in both: its warm-up
/// came before.
fn sent_to(
    client: &str,
    before: &BTreeMap<String, u64>,
    after: &BTreeMap<String, u64>,
) -> anyhow::Result<u64> {
    let sent =
        before.get(client).zip(after.get(client)).and_then(|(before, after)| after.checked_sub(*before));
    sent.with_context(|| format!("the proxy has not seen {client}"))
}

fn row(partitions: u16, instances: u64, reading: ReplyReading, runs: &[Run]) -> anyhow::Result<Row> {
    let seen = || runs.iter().flat_map(|run| &run.seen);
    let per_call = |count: u64| as_float(count) / as_float(CALLS);
    let records: Vec<f64> = seen().map(|seen| per_call(seen.records)).collect();
    let bytes: Vec<f64> = runs.iter().flat_map(|run| &run.bytes).copied().map(per_call).collect();
    let cpu: Vec<f64> = seen().map(|seen| seen.cpu_micros_per_call).collect();
    Ok(Row {
        partitions,
        instances,
        reading: label(reading),
        payload: PAYLOAD.label(),
        in_flight: IN_FLIGHT,
        repetitions: runs.len(),
        calls: CALLS * instances,
        calls_per_second: median(runs.iter().map(|run| run.whole.per_second())),
        records_read_per_call: Spread::of(&records).context("nobody has called")?,
        bytes_from_brokers_per_call: Spread::of(&bytes),
        cpu_micros_per_call: Spread::of(&cpu).context("nobody has called")?,
        service_cpu_micros_per_call: median(runs.iter().map(|run| run.whole.cpu_micros_per_call)),
    })
}

fn label(reading: ReplyReading) -> &'static str {
    if reading == ReplyReading::OwnPartition { "own partition" } else { "all partitions" }
}

fn say(rows: &[Row]) -> anyhow::Result<()> {
    println!("{}", table(rows));
    let json = report::write_json("replies", rows)?;
    println!("{}\n{}", json.display(), plot::side_by_side("replies", &charts(rows))?.display());
    Ok(())
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "\nreplies of {}, {IN_FLIGHT} in flight at each instance; for each call of an instance: mean (least..most)\n\
         {:>10} {:>9} {:<14} {:>7} {:>8}  {:<20} {:<22} {:<20} {:>14}\n",
        PAYLOAD.label(),
        "partitions",
        "instances",
        "reads",
        "calls",
        "calls/s",
        "records read",
        "bytes from brokers",
        "cpu us",
        "service cpu us",
    );
    for row in rows {
        let bytes = row.bytes_from_brokers_per_call.map_or_else(|| "-".to_owned(), |bytes| bytes.text(0));
        let _infallible = writeln!(
            text,
            "{:>10} {:>9} {:<14} {:>7} {:>8.0}  {:<20} {bytes:<22} {:<20} {:>14.0}",
            row.partitions,
            row.instances,
            row.reading,
            row.calls,
            row.calls_per_second,
            row.records_read_per_call.text(2),
            row.cpu_micros_per_call.text(0),
            row.service_cpu_micros_per_call,
        );
    }
    text
}

/// Charts records and bytes over instances, one chart each for each number of partitions.
fn charts(rows: &[Row]) -> Vec<Chart> {
    let mut charts = Vec::new();
    for partitions in PARTITIONS {
        for (y, value) in [
            ("records read per call", (|row| Some(row.records_read_per_call)) as fn(&Row) -> Option<Spread>),
            ("bytes read per call", |row| row.bytes_from_brokers_per_call),
        ] {
            let mut lines = plot::Lines::new();
            for row in rows.iter().filter(|row| row.partitions == partitions) {
                let point = value(row).map(|spread| (as_float(row.instances), spread.mean));
                lines.entry(row.reading).or_default().extend(point);
            }
            // The axes of a chart need at least one point.
            if lines.values().all(Vec::is_empty) {
                continue;
            }
            charts.push(Chart { title: format!("{partitions} partitions"), x: "instances", y, lines });
        }
    }
    charts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_mean_and_both_ends() {
        let spread = Spread::of(&[2.0, 6.0, 1.0]).expect("values");
        assert_eq!(spread.text(2), "3.00 (1.00..6.00)");
        assert!(Spread::of(&[]).is_none());
    }

    #[test]
    fn what_was_sent_lies_between_two_counts() {
        let counts = |bytes: u64| BTreeMap::from([("caller-1".to_owned(), bytes), ("other".to_owned(), 7)]);
        assert_eq!(sent_to("caller-1", &counts(100), &counts(350)).expect("counted"), 250);
        assert!(sent_to("caller-2", &counts(100), &counts(350)).is_err(), "nobody has seen it");
        assert!(sent_to("caller-1", &counts(350), &counts(100)).is_err(), "a count does not fall");
    }

    #[test]
    fn a_row_is_for_each_call_of_an_instance() {
        let now = Used::now();
        let run = |records: [u64; 2], bytes: &[u64]| Run {
            whole: Sample::between(&now, &Used::now(), 2 * CALLS).expect("a sample"),
            seen: records.map(|records| Seen { records, cpu_micros_per_call: 50.0 }).to_vec(),
            bytes: bytes.to_vec(),
        };
        let runs = [
            run([CALLS, 2 * CALLS], &[100 * CALLS, 300 * CALLS]),
            run([CALLS, 4 * CALLS], &[200 * CALLS; 2]),
        ];
        let with = row(3, 2, ReplyReading::OwnPartition, &runs).expect("a row");
        assert_eq!(with.records_read_per_call.text(2), "2.00 (1.00..4.00)");
        let bytes = with.bytes_from_brokers_per_call.expect("bytes");
        assert_eq!(bytes.text(0), "200 (100..300)");
        assert_eq!((with.calls, with.repetitions), (2 * CALLS, 2));
        let without = row(3, 2, ReplyReading::AllPartitions, &[run([1, 2], &[])]).expect("a row");
        assert!(without.bytes_from_brokers_per_call.is_none());
        assert_eq!(charts(&[without]).len(), 1, "what was not counted has no chart");
        assert_eq!(charts(&[with]).len(), 2);
    }
}
