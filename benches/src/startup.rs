//! Measures the time from the start of a process that serves and calls to its first reply, and each step on
//! the way.

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use kafka_rpc::{Config, Runtime};
use serde::Serialize;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::{Context, SubscriberExt as _},
    util::SubscriberInitExt as _,
};
use uuid::Uuid;

use crate::{
    contract::{BenchClient as _, Payload},
    framework::served,
    kafka::Kafka,
    measure::median,
    report,
};

/// The lines that a process prints itself, beside the messages that the runtime logs.
const IN_MAIN: &str = "in main";
const REPLIED: &str = "the first reply";
const ENDED: &str = "shut down";

/// When a step was done, in milliseconds from the start of the process.
#[derive(Debug, Serialize)]
struct Part {
    what: String,
    with_new_topics: Option<f64>,
    median: f64,
    min: f64,
    max: f64,
}

/// Starts processes one after the other: the first creates the topics, the others find them.
pub(crate) async fn measure(found: Option<Kafka>, repetitions: usize) -> anyhow::Result<()> {
    let kafka = match found {
        Some(kafka) => kafka,
        None => Kafka::start(1, None)?,
    };
    let cluster = kafka.cluster(false);
    ensure!(
        !cluster.is_embedded(),
        "--startup needs a Kafka that other processes reach; leave out --embedded"
    );
    let (brokers, prefix) = (cluster.brokers().to_owned(), format!("b{}.", Uuid::new_v4().simple()));
    let mut runs = Vec::new();
    for _ in 0..=repetitions {
        let (brokers, prefix) = (brokers.clone(), prefix.clone());
        runs.push(tokio::task::spawn_blocking(move || one_process(&brokers, &prefix)).await??);
    }
    let (first, others) = runs.split_first().context("nothing was started")?;
    say(&parts(first, others))
}

/// Each line that a process printed, and when.
type Said = Vec<(String, f64)>;

fn one_process(brokers: &str, prefix: &str) -> anyhow::Result<Said> {
    let began = Instant::now();
    let mut process = Command::new(env::current_exe()?)
        .args(["--first-call", prefix])
        .env("KAFKA_BROKERS", brokers)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = Vec::new();
    for line in BufReader::new(process.stdout.take().context("no standard output")?).lines() {
        said.push((line?, began.elapsed().as_secs_f64() * 1e3));
    }
    ensure!(process.wait()?.success(), "a process has failed; it said {said:?}");
    Ok(said)
}

/// Returns the steps, ordered by their medians.
fn parts(first: &Said, others: &[Said]) -> Vec<Part> {
    let at = |said: &Said, what: &str| said.iter().find(|(own, _)| own == what).map(|(_, millis)| *millis);
    let mut parts: Vec<Part> = Vec::new();
    for (what, _) in others.iter().chain([first]).flatten() {
        if parts.iter().any(|part| part.what == *what) {
            continue;
        }
        let times: Vec<f64> = others.iter().filter_map(|said| at(said, what)).collect();
        parts.push(Part {
            what: what.clone(),
            with_new_topics: at(first, what),
            median: median(times.iter().copied()),
            min: times.iter().copied().fold(f64::NAN, f64::min),
            max: times.iter().copied().fold(f64::NAN, f64::max),
        });
    }
    parts.sort_by(|one, other| one.median.total_cmp(&other.median));
    parts
}

fn say(parts: &[Part]) -> anyhow::Result<()> {
    println!(
        "\n{:>10} {:>10} {:>10} {:>16}  since the start of the process, ms",
        "median", "min", "max", "new topics"
    );
    for part in parts {
        let new_topics = part.with_new_topics.map_or_else(|| "-".to_owned(), |millis| format!("{millis:.1}"));
        println!(
            "{:>10.1} {:>10.1} {:>10.1} {new_topics:>16}  {}",
            part.median, part.min, part.max, part.what
        );
    }
    println!("{}", report::write_json("startup", parts)?.display());
    Ok(())
}

/// Runs the measured process: serves, makes a call, and prints each step to standard output as it is done.
pub(crate) async fn first_call(prefix: String) -> anyhow::Result<()> {
    println!("{IN_MAIN}");
    let ours = Targets::new().with_target("kafka_rpc", LevelFilter::DEBUG);
    tracing_subscriber::registry().with(Messages.with_filter(ours)).init();
    let groups = prefix.clone();
    let runtime = served(Runtime::builder())
        .config(Config::from_env()?.create_topics(true))
        .map_topics(move |topic| format!("{prefix}{topic}"))
        .map_groups(move |group| format!("{groups}{group}"))
        .build()?;
    let running = runtime.start().await?;
    println!("started");
    running.client().place(Payload::Of(256).order(0)).await?;
    println!("{REPLIED}");
    running.shutdown().await?;
    println!("{ENDED}");
    Ok(())
}

/// Prints the message of each event, a line each.
struct Messages;

impl<S: Subscriber> Layer<S> for Messages {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        event.record(&mut Message);
    }
}

struct Message;

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            println!("{value:?}");
        }
    }
}
