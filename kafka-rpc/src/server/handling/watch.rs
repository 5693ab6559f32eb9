//! The running handlers, and how long they have run: a handler that never ends, or never yields, must be
//! found by name. So must a repeated request that waits for a run of the same.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    handler::{context::Input, registry::HandlerName},
    server::slabs::{Slabs, Slot},
};

/// The running handlers of a process.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    running: Slabs<Running>,
}

#[derive(Debug)]
struct Running {
    handler: HandlerName,
    input: Arc<Input>,
    /// The first look after the handler's start. Most handlers have ended before, and need no clock.
    seen_at: Option<Instant>,
    /// How long the handler had run when it was last reported.
    reported_after: Option<Duration>,
}

impl Running {
    /// How long the handler is known to have run.
    fn seen_for(&mut self, now: Instant) -> Duration {
        now.saturating_duration_since(*self.seen_at.get_or_insert(now))
    }

    fn found(&self, seen_for: Duration) -> Found {
        Found { handler: self.handler, input: Arc::clone(&self.input), seen_for }
    }
}

/// A handler that runs.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) handler: HandlerName,
    pub(crate) input: Arc<Input>,
    /// How long the handler is known to have run. The true time may be longer by the time between two looks.
    pub(crate) seen_for: Duration,
}

/// A handler that has run for long.
#[derive(Debug)]
pub(crate) struct Slow {
    pub(crate) found: Found,
    /// Whether this is the first report of it.
    pub(crate) is_first: bool,
}

/// A handler that is watched until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched<'a> {
    watch: &'a Watch,
    slot: Slot,
}

impl Watch {
    /// Watches a handler.
    pub(crate) fn start(&self, handler: HandlerName, input: &Arc<Input>) -> Watched<'_> {
        let running = Running { handler, input: Arc::clone(input), seen_at: None, reported_after: None };
        Watched { watch: self, slot: self.running.insert(running) }
    }

    /// The handlers that are known to have run for longer than `bound`. Each is returned again whenever it has
    /// run for twice as long as the last time: whoever reads the log later must still find it.
    pub(crate) fn longer_than(&self, bound: Duration) -> Vec<Slow> {
        self.longer_than_at(bound, Instant::now())
    }

    fn longer_than_at(&self, bound: Duration, now: Instant) -> Vec<Slow> {
        let mut slow = Vec::new();
        self.running.each(|running| {
            let (seen_for, before) = (running.seen_for(now), running.reported_after);
            if seen_for > bound && before.is_none_or(|before| seen_for >= before.saturating_mul(2)) {
                running.reported_after = Some(seen_for);
                slow.push(Slow { found: running.found(seen_for), is_first: before.is_none() });
            }
        });
        slow
    }

    /// Some of the running handlers, at most `most`, whose input `is_meant`.
    #[cfg(feature = "kafka")]
    pub(crate) fn some(&self, most: usize, is_meant: impl Fn(&Input) -> bool) -> Vec<Found> {
        let now = Instant::now();
        let mut found = Vec::new();
        self.running.each(|running| {
            if found.len() < most && is_meant(&running.input) {
                let seen_for = running.seen_for(now);
                found.push(running.found(seen_for));
            }
        });
        found
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let _running = self.watch.running.remove(self.slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Location, Stub,
        handler::{
            Handler, PayloadSource,
            state::{Provided, States},
        },
        wire::ReceivedRecord,
    };

    fn input(offset: i64) -> Arc<Input> {
        let provided = Arc::new(Provided { states: States::default(), client: Stub::new().client() });
        let record = ReceivedRecord { offset, ..ReceivedRecord::blank() };
        Arc::new(Input { record, group: "group".into(), provided })
    }

    fn name() -> HandlerName {
        let here = Location { file: "orders.rs", line: 7 };
        Handler::every_record(
            PayloadSource::Record,
            "place",
            here,
            |_| {},
            |_| Box::pin(std::future::pending()),
        )
        .name()
    }

    #[test]
    fn a_handler_that_runs_too_long_is_told_of_again_ever_more_seldom_and_not_after_it_has_ended() {
        let (watch, began, second) = (Watch::default(), Instant::now(), Duration::from_secs(1));
        let watched = watch.start(name(), &input(7));
        drop(watch.start(name(), &input(8)));
        let told_after = |seconds| watch.longer_than_at(second, began + second * seconds);
        assert!(told_after(0).is_empty(), "seen for the first time");
        assert!(told_after(1).is_empty(), "no longer than the bound");
        let slow = told_after(2);
        let told = |slow: &Slow| (slow.found.handler.to_string(), slow.found.input.record.offset);
        assert_eq!(slow.iter().map(told).collect::<Vec<_>>(), [("place (orders.rs:7)".to_owned(), 7)]);
        assert!(slow[0].is_first);
        let again: Vec<Vec<bool>> =
            (3..=8).map(|seconds| told_after(seconds).iter().map(|slow| slow.is_first).collect()).collect();
        assert_eq!(again, [vec![], vec![false], vec![], vec![], vec![], vec![false]]);
        drop(watched);
        assert!(told_after(100).is_empty());
    }

    #[cfg(feature = "kafka")]
    #[test]
    fn some_of_the_running_handlers_are_found_by_their_records() {
        let watch = Watch::default();
        let inputs = [1, 2, 3].map(input);
        let _watched = inputs.each_ref().map(|input| watch.start(name(), input));
        let offsets =
            |found: Vec<Found>| found.iter().map(|found| found.input.record.offset).collect::<Vec<_>>();
        assert_eq!(offsets(watch.some(8, |input| input.record.offset != 2)), [1, 3]);
        assert_eq!(watch.some(2, |_| true).len(), 2);
    }
}
