//! What the runtime has counted, as a scrape of its metrics shows it.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// Records metrics from now on: first thing in a test that reads them.
///
/// # Panics
///
/// If another recorder is installed.
pub fn record() {
    RECORDER.get_or_init(|| {
        PrometheusBuilder::new().install_recorder().unwrap_or_else(|error| panic!("{error}"))
    });
}

/// The sum of a metric over all series that have each of these `label="value"` pairs.
pub fn counted(metric: &str, labels: &[(&str, &str)]) -> u64 {
    let Some(recorder) = RECORDER.get() else { return 0 };
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    let of_metric = |line: &&str| line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' ']));
    let text = recorder.render();
    let lines =
        text.lines().filter(of_metric).filter(|line| pairs.iter().all(|pair| line.contains(pair.as_str())));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}
