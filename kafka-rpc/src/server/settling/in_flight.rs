//! The replies in flight, from when they are sent until they are delivered or abandoned, and which of them
//! are slow.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use super::stuck::Stuck;
use crate::server::{
    job::{EndedJob, Job, OwedReply},
    slabs::Slabs,
};

/// After how long a delivery is slow: longer than a cluster takes to notice a lost broker (9 s by default)
/// and to elect new leaders. A drain waits for deliveries in flight, but not for held ones.
pub(super) const SLOW_AFTER: Duration = Duration::from_secs(15);

/// How many bytes the abandoned replies of a subscription may take in librdkafka's queue: if they filled the
/// queue, everything that the process sends would wait behind them.
const MOST_ABANDONED: usize = 64 << 20;

/// The replies of a subscription that are in flight.
#[derive(Debug, Default)]
pub(in crate::server) struct InFlightReplies {
    /// Those that were sent, and are neither acknowledged nor abandoned yet.
    pub(super) sent: Slabs<InFlightReply>,
    pub(super) stuck: Stuck,
    pub(super) abandoned: Abandoned,
    /// The jobs whose replies were delivered, and that have not ended yet.
    pub(super) delivered: Mutex<Vec<EndedJob>>,
}

/// How many bytes the abandoned replies take that librdkafka still has in its queue.
#[derive(Debug, Default)]
pub(super) struct Abandoned(AtomicUsize);

impl Abandoned {
    /// Counts a reply of this weight; false if they may take no more. One that must go always counts.
    pub(super) fn reserve(&self, weight: usize, must_go: bool) -> bool {
        let has_room = self.0.fetch_add(weight, Ordering::Relaxed) < MOST_ABANDONED;
        if !has_room && !must_go {
            self.left(weight);
        }
        has_room || must_go
    }

    /// Notes that librdkafka has dropped a reply, or delivered it.
    pub(super) fn left(&self, weight: usize) {
        self.0.fetch_sub(weight, Ordering::Relaxed);
    }
}

/// A reply in flight, with the job that it ends.
#[derive(Debug)]
pub(super) struct InFlightReply {
    pub(super) job: Job,
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
    pub(super) fn new(job: Job, reply: OwedReply) -> Self {
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
            consuming::pack::Packed, job::Taken, running::lanes::Lanes, tracking::assigned::Generation,
        },
        wire::{Headers, OutgoingRecord, Placement},
    };

    fn sent_off() -> InFlightReply {
        let record = Packed::blank();
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
    fn abandoned_replies_take_no_more_than_their_bound_unless_they_must_go() {
        let abandoned = Abandoned::default();
        assert!(abandoned.reserve(MOST_ABANDONED, false));
        assert!(!abandoned.reserve(1, false), "there is no room");
        assert!(abandoned.reserve(1, true), "nothing can wait for it");
        abandoned.left(1);
        abandoned.left(MOST_ABANDONED);
        assert!(abandoned.reserve(MOST_ABANDONED, false), "and what was refused takes none");
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
