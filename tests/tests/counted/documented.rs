//! The metrics are exactly those that the documentation lists.

use std::collections::BTreeMap;

use tests::counted::{Metric, metrics};

/// The module that records every metric, with its documentation.
const TELEMETRY: &str = include_str!("../../../kafka-rpc/src/telemetry.rs");

/// The rows of the documentation, by metric.
fn documented() -> BTreeMap<String, Metric> {
    let rows = TELEMETRY.lines().filter(|line| line.starts_with("//! | `kafka_rpc_"));
    let metric = |row: &str| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let labels = cells[2].split(',').map(|label| label.trim().trim_matches('`'));
        Metric {
            name: cells[1].trim_matches('`').to_owned(),
            is_gauge: cells[3].starts_with("gauge: "),
            labels: labels.filter(|label| !label.is_empty()).map(str::to_owned).collect(),
        }
    };
    rows.map(metric).map(|metric| (metric.name.clone(), metric)).collect()
}

/// Asserts that every metric recorded so far is documented, with its kind and labels.
pub(crate) fn all_is_documented() {
    let documented = documented();
    for metric in metrics() {
        assert_eq!(documented.get(&metric.name), Some(&metric));
    }
}

#[test]
fn what_is_documented_is_what_is_written() {
    let code = TELEMETRY.lines().filter(|line| !line.trim_start().starts_with("//"));
    // Splitting a line at quotes puts its string literals at odd indices.
    let texts = code.flat_map(|line| line.split('"').skip(1).step_by(2));
    let mut written: Vec<&str> = texts.filter(|text| text.starts_with("kafka_rpc_")).collect();
    written.sort_unstable();
    written.dedup();
    assert!(!written.is_empty());
    assert_eq!(documented().keys().collect::<Vec<_>>(), written);
}
