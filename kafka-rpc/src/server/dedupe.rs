//! The answers that are kept to answer a repeated request with, instead of running its handler twice.
//!
//! In one instance and for a time: a repetition that another instance gets, or one after a restart, runs again.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;

use crate::{Reply, handler::Location};

/// How many answers are kept at most; the oldest goes first.
const MOST_ANSWERS: usize = 100_000;

/// Whose answer it is: two handlers may get the same correlation id.
type Request = (Location, Bytes);

/// The kept answers of a process.
#[derive(Debug, Default)]
pub(crate) struct Dedupe {
    answers: Mutex<Answers>,
}

#[derive(Debug, Default)]
struct Answers {
    kept: HashMap<Request, (Reply, Instant)>,
    /// In the order of keeping. One that was kept again stands here twice; the earlier is skipped.
    order: VecDeque<(Request, Instant)>,
}

impl Dedupe {
    /// The first answer to this request, if it was given within `keep`.
    pub(crate) fn answer(
        &self,
        handler: Location,
        id: &Bytes,
        keep: Duration,
        now: Instant,
    ) -> Option<Reply> {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (reply, at) = answers.kept.get(&(handler, id.clone()))?;
        (now.saturating_duration_since(*at) <= keep).then(|| reply.clone())
    }

    /// Keeps an answer.
    pub(crate) fn keep(&self, handler: Location, id: Bytes, reply: Reply, now: Instant) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let request = (handler, id);
        answers.kept.insert(request.clone(), (reply, now));
        answers.order.push_back((request, now));
        while answers.order.len() > MOST_ANSWERS {
            let Some((oldest, at)) = answers.order.pop_front() else { break };
            if answers.kept.get(&oldest).is_some_and(|(_, kept_at)| *kept_at == at) {
                answers.kept.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Location = Location { file: file!(), line: line!() };

    #[test]
    fn an_answer_is_kept_for_its_time_and_for_its_handler() {
        let dedupe = Dedupe::default();
        let (now, keep) = (Instant::now(), Duration::from_secs(10));
        let id = Bytes::from_static(b"c-1");
        dedupe.keep(HERE, id.clone(), Reply::Empty, now);
        assert_eq!(dedupe.answer(HERE, &id, keep, now + keep), Some(Reply::Empty));
        assert_eq!(dedupe.answer(HERE, &id, keep, now + 2 * keep), None);
        assert_eq!(dedupe.answer(Location { line: 0, ..HERE }, &id, keep, now), None);
    }

    #[test]
    fn the_oldest_answer_goes_when_there_are_too_many() {
        let dedupe = Dedupe::default();
        let now = Instant::now();
        for number in 0..=MOST_ANSWERS {
            dedupe.keep(HERE, number.to_string().into(), Reply::Empty, now);
        }
        let kept = |id: &'static str| dedupe.answer(HERE, &id.into(), Duration::from_secs(1), now).is_some();
        assert_eq!((kept("0"), kept("1")), (false, true));
        assert_eq!(dedupe.answers.lock().expect("no panic").order.len(), MOST_ANSWERS);
    }
}
