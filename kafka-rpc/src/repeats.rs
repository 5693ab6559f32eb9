//! Errors that librdkafka repeats as long as they last: each is logged once, and then from time to time.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::unpoisoned::Unpoisoned as _;

/// How soon a lasting error is logged again. Every client of a process reports a broker that is away about
/// once a second.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// When each kind of error was last logged. The kinds are few, so the entries may stay as long as the client
/// lives.
#[derive(Debug, Default)]
pub(crate) struct Repeats(Mutex<HashMap<String, Instant>>);

impl Repeats {
    /// Returns whether to log `what`, and notes that it is logged: true unless it was logged a short while
    /// ago.
    pub(crate) fn is_news(&self, what: &str) -> bool {
        self.is_news_at(what, Instant::now())
    }

    fn is_news_at(&self, what: &str, now: Instant) -> bool {
        let mut told = self.0.lock().unpoisoned();
        if told.get(what).is_some_and(|at| now.saturating_duration_since(*at) < AGAIN_AFTER) {
            return false;
        }
        told.insert(what.to_owned(), now);
        true
    }

    /// Forgets what was logged, because the trouble is over: the next error is news.
    pub(crate) fn over(&self) {
        self.0.lock().unpoisoned().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_told_now_and_then_and_at_once_where_it_comes_back() {
        let (repeats, now) = (Repeats::default(), Instant::now());
        assert!(repeats.is_news_at("down", now) && !repeats.is_news_at("down", now + AGAIN_AFTER / 2));
        assert!(repeats.is_news_at("refused", now), "that is something else");
        assert!(repeats.is_news_at("down", now + AGAIN_AFTER));
        repeats.over();
        assert!(repeats.is_news_at("down", now + AGAIN_AFTER));
    }
}
