//! What repeats as long as it lasts: each kind is logged once, and then from time to time.

use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use crate::unpoisoned::Unpoisoned as _;

/// How soon what lasts is logged again. Every client of a process reports a broker that is away about once a
/// second.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// How many kinds are told apart. What others write, such as the name of an error, may be part of a kind, and
/// must not fill the memory.
const MOST: usize = 1_024;

/// What the kinds beyond [`MOST`] count as.
const ALL_OTHERS: &str = "";

/// When each kind was last logged.
#[derive(Debug, Default)]
pub(crate) struct Repeats(Mutex<HashMap<String, Told>>);

#[derive(Debug)]
struct Told {
    at: Instant,
    /// How many have come since.
    not_shown: u64,
}

impl Repeats {
    /// Returns whether to log `what`, and notes that it is logged: true unless it was logged a short while
    /// ago.
    pub(crate) fn is_news(&self, what: &str) -> bool {
        self.news(what).is_some()
    }

    /// The same as [`is_news`](Self::is_news). If `what` is to be logged, returns how often it has come since
    /// it last was.
    pub(crate) fn news(&self, what: &str) -> Option<u64> {
        self.news_at(what, Instant::now())
    }

    fn news_at(&self, what: &str, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().unpoisoned();
        let is_old = |told: &Told| now.saturating_duration_since(told.at) >= AGAIN_AFTER;
        let what = if told.len() < MOST || told.contains_key(what) {
            what
        } else {
            told.retain(|_, told| !is_old(told));
            if told.len() < MOST { what } else { ALL_OTHERS }
        };
        match told.get_mut(what) {
            Some(before) if !is_old(before) => {
                before.not_shown += 1;
                None
            }
            before => {
                let not_shown = before.map_or(0, |before| before.not_shown);
                told.insert(what.to_owned(), Told { at: now, not_shown: 0 });
                Some(not_shown)
            }
        }
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
        assert_eq!(repeats.news_at("down", now), Some(0));
        assert_eq!(repeats.news_at("down", now + AGAIN_AFTER / 2), None);
        assert_eq!(repeats.news_at("refused", now), Some(0), "that is something else");
        assert_eq!(repeats.news_at("down", now + AGAIN_AFTER), Some(1), "one was not shown");
        assert_eq!(repeats.news_at("down", now + 2 * AGAIN_AFTER), Some(0));
        repeats.over();
        assert_eq!(repeats.news_at("down", now + 2 * AGAIN_AFTER), Some(0));
    }

    #[test]
    fn more_kinds_than_can_be_kept_count_as_one_until_the_old_ones_are_forgotten() {
        let (repeats, now) = (Repeats::default(), Instant::now());
        for kind in 0..MOST {
            assert_eq!(repeats.news_at(&kind.to_string(), now), Some(0));
        }
        assert_eq!(repeats.news_at("one more", now), Some(0));
        assert_eq!(repeats.news_at("and another", now), None);
        assert_eq!(repeats.news_at("7", now), None, "it is still told apart");
        assert_eq!(repeats.0.lock().unpoisoned().len(), MOST + 1);
        assert_eq!(repeats.news_at("another day", now + AGAIN_AFTER), Some(0));
        assert_eq!(repeats.0.lock().unpoisoned().len(), 1);
    }
}
