//! What the log says of the partitions that pause and resume.
//!
//! Where records arrive faster than handlers process them, a partition pauses and resumes again and again, as
//! often as every second: that is logged now and then. A partition that cannot resume is logged as long as it
//! lasts.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use crate::{
    repeats::Repeats,
    server::{
        tracking::{bounds::Because, pausing::Paused},
        worker::Worker,
    },
};

/// How often the partitions that are still paused are logged.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// The partitions that are paused, as far as they were logged.
#[derive(Debug)]
pub(super) struct Pauses {
    paused: BTreeMap<i32, Pause>,
    told_at: Instant,
}

#[derive(Debug)]
struct Pause {
    because: Because,
    since: Instant,
    /// Whether it was logged at debug, since the last ones were logged a short while ago.
    is_quiet: bool,
}

/// A paused partition, for the log: `3 (the limit ..; 10000 uncommitted)`.
struct Lasting {
    partition: i32,
    because: Because,
    uncommitted: usize,
}

impl fmt::Display for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}; {} uncommitted)", self.partition, self.because, self.uncommitted)
    }
}

impl Pauses {
    pub(super) fn new() -> Self {
        Self { paused: BTreeMap::new(), told_at: Instant::now() }
    }

    /// Logs that a partition pauses.
    pub(super) fn begin(&mut self, worker: &Worker, repeats: &Repeats, paused: &Paused) {
        let &Paused { partition, because, unfinished } = paused;
        let (topic, group) = (&worker.source, &worker.served.group);
        let is_quiet = !repeats.is_news(&format!("paused {partition} {because:?}"));
        if is_quiet {
            tracing::debug!(%topic, partition, %group, unfinished, "paused, as logged before: {because}");
        } else {
            tracing::warn!(%topic, partition, %group, unfinished, "paused: {because}");
        }
        self.paused.insert(partition, Pause { because, since: Instant::now(), is_quiet });
    }

    /// Logs that partitions resume, as loudly as their pauses.
    pub(super) fn end(&mut self, worker: &Worker, resumed: &[i32]) {
        let (topic, group) = (&worker.source, &worker.served.group);
        let is_quiet = |partition: &i32| self.paused.remove(partition).is_some_and(|pause| pause.is_quiet);
        let (quiet, partitions): (Vec<i32>, Vec<i32>) = resumed.iter().copied().partition(is_quiet);
        if !partitions.is_empty() {
            tracing::info!(%topic, ?partitions, %group, "resumed");
        }
        if !quiet.is_empty() {
            tracing::debug!(%topic, partitions = ?quiet, %group, "resumed");
        }
    }

    /// Logs from time to time the partitions that have been paused ever since the last time, or for longer.
    pub(super) fn tell_of_lasting(&mut self, worker: &Worker) {
        let now = Instant::now();
        if now.saturating_duration_since(self.told_at) < TELL_EVERY {
            return;
        }
        let lasting = self.lasting(&worker.paused(), now);
        if !lasting.is_empty() {
            self.told_at = now;
            let partitions = lasting.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            tracing::warn!(
                topic = %worker.source, partitions, group = %worker.served.group, "partitions are still paused"
            );
        }
    }

    /// The partitions that have been paused for as long as it takes to be told of, out of those that are
    /// paused now, each with how many of its records are uncommitted. Forgets those that have gone.
    fn lasting(&mut self, paused: &[(i32, usize)], now: Instant) -> Vec<Lasting> {
        self.paused.retain(|partition, _| paused.iter().any(|(paused, _)| paused == partition));
        let told = |&(partition, uncommitted): &(i32, usize)| {
            let Pause { because, since, .. } = self.paused.get(&partition)?;
            let lasts = now.saturating_duration_since(*since) >= TELL_EVERY;
            lasts.then_some(Lasting { partition, because: *because, uncommitted })
        };
        paused.iter().filter_map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_stays_paused_is_told_of_and_neither_one_that_just_did_nor_one_that_has_gone() {
        let (mut pauses, now) = (Pauses::new(), Instant::now());
        let pause = |since| Pause { because: Because::Uncommitted, since, is_quiet: false };
        pauses.paused = BTreeMap::from([(0, pause(now)), (1, pause(now + TELL_EVERY)), (2, pause(now))]);
        let told = |lasting: Vec<Lasting>| {
            lasting.into_iter().map(|lasting| (lasting.partition, lasting.uncommitted)).collect::<Vec<_>>()
        };
        let then = now + TELL_EVERY;
        assert_eq!(told(pauses.lasting(&[(0, 4), (1, 4)], then)), [(0, 4)]);
        assert_eq!(told(pauses.lasting(&[(0, 4), (1, 4), (2, 4)], then + TELL_EVERY)), [(0, 4), (1, 4)]);
        let lasting = Lasting { partition: 3, because: Because::Held, uncommitted: 7 };
        assert_eq!(
            lasting.to_string(),
            "3 (a reply, retry or dead letter cannot be delivered; 7 uncommitted)"
        );
    }
}
