//! Keeps answers, so that a repeated request gets its answer without running its handler twice.
//!
//! A repeat that comes while the handler still runs waits for the answer.
//!
//! Answers are kept in one instance and for a limited time: a repeat that reaches another instance, or comes
//! after a restart, runs the handler again.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::{
    handler::{Reply, registry::HandlerId},
    moment,
    unpoisoned::Unpoisoned as _,
    wire::RequestHeaders,
};

/// How many bytes the kept answers take at most. The oldest go first.
const MOST_BYTES: usize = 64 << 20;

/// What an answer takes besides its data and id: a guess at its share of the tables.
const OVERHEAD: usize = 256;

/// Which request an answer belongs to. The correlation id is not enough: two handlers may get the same one,
/// and so may one handler from two callers that number their requests.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    handler: HandlerId,
    correlation_id: Bytes,
    reply_to: Option<Bytes>,
    reply_partition: Option<i32>,
}

impl Request {
    /// Identifies a request; `None` if it has no correlation id to tell it from others.
    pub(crate) fn of(handler: HandlerId, request: &RequestHeaders) -> Option<Self> {
        let RequestHeaders { correlation_id, reply_to, reply_partition, .. } = request;
        let (correlation_id, reply_to) = (correlation_id.clone()?, reply_to.clone());
        Some(Self { handler, correlation_id, reply_to, reply_partition: *reply_partition })
    }

    /// Copies the ids into fresh memory: keeping an id must not keep the memory of the whole record.
    fn copied(&self) -> Self {
        let copied = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
        let reply_to = self.reply_to.as_ref().map(copied);
        Self { correlation_id: copied(&self.correlation_id), reply_to, ..*self }
    }

    fn weight(&self) -> usize {
        self.correlation_id.len() + self.reply_to.as_ref().map_or(0, Bytes::len)
    }
}

/// The kept answers of a process.
#[derive(Debug, Default)]
pub(crate) struct Dedupe {
    answers: Mutex<Answers>,
}

#[derive(Debug, Default)]
struct Answers {
    /// The requests whose handlers run, each with what tells those that repeat it that its run has ended.
    running: HashMap<Request, Arc<Notify>>,
    kept: Table,
    /// In order of keeping, by how long answers are kept: expired answers are at the front of each queue. An
    /// answer that was kept again has two entries; the earlier is skipped.
    order: BTreeMap<Duration, VecDeque<(Request, Instant)>>,
}

#[derive(Debug, Default)]
struct Table {
    by_request: HashMap<Request, Kept>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    reply: Reply,
    at: Instant,
    until: Instant,
}

impl Kept {
    fn weight(&self, request: &Request) -> usize {
        OVERHEAD + request.weight() + if let Reply::Data(data) = &self.reply { data.len() } else { 0 }
    }
}

/// What a request does.
#[derive(Debug)]
pub(crate) enum Turn<'a> {
    /// It repeats an earlier one, and gets its answer.
    Repeats(Reply),
    /// It runs its handler.
    Runs(Running<'a>),
}

/// A request whose handler runs. Those that repeat it wait until this is dropped.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    dedupe: &'a Dedupe,
    request: Request,
}

impl Running<'_> {
    /// Keeps the answer for `lasts`.
    pub(crate) fn keep(self, reply: Reply, lasts: Duration) {
        self.dedupe.keep(&self.request, reply, lasts, moment::now());
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let ended = self.dedupe.answers().running.remove(&self.request);
        if let Some(ended) = ended {
            ended.notify_waiters();
        }
    }
}

