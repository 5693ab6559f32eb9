//! The running handlers, and how long they have run: a handler that never ends, or never yields, must be
//! found by name.

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
    reported: bool,
}

/// A handler that has run for long.
#[derive(Debug)]
pub(crate) struct Slow {
    pub(crate) handler: HandlerName,
    pub(crate) input: Arc<Input>,
    /// How long the handler is known to have run. The true time may be longer by the time between two looks.
    pub(crate) seen_for: Duration,
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
        let running = Running { handler, input: Arc::clone(input), seen_at: None, reported: false };
        Watched { watch: self, slot: self.running.insert(running) }
    }

    /// The handlers that are known to have run for longer than `bound`. Each is returned once.
    pub(crate) fn longer_than(&self, bound: Duration) -> Vec<Slow> {
        let now = Instant::now();
        let mut found = Vec::new();
        self.running.each(|running| {
            let seen_for = now.saturating_duration_since(*running.seen_at.get_or_insert(now));
            if !running.reported && seen_for > bound {
                running.reported = true;
                let (handler, input) = (running.handler, Arc::clone(&running.input));
                found.push(Slow { handler, input, seen_for });
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

    #[test]
    fn a_handler_that_runs_too_long_is_told_once_and_not_after_it_has_ended() {
        let watch = Watch::default();
        let provided = Arc::new(Provided { states: States::default(), client: Stub::new().client() });
        let record = ReceivedRecord { offset: 7, ..ReceivedRecord::blank() };
        let input = Arc::new(Input { record, group: "group".into(), provided });
        let here = Location { file: "orders.rs", line: 7 };
        let handler = Handler::every_record(
            PayloadSource::Record,
            "place",
            here,
            |_| {},
            |_| Box::pin(std::future::pending()),
        );
        let name = handler.name();
        let watched = watch.start(name, &input);
        let ended = watch.start(name, &input);
        drop(ended);
        assert!(watch.longer_than(Duration::ZERO).is_empty(), "seen for the first time");
        std::thread::sleep(Duration::from_millis(2));
        let slow = watch.longer_than(Duration::from_millis(1));
        assert_eq!(
            slow.iter().map(|slow| (slow.handler.to_string(), slow.input.record.offset)).collect::<Vec<_>>(),
            [("place (orders.rs:7)".to_owned(), 7)]
        );
        assert!(watch.longer_than(Duration::from_millis(1)).is_empty());
        drop(watched);
    }
}
