//! Where replies do not arrive.
//!
//! A reply that is long on its way has had the place of a handler all that time. What goes the same way after it is not given one:
//! callers who wait for less than that would have all places, one after another, of replies that nobody gets.

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

/// The destinations on which a reply was long, and none has arrived since.
#[derive(Debug, Default)]
pub(super) struct Stuck {
    destinations: Mutex<HashSet<(Arc<str>, Placement)>>,
    /// Whether there is one: all that is looked at mostly.
    any: AtomicBool,
}

impl Stuck {
    /// Notes that a reply is long on its way.
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

    /// Whether a reply goes such a way.
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