impl Dedupe {
    /// Waits until no other run of this request is under way; then returns its answer, or lets it run.
    pub(crate) async fn turn(&self, request: &Request) -> Turn<'_> {
        loop {
            let running: Arc<Notify>;
            let ended;
            {
                let mut answers = self.answers();
                if let Some(answer) = answers.answer(request, moment::now()) {
                    return Turn::Repeats(answer);
                }
                let Some(other) = answers.running.get(request) else {
                    let request = request.copied();
                    answers.running.insert(request.clone(), Arc::default());
                    return Turn::Runs(Running { dedupe: self, request });
                };
                running = Arc::clone(other);
                // Under the lock, so that it hears of an end that comes right after.
                ended = running.notified();
            }
            ended.await;
        }
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unpoisoned()
    }

    /// Keeps an answer for `lasts`.
    fn keep(&self, request: &Request, reply: Reply, lasts: Duration, now: Instant) {
        let reply = match reply {
            // Serializing doubles the room of a reply as it grows, and all of that room would be kept.
            Reply::Data(data) => Reply::Data(Bytes::copy_from_slice(&data)),
            reply => reply,
        };
        let mut answers = self.answers();
        let (request, until) = (request.copied(), moment::after(now, lasts));
        answers.order.entry(lasts).or_default().push_back((request.clone(), now));
        answers.kept.insert(request, Kept { reply, at: now, until });
        answers.make_room(now);
    }
}

impl Answers {
    /// Returns the answer that is kept for this request, unless its time is over.
    fn answer(&self, request: &Request, now: Instant) -> Option<Reply> {
        let kept = self.kept.by_request.get(request)?;
        (now <= kept.until).then(|| kept.reply.clone())
    }

    /// Drops the expired answers and, if the rest is still too much, the oldest of the rest.
    fn make_room(&mut self, now: Instant) {
        let Self { kept, order, .. } = self;
        for queue in order.values_mut() {
            while let Some((request, at)) = queue.front()
                && kept.of(request, *at).is_none_or(|kept| now > kept.until)
            {
                kept.forget(request, *at);
                queue.pop_front();
            }
        }
        while kept.bytes > MOST_BYTES
            && let Some(queue) = order
                .values_mut()
                .filter(|queue| !queue.is_empty())
                .min_by_key(|queue| queue.front().map(|(_, at)| *at))
            && let Some((request, at)) = queue.pop_front()
        {
            kept.forget(&request, at);
        }
    }
}

impl Table {
    fn insert(&mut self, request: Request, kept: Kept) {
        self.bytes += kept.weight(&request);
        if let Some(replaced) = self.by_request.get(&request) {
            self.bytes -= replaced.weight(&request);
        }
        self.by_request.insert(request, kept);
    }

    /// The answer that was kept at `at`, unless the request was kept again since.
    fn of(&self, request: &Request, at: Instant) -> Option<&Kept> {
        self.by_request.get(request).filter(|kept| kept.at == at)
    }

