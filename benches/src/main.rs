//! What kafka-rpc costs, beside the plainest correct loop over librdkafka, interleaved in one run.
//!
//! - [`args`]: what can be asked for
//! - [`plan`]: what is measured then, and for how long
//! - [`kafka`], [`proxied`], [`proxy`]: the Kafka that is measured on, near or far
//! - [`contract`]: what both sides say to each other
//! - [`raw`], [`framework`], [`side`]: the sides
//! - [`load`], [`measure`]: the load, and what it has cost
//! - [`calls`]: calls over the table
//! - [`report`], [`plot`]: what was seen

mod args;
mod calls;
mod contract;
mod framework;
mod kafka;
mod load;
mod measure;
mod plan;
mod plot;
mod proxied;
mod proxy;
mod raw;
mod report;
mod side;

use std::time::Duration;

use clap::Parser as _;

use self::{
    args::{Arguments, SideName},
    calls::How,
    kafka::Kafka,
    plan::Table,
};

/// How long a run may count at most: more calls do not tell more.
const LONGEST: Duration = Duration::from_secs(2);

/// How long `--quick` may take once the brokers are asked for.
const QUICK: Duration = Duration::from_secs(35);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(brokers) = arguments.proxy {
        return proxy::run(brokers, Duration::from_millis(arguments.delay)).await;
    }
    let kafka = Kafka::found(arguments.embedded)?;
    let is_own = kafka.is_none();
    let within = Duration::from_secs_f64(arguments.within * 60.0);
    let all = [SideName::Raw, SideName::RawSticky, SideName::Framework];
    if arguments.what.quick {
        return measure_calls("quick", kafka, plan::quick(), &how(&arguments, &all, 3, QUICK)).await;
    }
    if arguments.what.tuning {
        let presets = [SideName::Raw, SideName::Framework, SideName::Throughput, SideName::NearBroker];
        return measure_calls("tuning", kafka, plan::tuning(is_own), &how(&arguments, &presets, 3, within))
            .await;
    }
    measure_calls("calls", kafka, plan::whole(is_own), &how(&arguments, &all, 5, within)).await
}

fn how(arguments: &Arguments, sides: &[SideName], repetitions: usize, within: Duration) -> How {
    let asked = &arguments.sides;
    How {
        sides: if asked.is_empty() { sides.to_vec() } else { asked.clone() },
        repetitions: arguments.repetitions.unwrap_or(repetitions),
        within,
        longest: LONGEST,
    }
}

/// Measures calls, and says what was seen.
async fn measure_calls(
    name: &str,
    kafka: Option<Kafka>,
    tables: Vec<Table>,
    how: &How,
) -> anyhow::Result<()> {
    let rows = report::rows(&calls::measure(kafka, tables, how).await?)?;
    let (json, svg) = (report::write_json(name, &rows)?, plot::calls(name, &rows)?);
    println!("{}\n{}\n{}", report::table(&rows), json.display(), svg.display());
    Ok(())
}
