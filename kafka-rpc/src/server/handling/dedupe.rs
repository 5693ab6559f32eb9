//! Keeps answers, so that a repeated request gets its answer without running its handler twice.
//!
//! Answers are kept in one instance and for a limited time: a repeat that reaches another instance, or comes
//! after a restart, runs the handler again.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Mutex,
    time::{Duration, Instant},
};

use bytes::Bytes;

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

impl Dedupe {
    /// Returns the answer that is kept for this request, unless its time is over.
    pub(crate) fn answer(&self, request: &Request, now: Instant) -> Option<Reply> {
        let answers = self.answers.lock().unpoisoned();
        let kept = answers.kept.by_request.get(request)?;
        (now <= kept.until).then(|| kept.reply.clone())
    }

    /// Keeps an answer for `lasts`.
    pub(crate) fn keep(&self, request: &Request, reply: Reply, lasts: Duration, now: Instant) {
        let reply = match reply {
            // Serializing doubles the room of a reply as it grows, and all of that room would be kept.
            Reply::Data(data) => Reply::Data(Bytes::copy_from_slice(&data)),
            reply => reply,
        };
        let mut answers = self.answers.lock().unpoisoned();
        let (request, until) = (request.copied(), moment::after(now, lasts));
        answers.order.entry(lasts).or_default().push_back((request.clone(), now));
        answers.kept.insert(request, Kept { reply, at: now, until });
        answers.make_room(now);
    }
}

impl Answers {
    /// Drops the expired answers and, if the rest is still too much, the oldest of the rest.
    fn make_room(&mut self, now: Instant) {
        let Self { kept, order } = self;
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
        assert_eq!(dedupe.answer(&first, now + lasts), Some(Reply::Empty));
        assert_eq!(dedupe.answer(&first, now + 2 * lasts), None);
        assert_eq!(dedupe.answer(&request(HandlerId::next(), "c-1"), now), None);
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
        let kept = |request| dedupe.answer(&request, now).is_some();
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
        let kept = |id: &'static str| dedupe.answer(&request(handler, id), now).is_some();
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
        assert_eq!(dedupe.answer(&payment, now), Some(Reply::Empty));
    }
}
