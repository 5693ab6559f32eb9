//! The results, as a table and as JSON.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    args::SideName,
    load::merged,
    measure::{Sample, as_float, median},
    plan::Cell,
};

/// The number of calls that must lie beyond a percentile for it to be reported.
const BEYOND: f64 = 2.0;

/// Returns whether enough of `calls` calls lie beyond a percentile.
fn is_told(calls: u64, quantile: f64) -> bool {
    as_float(calls) * (1.0 - quantile) >= BEYOND
}

/// The measurements of one cell: the runs of each side, in the order of the repetitions.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) brokers: usize,
    pub(crate) round_trip_millis: u64,
    pub(crate) partitions: u16,
    pub(crate) cell: Cell,
    pub(crate) runs: BTreeMap<SideName, Vec<Sample>>,
}

/// The results of one side in one cell, over all repetitions.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) brokers: usize,
    pub(crate) round_trip_millis: u64,
    pub(crate) partitions: u16,
    pub(crate) payload: String,
    pub(crate) in_flight: usize,
    pub(crate) side: &'static str,
    pub(crate) repetitions: usize,
    pub(crate) calls: u64,
    pub(crate) errors: u64,
    pub(crate) calls_per_second: f64,
    pub(crate) p50_micros: u64,
    pub(crate) p99_micros: Option<u64>,
    pub(crate) p999_micros: Option<u64>,
    pub(crate) cpu_micros_per_call: f64,
    pub(crate) allocations_per_call: f64,
    pub(crate) allocated_bytes_per_call: f64,
    /// Compared to the plain loop.
    pub(crate) over_raw: Option<Over>,
    /// Compared to the plain loop whose records go to the same partitions as the framework's.
    pub(crate) over_raw_sticky: Option<Over>,
}

/// A side compared to another: its value over the other's in the same repetition.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Over {
    /// Above 1 is better.
    pub(crate) calls_per_second: Ratio,
    /// The ratio of median latencies: below 1 is better.
    pub(crate) p50: Ratio,
    /// The ratio of the latencies that one call in a hundred exceeds, if enough calls do: below 1 is better.
    pub(crate) p99: Option<Ratio>,
    /// The ratio of processor time per call: below 1 is better.
    pub(crate) cpu: Ratio,
}

impl Over {
    fn of(own: &[Sample], base: &[Sample]) -> Option<Self> {
        let p99 = own.iter().chain(base).all(|run| is_told(run.latencies.len(), 0.99));
        Some(Self {
            calls_per_second: Ratio::of(own, base, Sample::per_second)?,
            p50: Ratio::of(own, base, |run| run.latency(0.5))?,
            p99: p99.then(|| Ratio::of(own, base, |run| run.latency(0.99))).flatten(),
            cpu: Ratio::of(own, base, |run| run.cpu_micros_per_call)?,
        })
    }

    fn text(self) -> String {
        format!(
            "{:<20} {:<20} {:<20} {:<20}",
            self.calls_per_second.text(),
            self.p50.text(),
            self.p99_text(),
            self.cpu.text()
        )
    }

    fn p99_text(self) -> String {
        self.p99.map_or_else(|| "-".to_owned(), Ratio::text)
    }
}

/// The median of ratios, and their range.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Ratio {
    /// Compares pairs of runs that were measured one after the other. Ignores ratios that are not finite.
    pub(crate) fn of<T>(own: &[T], base: &[T], value: impl Fn(&T) -> f64) -> Option<Self> {
        let ratios: Vec<f64> = own.iter().zip(base).map(|(own, base)| value(own) / value(base)).collect();
        let finite = ratios.iter().copied().filter(|ratio| ratio.is_finite());
        let (min, max) = (finite.clone().reduce(f64::min)?, finite.clone().reduce(f64::max)?);
        Some(Self { median: median(finite), min, max })
    }

    pub(crate) fn text(self) -> String {
        format!("{:.2} ({:.2}..{:.2})", self.median, self.min, self.max)
    }
}

/// Summarises the measurements: a row for each side of each cell.
pub(crate) fn rows(measured: &[Measured]) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for cell in measured {
        for (side, runs) in &cell.runs {
            rows.push(row(cell, *side, runs)?);
        }
    }
    Ok(rows)
}

