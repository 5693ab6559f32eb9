//! The destinations where replies do not arrive.
//!
//! A reply that is long in flight has kept a handler's place all that time. The replies that follow to the
//! same destination get no place: otherwise those with callers who wait for less than that would take all
//! places, one after another, and none of them would arrive.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    unpoisoned::Unpoisoned as _,
    wire::{OutgoingRecord, Placement},
};

/// The destinations with a reply that was long in flight, and none that has arrived since.
#[derive(Debug, Default)]
pub(super) struct Stuck {
    destinations: Mutex<HashSet<(Arc<str>, Placement)>>,
    /// Whether there are any destinations. Mostly this is all that is read.
    any: AtomicBool,
}

impl Stuck {
    /// Notes that a reply is long in flight.
    pub(super) fn note(&self, reply: &OutgoingRecord) {
        let mut destinations = self.destinations();
        destinations.insert(destination(reply));
        self.any.store(true, Ordering::Relaxed);
    }

    /// Notes that a reply has arrived.
    pub(super) fn arrived(&self, reply: &OutgoingRecord) {
        if self.any.load(Ordering::Relaxed) {
            let mut destinations = self.destinations();
            destinations.remove(&destination(reply));
            self.any.store(!destinations.is_empty(), Ordering::Relaxed);
        }
    }

    /// Whether a reply goes to one of these destinations.
    pub(super) fn blocks(&self, reply: &OutgoingRecord) -> bool {
        self.any.load(Ordering::Relaxed) && self.destinations().contains(&destination(reply))
    }

    fn destinations(&self) -> MutexGuard<'_, HashSet<(Arc<str>, Placement)>> {
        self.destinations.lock().unpoisoned()
    }
}

fn destination(reply: &OutgoingRecord) -> (Arc<str>, Placement) {
    (Arc::clone(&reply.topic), reply.placement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Headers;

    #[test]
    fn a_way_is_stuck_until_a_reply_arrives_on_it_and_no_other_is() {
        let reply = |partition| OutgoingRecord {
            topic: "orders-responses".into(),
            placement: Placement::Partition(partition),
            key: None,
            value: None,
            headers: Headers::new(),
        };
        let stuck = Stuck::default();
        let met = |stuck: &Stuck| [0, 1].map(|partition| stuck.blocks(&reply(partition)));
        assert_eq!(met(&stuck), [false, false]);
        stuck.note(&reply(1));
        assert_eq!(met(&stuck), [false, true]);
        stuck.arrived(&reply(0));
        assert_eq!(met(&stuck), [false, true]);
        stuck.arrived(&reply(1));
        assert_eq!(met(&stuck), [false, false]);
    }
}
