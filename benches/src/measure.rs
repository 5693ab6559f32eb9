//! The cost of one run of one side.

use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use hdrhistogram::Histogram;

use crate::allocated::Allocated;

/// What the process has used up to a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    at: Instant,
    cpu: ProcessTime,
    allocated: Allocated,
}

impl Used {
    pub(crate) fn now() -> Self {
        Self { at: Instant::now(), cpu: ProcessTime::now(), allocated: Allocated::now() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.at.elapsed()
    }
}

/// The measurements of one run.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// In microseconds.
    pub(crate) latencies: Histogram<u64>,
    pub(crate) completed: u64,
    pub(crate) errors: u64,
    pub(crate) seconds: f64,
    /// The processor time of the whole process, caller and service together. Not finite if no call ended.
    pub(crate) cpu_micros_per_call: f64,
    pub(crate) allocations_per_call: f64,
    pub(crate) bytes_per_call: f64,
}

impl Sample {
    /// Returns the sample of a run between two moments.
    pub(crate) fn between(from: &Used, to: &Used, completed: u64) -> anyhow::Result<Self> {
        let allocated = to.allocated.since(from.allocated);
        Ok(Self {
            latencies: latencies()?,
            completed,
            errors: 0,
            seconds: to.at.duration_since(from.at).as_secs_f64(),
            cpu_micros_per_call: to.cpu.duration_since(from.cpu).as_secs_f64() * 1e6 / as_float(completed),
            allocations_per_call: as_float(allocated.times) / as_float(completed),
            bytes_per_call: as_float(allocated.bytes) / as_float(completed),
        })
    }

    pub(crate) fn per_second(&self) -> f64 {
        as_float(self.completed) / self.seconds
    }

    /// Returns a quantile of the latencies in microseconds; NaN if no call ended.
    pub(crate) fn latency(&self, quantile: f64) -> f64 {
        if self.latencies.is_empty() {
            f64::NAN
        } else {
            as_float(self.latencies.value_at_quantile(quantile))
        }
    }
}

/// An empty histogram of latencies in microseconds, up to two minutes, with three digits.
pub(crate) fn latencies() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 120_000_000, 3)?)
}

/// Converts a count; all counts are far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "see above")]
pub(crate) fn as_float(count: u64) -> f64 {
    count as f64
}

/// Returns the middle value, or the mean of the two middle ones if their number is even. Ignores values that
/// are not finite.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len().is_multiple_of(2)) {
        (Some(upper), true) => sorted.get(middle - 1).map_or(*upper, |lower| f64::midpoint(*lower, *upper)),
        (Some(value), false) => *value,
        (None, _) => f64::NAN,
    }
}

/// Returns the sides in their order for a repetition, reversed in every second one, so that no side is always
/// first or always after the same one. What ran before a side, and what it left behind, can matter by a
/// tenth.
pub(crate) fn in_turn<T>(sides: impl IntoIterator<Item = T>, repetition: usize) -> Vec<T> {
    let mut order: Vec<T> = sides.into_iter().collect();
    if repetition % 2 == 1 {
        order.reverse();
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median([4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!((median([f64::NAN, 1.0, f64::INFINITY]) - 1.0).abs() < f64::EPSILON);
        assert!(median([]).is_nan());
    }
}
