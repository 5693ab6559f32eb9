//! Selects a part of the tables, so that a doubtful cell can be measured again for longer, without the
//! others.

use clap::Args;

use crate::{contract::Payload, plan::Table};

/// The cells to measure. An option that is not given leaves its dimension whole.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Cells of a table")]
pub(crate) struct Only {
    /// Numbers of brokers: 1, 3.
    #[arg(long, value_delimiter = ',', value_name = "COUNT")]
    pub(crate) brokers: Vec<usize>,

    /// Round trips to the brokers, in milliseconds: 0, 10.
    #[arg(long, value_delimiter = ',', value_name = "MILLIS")]
    pub(crate) round_trip: Vec<u64>,

    /// Numbers of partitions: 3, 30.
    #[arg(long, value_delimiter = ',', value_name = "COUNT")]
    pub(crate) partitions: Vec<u16>,

    /// Payloads in bytes: 256, 4096, 65536, or `mix`.
    #[arg(long, value_delimiter = ',', value_name = "BYTES")]
    pub(crate) payload: Vec<Payload>,

    /// Numbers of calls in flight: 1, 16, 256, 4096.
    #[arg(long, value_delimiter = ',', value_name = "CALLS")]
    pub(crate) in_flight: Vec<usize>,
}

fn asked_for<T: PartialEq>(asked: &[T], own: &T) -> bool {
    asked.is_empty() || asked.contains(own)
}

impl Only {
    /// Returns whether no option is given.
    pub(crate) fn is_everything(&self) -> bool {
        let Self { brokers, round_trip, partitions, payload, in_flight } = self;
        brokers.is_empty()
            && round_trip.is_empty()
            && partitions.is_empty()
            && payload.is_empty()
            && in_flight.is_empty()
    }

    /// Reduces the tables to the selected cells.
    pub(crate) fn of(&self, mut tables: Vec<Table>) -> Vec<Table> {
        tables.retain_mut(|table| {
            table.cells.retain(|cell| {
                asked_for(&self.payload, &cell.payload) && asked_for(&self.in_flight, &cell.in_flight)
            });
            asked_for(&self.brokers, &table.brokers)
                && asked_for(&self.round_trip, &table.round_trip_millis)
                && asked_for(&self.partitions, &table.partitions)
                && !table.cells.is_empty()
        });
        tables
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;

    #[test]
    fn what_is_not_said_is_everything() {
        assert!(Only::default().is_everything());
        assert_eq!(Only::default().of(plan::whole(true)), plan::whole(true));
    }

    #[test]
    fn what_is_said_is_all_that_is_left() {
        let only = Only {
            brokers: vec![3],
            round_trip: vec![0],
            partitions: vec![30],
            payload: vec!["mix".parse().expect("a payload"), "65536".parse().expect("a payload")],
            in_flight: vec![4_096],
        };
        let left = only.of(plan::whole(true));
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].cells.len(), 2);
        let nowhere = Only { in_flight: vec![7], ..only };
        assert!(!nowhere.is_everything() && nowhere.of(plan::whole(true)).is_empty());
    }
}
