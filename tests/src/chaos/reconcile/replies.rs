//! Whether every reply that is owed exists, and every reply that exists was seen.

use std::collections::HashMap;

use super::{
    super::ledger::{Evidence, LogEntry, Moment, Place},
    Verdict, Violation,
};

/// How far the entries of two threads of a caller may be out of order, in microseconds: each thread writes
/// its entry when it gets to run.
const UNSURE: u64 = 50_000;

/// The replies in the log, by command.
#[derive(Debug, Default)]
pub(super) struct Replies {
    of: HashMap<u64, Vec<Place>>,
    /// For each caller and each partition that it reads: by when it had certainly read past an offset.
    read_beyond: HashMap<(usize, i32), ReadBeyond>,
}

/// Offsets in order, each with the earliest moment at which a reply at or after it was seen.
#[derive(Debug, Default)]
struct ReadBeyond(Vec<(i64, Moment)>);

impl Replies {
    pub(super) fn of(evidence: &Evidence, verdict: &mut Verdict) -> Self {
        let mut replies = Self::default();
        for entry in &evidence.log {
            let LogEntry::Reply { place, id } = entry else { continue };
            match id {
                Some(id) => replies.of.entry(*id).or_default().push(*place),
                None => verdict.violations.push(Violation::Stray { place: *place }),
            }
        }
        replies
    }

    /// Notes that a caller has seen the reply to a command. If the log has several replies, which one the
    /// caller saw is unknown, and none is noted.
    pub(super) fn seen(&mut self, caller: usize, id: u64, at: Moment) {
        if let Some([place]) = self.of.get(&id).map(Vec::as_slice) {
            self.read_beyond.entry((caller, place.partition)).or_default().0.push((place.offset, at));
        }
    }

    /// Completes the notes. Must be called after the last [`seen`](Self::seen).
    pub(super) fn all_seen(&mut self) {
        for ReadBeyond(seen) in self.read_beyond.values_mut() {
            seen.sort_unstable();
            let mut earliest = Moment(u64::MAX);
            for (_, at) in seen.iter_mut().rev() {
                earliest = earliest.min(*at);
                *at = earliest;
            }
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.of.values().map(|places| places.len() as u64).sum()
    }

    pub(super) fn is_answered(&self, id: u64) -> bool {
        self.of.contains_key(&id)
    }

    /// Whether a caller had read past a reply to this command before a moment. The replies of a partition are
    /// read in order.
    pub(super) fn was_passed_over(&self, caller: usize, id: u64, before: Moment) -> bool {
        self.of.get(&id).into_iter().flatten().any(|place| {
            let read_beyond = self.read_beyond.get(&(caller, place.partition));
            read_beyond
                .and_then(|read| read.later_than(place.offset))
                .is_some_and(|at| at.0 + UNSURE < before.0)
        })
    }
}

impl ReadBeyond {
    /// The earliest moment at which a reply after this offset was seen.
    fn later_than(&self, offset: i64) -> Option<Moment> {
        let next = self.0.partition_point(|(seen, _)| *seen <= offset);
        self.0.get(next).map(|(_, at)| *at)
    }
}
