//! The records that the consumer thread has received since it last took records.

use std::sync::Arc;

use super::{pack::Packed, packing::Packing};
use crate::{
    handler::Ordering,
    server::running::lanes::{Keys, Lane},
};

/// Records that were received and are not taken yet. Each has its lane, which is found without locking the
/// lanes.
#[derive(Debug)]
pub(in crate::server) struct Intake {
    topic: Arc<str>,
    keys: Keys,
    packing: Packing,
    sealed: Vec<(Option<Lane>, Packed)>,
}

impl Intake {
    pub(in crate::server) fn new(topic: Arc<str>, ordering: Ordering) -> Self {
        Self { topic, keys: Keys::new(ordering), packing: Packing::default(), sealed: Vec::new() }
    }

    /// Packs a record with others. Returns its weight.
    pub(super) fn receive(&mut self, pack: impl FnOnce(&mut Packing) -> usize) -> usize {
        let weight = pack(&mut self.packing);
        if self.packing.is_full() {
            self.seal();
        }
        weight
    }

    /// Takes out the received records.
    pub(super) fn received(&mut self) -> impl Iterator<Item = (Option<Lane>, Packed)> {
        self.seal();
        self.sealed.drain(..)
    }

    fn seal(&mut self) {
        let Self { topic, keys, packing, sealed } = self;
        packing.seal(topic, |record| sealed.push((keys.lane(record.partition(), record.key()), record)));
    }
}
