//! Where replies do not arrive.
//!
//! A reply that is long on its way has had the place of a handler all that time. What goes the same way after it is not given one:
//! callers who wait for less than that would have all places, one after another, of replies that nobody gets.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::wire::{OutgoingRecord, Placement};

/// The ways on which a reply was long, and none has arrived since.
#[derive(Debug, Default)]
pub(super) struct Stuck {
    ways: Mutex<HashSet<(Arc<str>, Placement)>>,
    /// Whether there is one: all that is looked at mostly.
    any: AtomicBool,
}

impl Stuck {
    /// Notes that a reply is long on its way.
    pub(super) fn note(&self, reply: &OutgoingRecord) {
        let mut ways = self.ways();
        ways.insert(way(reply));
        self.any.store(true, Ordering::Relaxed);
    }

    /// Notes that a reply has arrived.
    pub(super) fn arrived(&self, reply: &OutgoingRecord) {
        if self.any.load(Ordering::Relaxed) {
            let mut ways = self.ways();
            ways.remove(&way(reply));
            self.any.store(!ways.is_empty(), Ordering::Relaxed);
        }
    }

    /// Whether a reply goes such a way.
    pub(super) fn is_met_by(&self, reply: &OutgoingRecord) -> bool {
        self.any.load(Ordering::Relaxed) && self.ways().contains(&way(reply))
    }

    fn ways(&self) -> MutexGuard<'_, HashSet<(Arc<str>, Placement)>> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn way(reply: &OutgoingRecord) -> (Arc<str>, Placement) {
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
        let met = |stuck: &Stuck| [0, 1].map(|partition| stuck.is_met_by(&reply(partition)));
        assert_eq!(met(&stuck), [false, false]);
        stuck.note(&reply(1));
        assert_eq!(met(&stuck), [false, true]);
        stuck.arrived(&reply(0));
        assert_eq!(met(&stuck), [false, true]);
        stuck.arrived(&reply(1));
        assert_eq!(met(&stuck), [false, false]);
    }
}
