//! The replies in flight, from when they are sent until they are delivered or abandoned, and which of them
//! are slow.

use std::time::{Duration, Instant, SystemTime};

use crate::server::{
    job::{OwedReply, Taken},
    running::lanes::Job,
    slabs::Slabs,
};

/// After how long a delivery is slow: longer than a cluster takes to notice a lost broker (9 s by default)
/// and to elect new leaders. A drain waits for deliveries in flight, but not for held ones.
pub(super) const SLOW_AFTER: Duration = Duration::from_secs(15);

/// The replies of a subscription that are in flight.
pub(in crate::server) type InFlightReplies = Slabs<InFlightReply>;

/// A reply in flight, with the job that it ends.
#[derive(Debug)]
pub(in crate::server) struct InFlightReply {
    pub(super) job: Job<Taken>,
    pub(super) reply: OwedReply,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    /// When the reply was first seen in flight. Most replies are delivered before that, and need no clock.
    New(Option<Instant>),
    /// The reply is slow, or goes where others are stuck, and holds its partition. Until when its caller
    /// waits, if known.
    Held(Option<SystemTime>),
}

impl InFlightReply {
    pub(super) fn new(job: Job<Taken>, reply: OwedReply) -> Self {
        Self { job, reply, progress: Progress::New(None) }
    }

    /// Whether the reply is slow and does not hold its partition yet.
    pub(super) fn is_slow(&mut self, now: Instant) -> bool {
        match &mut self.progress {
            Progress::New(seen_at) => {
                now.saturating_duration_since(*seen_at.get_or_insert(now)) >= SLOW_AFTER
            }
            Progress::Held(_) => false,
        }
    }

    /// Notes that the reply holds its partition.
    pub(super) fn hold(&mut self, awaited_until: Option<SystemTime>) {
        self.progress = Progress::Held(awaited_until);
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self.progress, Progress::Held(_))
    }

    /// Until when the caller waits, if the reply is held and that is known.
    pub(super) fn awaited_until(&self) -> Option<SystemTime> {
        match self.progress {
            Progress::New(_) => None,
            Progress::Held(until) => until,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        server::{
            consuming::{pack::Place, packing::Packing},
            running::lanes::Lanes,
            tracking::assigned::Generation,
        },
        wire::{Headers, OutgoingRecord, Placement},
    };

    fn sent_off() -> InFlightReply {
        let (mut packing, mut records) = (Packing::default(), Vec::new());
        let place = Place { partition: 0, offset: 0, timestamp: 0, is_append_time: false };
        packing.add(place, None, None, |_each| Ok(()));
        packing.seal(&"orders".into(), |record| records.push(record));
        let record = records.pop().expect("one was added");
        let mut lanes = Lanes::new(1);
        lanes.push(None, Taken { record, generation: Generation::next(&mut 0), retries: 0 });
        let job = lanes.next().expect("it may run");
        let reply = OutgoingRecord {
            topic: "orders-responses".into(),
            placement: Placement::Any,
            key: None,
            value: None,
            headers: Headers::new(),
        };
        InFlightReply::new(job, OwedReply { record: Arc::new(reply), letter: None })
    }

    #[test]
    fn a_reply_is_slow_once_it_was_seen_for_long_and_until_it_is_held() {
        let (mut reply, now) = (sent_off(), Instant::now());
        assert!(!reply.is_slow(now) && !reply.is_slow(now + SLOW_AFTER / 2));
        assert!(reply.is_slow(now + SLOW_AFTER) && !reply.is_held());
        reply.hold(None);
        assert!(reply.is_held() && !reply.is_slow(now + 2 * SLOW_AFTER));
    }
}
