//! Measures what kafka-rpc costs beside the plainest correct loop over librdkafka, interleaved in one run.
//!
//! - [`args`]: the command line
//! - [`plan`], [`only`]: which cells are measured, and for how long
//! - [`kafka`], [`proxied`], [`proxy`]: the Kafka to measure on, near or far
//! - [`contract`]: what both sides exchange
//! - [`raw`], [`framework`], [`side`]: the sides
//! - [`load`], [`mod@measure`], [`allocated`]: the load, and its cost
//! - [`calls`]: calls and events over the table
//! - [`consuming`]: the consuming side of events
//! - [`memory`]: resident memory over a long run
//! - [`startup`]: the time from a process's start to its first reply
//! - [`replies`], [`caller`], [`traffic`]: what many instances read of each other's replies
//! - [`report`], [`plot`]: the results

mod allocated;
mod args;
mod caller;
mod calls;
mod consuming;
mod contract;
mod framework;
mod kafka;
mod load;
mod measure;
mod memory;
mod only;
mod plan;
mod plot;
mod proxied;
mod proxy;
mod raw;
mod replies;
mod report;
mod side;
mod startup;
mod threads;
mod traffic;

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

use self::{
    args::{Arguments, SideName},
    calls::How,
    kafka::Kafka,
    plan::Table,
    report::Row,
    side::Act,
};

/// The longest that a run is measured: more calls add no information.
const LONGEST: Duration = Duration::from_secs(2);

/// How long `--quick` may take, including the start of the brokers.
const QUICK: Duration = Duration::from_secs(35);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(brokers) = arguments.proxy {
        return proxy::run(brokers, Duration::from_millis(arguments.delay)).await;
    }
    if let Some(prefix) = &arguments.what.first_call {
        return startup::first_call(prefix.clone()).await;
    }
    if let Some(prefix) = &arguments.what.caller {
        return caller::call_as_told(prefix.clone(), arguments.own_partition).await;
    }
    let quiet = EnvFilter::builder().with_default_directive(LevelFilter::OFF.into()).from_env()?;
    tracing_subscriber::fmt().with_env_filter(quiet).with_writer(std::io::stderr).init();
    // Returns on a signal too, so that `Drop` stops the brokers that this run started.
    let mut terminated = signal(SignalKind::terminate())?;
    tokio::select! {
        measured = measure(&arguments) => measured,
        _told = tokio::signal::ctrl_c() => bail!("interrupted"),
        _told = terminated.recv() => bail!("terminated"),
    }
}

async fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    let kafka = Kafka::found(arguments.embedded)?;
    let is_own = kafka.is_none();
    let within = Duration::from_secs_f64(arguments.within * 60.0);
    let all = [SideName::Raw, SideName::RawSticky, SideName::Framework];
    let presets = [SideName::Raw, SideName::Framework, SideName::Throughput, SideName::NearBroker];
    let how = |name, act, sides: &[SideName], repetitions, within| How {
        name,
        act,
        sides: if arguments.sides.is_empty() { sides.to_vec() } else { arguments.sides.clone() },
        repetitions: arguments.repetitions.unwrap_or(repetitions),
        within,
        longest: LONGEST,
    };
    let (what, only) = (&arguments.what, &arguments.only);
    if what.quick {
        let (rows, _kafka) =
            over_table(kafka, plan::quick(), &how("quick", Act::Call, &all, 3, QUICK)).await?;
        println!("\n{}", report::ratios(&rows));
    } else if what.tuning {
        over_table(kafka, only.of(plan::tuning(is_own)), &how("tuning", Act::Call, &presets, 3, within))
            .await?;
    } else if what.memory {
        memory::measure(kafka, arguments.calls).await?;
    } else if what.startup {
        startup::measure(kafka, arguments.repetitions.unwrap_or(10)).await?;
    } else if what.consuming {
        let kafka = kafka.map_or_else(|| Kafka::start(1, None), Ok)?;
        consuming_alone(&kafka, arguments.repetitions.unwrap_or(5)).await?;
    } else if what.replies {
        replies::measure(kafka, arguments.repetitions.unwrap_or(1)).await?;
    } else if what.events {
        events(kafka, is_own, &how("events", Act::Event, &all, 5, within)).await?;
    } else {
        let calls = how("calls", Act::Call, &all, 5, within.mul_f64(0.9));
        let (_rows, kafka) = over_table(kafka, only.of(plan::whole(is_own)), &calls).await?;
        if !only.is_everything() {
            return Ok(());
        }
        let kafka = kafka.filter(|_| !is_own);
        events(kafka, is_own, &how("events", Act::Event, &all, 3, within.mul_f64(0.07))).await?;
    }
    Ok(())
}

/// Measures events one way, and consumed.
async fn events(kafka: Option<Kafka>, is_own: bool, how: &How) -> anyhow::Result<()> {
    let (_rows, kafka) = over_table(kafka, plan::events(is_own), how).await?;
    let kafka = kafka.context("there is no Kafka")?;
    consuming_alone(&kafka, how.repetitions).await
}

/// Measures the consumption of a full topic.
async fn consuming_alone(kafka: &Kafka, repetitions: usize) -> anyhow::Result<()> {
    let consumed = consuming::measure(kafka, repetitions).await?;
    let json = report::write_json("consumed", &consumed)?;
    println!("{}\n{}", consuming::table(&consumed), json.display());
    Ok(())
}

/// Measures each cell of the tables, and prints the results.
async fn over_table(
    kafka: Option<Kafka>,
    tables: Vec<Table>,
    how: &How,
) -> anyhow::Result<(Vec<Row>, Option<Kafka>)> {
    ensure!(
        !tables.is_empty(),
        "nothing is left to measure: no table has such cells, or not on these brokers"
    );
    ensure!(how.repetitions > 0, "what is measured no time has no numbers: `--repetitions` is one at least");
    let mut measured = Vec::new();
    let ended = calls::measure(kafka, tables, how, &mut measured).await;
    let rows = report::rows(&measured)?;
    let (json, svg) = (report::write_json(how.name, &rows)?, plot::calls(how.name, &rows)?);
    println!("{}\n{}\n{}", report::table(&rows), json.display(), svg.display());
    Ok((rows, ended?))
}
