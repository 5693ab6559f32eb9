//! What the runtime has counted, as a scrape of its metrics shows it.

use std::{collections::BTreeSet, sync::OnceLock};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::sync::{Mutex, MutexGuard};

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Records metrics from now on. A test that reads metrics calls this first.
///
/// # Panics
///
/// If another recorder is installed.
pub fn record() {
    RECORDER.get_or_init(|| {
        PrometheusBuilder::new().install_recorder().unwrap_or_else(|error| panic!("{error}"))
    });
}

/// Records metrics for a test that counts what the whole process does. Other such tests wait while the guard
/// lives.
pub async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    record();
    ALONE.lock().await
}

/// Whether any series of a metric has each of these `label="value"` pairs, be its value zero.
///
/// # Panics
///
/// If nothing is recorded.
pub fn is_counted(metric: &str, labels: &[(&str, &str)]) -> bool {
    !lines(metric, labels).is_empty()
}

/// The sum of a metric over all series that have each of these `label="value"` pairs.
///
/// # Panics
///
/// If nothing is recorded, or if a value is not a whole number from 0 on: a gauge below 0 has counted
/// something twice.
pub fn counted(metric: &str, labels: &[(&str, &str)]) -> u64 {
    let value = |line: String| {
        let value = line.rsplit(' ').next().and_then(|value| value.parse::<u64>().ok());
        value.unwrap_or_else(|| panic!("no count: {line}"))
    };
    lines(metric, labels).into_iter().map(value).sum()
}

/// The series of a metric that have each of these `label="value"` pairs, as lines of a scrape.
fn lines(metric: &str, labels: &[(&str, &str)]) -> Vec<String> {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    let of_metric = |line: &&str| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' ']));
    let text = scrape();
    let lines =
        text.lines().filter(of_metric).filter(|line| pairs.iter().all(|pair| line.contains(pair.as_str())));
    lines.map(str::to_owned).collect()
}

/// The name, kind and labels of a metric, without its values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named after what they are")]
pub struct Metric {
    pub name: String,
    pub is_gauge: bool,
    pub labels: BTreeSet<String>,
}

/// Every recorded metric; more than once if its series differ in their labels.
///
/// # Panics
///
/// If nothing is recorded.
pub fn metrics() -> BTreeSet<Metric> {
    let text = scrape();
    let gauges: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" gauge")).collect();
    let series = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let metric = |line: &str| {
        let series = line.rsplit_once(' ').map_or(line, |(series, _)| series);
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        // Splitting at quotes puts the label names at even indices, and the label values at odd ones.
        let names =
            labels.split('"').step_by(2).filter_map(|name| name.trim_start_matches(',').strip_suffix('='));
        Metric {
            name: name.to_owned(),
            is_gauge: gauges.contains(name),
            labels: names.map(str::to_owned).collect(),
        }
    };
    series.map(metric).collect()
}

fn scrape() -> String {
    RECORDER.get().expect("`record()` comes first").render()
}