    fn forget(&mut self, request: &Request, at: Instant) {
        if let Some(kept) = self.of(request, at) {
            self.bytes -= kept.weight(request);
            self.by_request.remove(request);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;

    use super::*;

    fn request(handler: HandlerId, id: impl Into<Bytes>) -> Request {
        Request { handler, correlation_id: id.into(), reply_to: None, reply_partition: None }
    }

    #[test]
    fn an_answer_is_kept_for_its_time_and_for_its_handler() {
        let (dedupe, handler) = (Dedupe::default(), HandlerId::next());
        let (now, lasts) = (Instant::now(), Duration::from_secs(10));
        let first = request(handler, "c-1");
        dedupe.keep(&first, Reply::Empty, lasts, now);
        assert_eq!(dedupe.answers().answer(&first, now + lasts), Some(Reply::Empty));
        assert_eq!(dedupe.answers().answer(&first, now + 2 * lasts), None);
        assert_eq!(dedupe.answers().answer(&request(HandlerId::next(), "c-1"), now), None);
    }

    #[test]
    fn a_caller_that_counts_as_another_does_is_not_given_the_others_answer() {
        let (dedupe, handler) = (Dedupe::default(), HandlerId::next());
        let now = Instant::now();
        let of = |reply_to: &'static str, partition| Request {
            reply_to: Some(reply_to.into()),
            reply_partition: partition,
            ..request(handler, "1")
        };
        dedupe.keep(&of("a", Some(0)), Reply::Empty, Duration::from_secs(1), now);
        let kept = |request| dedupe.answers().answer(&request, now).is_some();
        assert_eq!([of("a", Some(0)), of("a", Some(1)), of("b", Some(0))].map(kept), [true, false, false]);
    }

    #[test]
    fn the_oldest_answers_go_when_there_is_too_much_of_them() {
        let (dedupe, handler) = (Dedupe::default(), HandlerId::next());
        let now = Instant::now();
        for number in 0..5 {
            let data = Reply::Data(vec![0; MOST_BYTES / 4].into());
            dedupe.keep(&request(handler, number.to_string()), data, Duration::from_mins(1), now);
        }
        let kept = |id: &'static str| dedupe.answers().answer(&request(handler, id), now).is_some();
        assert_eq!([kept("0"), kept("1"), kept("2"), kept("4")], [false, false, true, true]);
    }

    #[test]
    fn a_long_correlation_id_takes_its_own_room() {
        let (dedupe, handler) = (Dedupe::default(), HandlerId::next());
        let now = Instant::now();
        for number in 0..5_u8 {
            let id = vec![number; MOST_BYTES / 4];
            dedupe.keep(&request(handler, id), Reply::Empty, Duration::from_mins(1), now);
        }
        assert_eq!(dedupe.answers.lock().expect("no panic").kept.by_request.len(), 3);
    }

    #[test]
    fn what_has_had_its_time_takes_no_room() {
        let (dedupe, handler) = (Dedupe::default(), HandlerId::next());
        let (mut now, lasts) = (Instant::now(), Duration::from_secs(1));
        for number in 0..1_000 {
            dedupe.keep(&request(handler, number.to_string()), Reply::Empty, lasts, now);
            now += lasts / 2;
        }
        let answers = dedupe.answers.lock().expect("no panic");
        let bytes = 3 * (OVERHEAD + "997".len());
        assert_eq!((answers.kept.by_request.len(), answers.kept.bytes), (3, bytes));
        assert_eq!(answers.order[&lasts].len(), 3);
    }

    #[test]
    fn what_has_had_its_time_takes_no_room_from_what_is_kept_for_longer() {
        let (dedupe, handler) = (Dedupe::default(), HandlerId::next());
        let (mut now, lasts) = (Instant::now(), Duration::from_secs(1));
        let payment = request(handler, "a payment");
        dedupe.keep(&payment, Reply::Empty, Duration::from_hours(24), now);
        for number in 0..20 {
            let data = Reply::Data(vec![0; MOST_BYTES / 4].into());
            dedupe.keep(&request(handler, number.to_string()), data, lasts, now);
            now += lasts / 2;
        }
        assert_eq!(dedupe.answers().answer(&payment, now), Some(Reply::Empty));
    }

    #[tokio::test]
    async fn a_repeat_that_comes_during_the_run_waits_for_the_answer_and_runs_only_where_there_is_none() {
        let (dedupe, own) = (Dedupe::default(), request(HandlerId::next(), "c-1"));
        let Turn::Runs(running) = dedupe.turn(&own).await else { panic!("nothing was kept") };
        let mut repeat = pin!(dedupe.turn(&own));
        assert!(repeat.as_mut().now_or_never().is_none());
        drop(running);
        let Turn::Runs(running) = repeat.await else { panic!("the run before it had no answer") };
        let mut repeat = pin!(dedupe.turn(&own));
        assert!(repeat.as_mut().now_or_never().is_none());
        running.keep(Reply::Empty, Duration::from_mins(1));
        let Turn::Repeats(Reply::Empty) = repeat.await else { panic!("the run before it had an answer") };
        assert!(dedupe.answers().running.is_empty());
    }
}