fn row(cell: &Measured, side: SideName, runs: &[Sample]) -> anyhow::Result<Row> {
    let latencies = merged(runs.iter())?;
    let calls = latencies.len();
    let at = |quantile| is_told(calls, quantile).then(|| latencies.value_at_quantile(quantile));
    let over = |base: SideName| (base < side).then(|| Over::of(runs, cell.runs.get(&base)?)).flatten();
    Ok(Row {
        brokers: cell.brokers,
        round_trip_millis: cell.round_trip_millis,
        partitions: cell.partitions,
        payload: cell.cell.payload.label(),
        in_flight: cell.cell.in_flight,
        side: side.label(),
        repetitions: runs.len(),
        calls,
        errors: runs.iter().map(|run| run.errors).sum(),
        calls_per_second: median(runs.iter().map(Sample::per_second)),
        p50_micros: latencies.value_at_quantile(0.5),
        p99_micros: at(0.99),
        p999_micros: at(0.999),
        cpu_micros_per_call: median(runs.iter().map(|run| run.cpu_micros_per_call)),
        allocations_per_call: median(runs.iter().map(|run| run.allocations_per_call)),
        allocated_bytes_per_call: median(runs.iter().map(|run| run.bytes_per_call)),
        over_raw: over(SideName::Raw),
        over_raw_sticky: over(SideName::RawSticky),
    })
}

const OVER: &str = "calls/s over raw     p50 over raw         p99 over raw         cpu over raw";

/// Formats the rows as a table for the terminal.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut place = String::new();
    for row in rows {
        let own = format!(
            "{} broker(s), round trip {} ms, {} partitions, {}",
            row.brokers, row.round_trip_millis, row.partitions, row.payload
        );
        if own != place {
            let _infallible = writeln!(
                text,
                "\n{own}\n{:>9} {:<12} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7} {:>5}  {OVER}",
                "in flight", "side", "calls/s", "p50 ms", "p99 ms", "p99.9 ms", "cpu us", "allocs", "errs",
            );
            place = own;
        }
        let millis = |micros: Option<u64>| {
            micros.map_or_else(|| "-".to_owned(), |micros| format!("{:.2}", as_float(micros) / 1e3))
        };
        let _infallible = writeln!(
            text,
            "{:>9} {:<12} {:>9.0} {:>9} {:>9} {:>9} {:>9.1} {:>7.1} {:>5}  {}",
            row.in_flight,
            row.side,
            row.calls_per_second,
            millis(Some(row.p50_micros)),
            millis(row.p99_micros),
            millis(row.p999_micros),
            row.cpu_micros_per_call,
            row.allocations_per_call,
            row.errors,
            row.over_raw.map_or_else(String::new, Over::text),
        );
        if let Some(over) = row.over_raw_sticky {
            let _infallible = writeln!(text, "{:>83}  {}", "over raw-sticky:", over.text());
        }
    }
    text
}

/// Formats the ratios of the framework, a line each.
pub(crate) fn ratios(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows.iter().filter(|row| row.side == SideName::Framework.label()) {
        for (base, over) in [("raw", row.over_raw), ("raw-sticky", row.over_raw_sticky)] {
            let Some(over) = over else { continue };
            let _infallible = writeln!(
                text,
                "framework over {base:<10} {:>5} in flight: calls/s {}, p50 {}, p99 {}, cpu {}",
                row.in_flight,
                over.calls_per_second.text(),
                over.p50.text(),
                over.p99_text(),
                over.cpu.text()
            );
        }
    }
    text
}

/// Returns the folder of the results: `bench` in the target folder, created if needed.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    fs::create_dir_all(&folder)?;
    Ok(folder.canonicalize()?)
}

/// Writes results as JSON, and returns the path of the file.
pub(crate) fn write_json<T: Serialize + ?Sized>(name: &str, results: &T) -> anyhow::Result<PathBuf> {
    let path = folder()?.join(format!("{name}.json"));
    fs::write(&path, serde_json::to_vec_pretty(results)?)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_compares_pairs_and_leaves_out_what_has_none() {
        let ratio = Ratio::of(&[2.0, 3.0, 8.0], &[1.0, 1.0, 2.0], |value| *value).expect("pairs");
        assert_eq!(ratio.text(), "3.00 (2.00..4.00)");
        assert!(Ratio::of(&[1.0], &[], |value| *value).is_none());
    }
}
