//! Which cells are measured, and how long each run may take.

use std::time::{Duration, Instant};

use crate::contract::Payload;

/// A cell of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    pub(crate) payload: Payload,
    pub(crate) in_flight: usize,
}

/// The cells that run on one set of topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) brokers: usize,
    pub(crate) round_trip_millis: u64,
    pub(crate) partitions: u16,
    pub(crate) cells: Vec<Cell>,
}

const SMALL: Payload = Payload::Of(256);
const PAYLOADS: [Payload; 4] = [SMALL, Payload::Of(4 << 10), Payload::Of(64 << 10), Payload::Mixed];
const IN_FLIGHT: [usize; 4] = [1, 16, 256, 4_096];
const PARTITIONS: [u16; 2] = [3, 30];
const ROUND_TRIPS: [u64; 2] = [0, 10];
const BROKERS: [usize; 2] = [1, 3];

/// Returns the two cells that say the most in the least time.
pub(crate) fn quick() -> Vec<Table> {
    let cells = [1, 256].map(|in_flight| Cell { payload: SMALL, in_flight }).to_vec();
    vec![Table { brokers: 1, round_trip_millis: 0, partitions: 3, cells }]
}

/// Returns every cell. A Kafka that this run did not start is measured only as it is: its number of brokers
/// and its distance cannot be varied.
pub(crate) fn whole(is_own: bool) -> Vec<Table> {
    tables(is_own, &PAYLOADS, &IN_FLIGHT)
}

/// Returns the cells in which presets differ.
pub(crate) fn tuning(is_own: bool) -> Vec<Table> {
    tables(is_own, &[SMALL, Payload::Of(4 << 10), Payload::Of(64 << 10)], &[1, 256])
}

/// Returns the cells of events sent one way.
pub(crate) fn events(is_own: bool) -> Vec<Table> {
    let mut tables = tables(is_own, &[SMALL, Payload::Of(4 << 10)], &[1, 256, 4_096]);
    tables.retain(|table| table.brokers == 1);
    tables
}

fn tables(is_own: bool, payloads: &[Payload], in_flight: &[usize]) -> Vec<Table> {
    let cells: Vec<Cell> = payloads
        .iter()
        .flat_map(|payload| {
            in_flight.iter().map(|in_flight| Cell { payload: *payload, in_flight: *in_flight })
        })
        .collect();
    let (brokers, round_trips) = if is_own { (&BROKERS[..], &ROUND_TRIPS[..]) } else { (&[1][..], &[0][..]) };
    let mut tables = Vec::new();
    for brokers in brokers {
        for round_trip_millis in round_trips {
            for partitions in PARTITIONS {
                tables.push(Table {
                    brokers: *brokers,
                    round_trip_millis: *round_trip_millis,
                    partitions,
                    cells: cells.clone(),
                });
            }
        }
    }
    tables
}

/// The time left, shared out among the runs left.
#[derive(Debug)]
pub(crate) struct Budget {
    until: Instant,
    longest: Duration,
    runs_left: u32,
    /// The time that a run takes beyond its window: warming up, and waiting for the last replies.
    beyond: Duration,
}

const SHORTEST: Duration = Duration::from_millis(150);

impl Budget {
    pub(crate) fn new(within: Duration, longest: Duration, runs: usize) -> Self {
        Self {
            until: Instant::now() + within,
            longest,
            runs_left: u32::try_from(runs).unwrap_or(u32::MAX),
            beyond: Duration::from_millis(200),
        }
    }

    /// Returns how long the next run is measured.
    pub(crate) fn window(&mut self) -> Duration {
        let left = self.until.saturating_duration_since(Instant::now());
        let share = left / self.runs_left.max(1);
        self.runs_left = self.runs_left.saturating_sub(1);
        share.saturating_sub(self.beyond).clamp(SHORTEST, self.longest.max(SHORTEST))
    }

    /// Returns whether the time is up. Cells still to be measured are then measured once each.
    pub(crate) fn is_spent(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Records how long a run took in total.
    pub(crate) fn took(&mut self, in_all: Duration, window: Duration) {
        self.beyond = (self.beyond * 7 + in_all.saturating_sub(window)) / 8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kafka_of_our_own_is_measured_near_and_far_with_one_broker_and_with_three() {
        let tables = whole(true);
        assert_eq!(tables.len(), BROKERS.len() * ROUND_TRIPS.len() * PARTITIONS.len());
        assert!(tables.iter().all(|table| table.cells.len() == PAYLOADS.len() * IN_FLIGHT.len()));
        assert!(whole(false).iter().all(|table| (table.brokers, table.round_trip_millis) == (1, 0)));
    }

    #[test]
    fn runs_become_shorter_when_others_took_longer() {
        let mut budget = Budget::new(Duration::from_secs(100), Duration::from_secs(5), 100);
        let first = budget.window();
        assert!(first < Duration::from_secs(1));
        budget.took(Duration::from_secs(5), first);
        assert!(budget.window() < first);
    }
}
