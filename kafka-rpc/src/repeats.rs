//! What librdkafka says again and again while it lasts: it is told once, and then now and then.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::unpoisoned::Unpoisoned as _;

/// How soon what lasts is told again. Every client of a process hears of a broker that is away about once a second.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// What was told, and when. Of few kinds: it is kept for as long as its client lives.
#[derive(Debug, Default)]
pub(crate) struct Repeats(Mutex<HashMap<String, Instant>>);

impl Repeats {
    /// Whether this is to be told: it was not for a while.
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

    /// It is over: the next is news.
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
