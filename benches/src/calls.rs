//! Measures calls and events over the table: every side on the same Kafka, in turns.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    args::SideName,
    kafka::{Kafka, Topology},
    load,
    measure::{Sample, in_turn},
    plan::{Budget, Table},
    report::{self, Measured},
    side::{Act, Side},
};

/// The settings of a measurement.
#[derive(Debug)]
pub(crate) struct How {
    /// The name of the result files.
    pub(crate) name: &'static str,
    pub(crate) act: Act,
    pub(crate) sides: Vec<SideName>,
    pub(crate) repetitions: usize,
    pub(crate) within: Duration,
    pub(crate) longest: Duration,
}

/// Measures the tables on the Kafka that was found, or on brokers started for them. Returns the last Kafka.
///
/// If a later table fails, `measured` keeps what was measured before.
pub(crate) async fn measure(
    mut found: Option<Kafka>,
    tables: Vec<Table>,
    how: &How,
    measured: &mut Vec<Measured>,
) -> anyhow::Result<Option<Kafka>> {
    let runs =
        tables.iter().map(|table| table.cells.len()).sum::<usize>() * how.repetitions * how.sides.len();
    let mut budget = Budget::new(how.within, how.longest, runs);
    let bar = bar(runs);
    for table in tables {
        let brokers_differ = found
            .as_ref()
            .is_none_or(|kafka| matches!(kafka, Kafka::Own { .. }) && kafka.brokers() != table.brokers);
        if brokers_differ {
            // Stops the old brokers first: the machine has no room for both.
            drop(found.take());
            bar.set_message(format!("starting brokers: {}", table.brokers));
            found = Some(Kafka::start(table.brokers, Some(table.round_trip_millis.max(10)))?);
        }
        let kafka = found.as_ref().context("there is no Kafka")?;
        one_table(kafka, &table, how, &mut budget, &bar, measured).await?;
        // Written after each table, so that an interrupted run leaves its results.
        report::write_json(how.name, &report::rows(measured)?)?;
    }
    bar.finish_and_clear();
    Ok(found)
}

async fn one_table(
    kafka: &Kafka,
    table: &Table,
    how: &How,
    budget: &mut Budget,
    bar: &ProgressBar,
    measured: &mut Vec<Measured>,
) -> anyhow::Result<()> {
    let topology =
        Topology { kafka, partitions: table.partitions, round_trip_millis: table.round_trip_millis };
    let place =
        format!("{kafka}, round trip {} ms, {} partitions", table.round_trip_millis, table.partitions);
    bar.set_message(format!("{place}: starting"));
    let mut sides = Vec::new();
    for name in &how.sides {
        let side = Arc::new(Side::start(*name, &topology).await?);
        load::settle(&side, how.act, table.partitions)
            .await
            .with_context(|| format!("{} on {place}: the first of all", name.label()))?;
        sides.push(side);
    }
    for cell in &table.cells {
        bar.set_message(format!("{place}, {}, {} in flight", cell.payload.label(), cell.in_flight));
        let mut runs: BTreeMap<SideName, Vec<Sample>> = BTreeMap::new();
        for repetition in 0..how.repetitions {
            if repetition > 0 && budget.is_spent() {
                break;
            }
            for side in in_turn(&sides, repetition) {
                let (window, began) = (budget.window(), Instant::now());
                let sample = load::run(side, how.act, cell.payload, cell.in_flight, window)
                    .await
                    .with_context(|| format!("{} on {place}: {cell:?}", side.name().label()))?;
                budget.took(began.elapsed(), window);
                if sample.completed == 0 {
                    // Not `bar.println`, which prints nothing if the bar is hidden.
                    bar.suspend(|| {
                        eprintln!(
                            "{} on {place}, {}, {} in flight: no call has ended within {:?}",
                            side.name().label(),
                            cell.payload.label(),
                            cell.in_flight,
                            load::FIRST_WITHIN
                        );
                    });
                }
                runs.entry(side.name()).or_default().push(sample);
                bar.inc(1);
            }
        }
        measured.push(Measured {
            brokers: table.brokers,
            round_trip_millis: table.round_trip_millis,
            partitions: table.partitions,
            cell: *cell,
            runs,
        });
    }
    for side in sides {
        let side = Arc::into_inner(side).context("a call is still under way")?;
        side.stop().await?;
    }
    Ok(())
}

/// A progress bar that also shows the time left and what is being measured.
pub(crate) fn bar(runs: usize) -> ProgressBar {
    let bar = ProgressBar::new(runs as u64);
    let style = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {pos}/{len}, {eta} left  {msg}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}
