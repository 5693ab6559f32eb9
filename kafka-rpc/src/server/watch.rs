//! The handlers that run, and for how long: one that never ends, or never yields, must be found by name.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use slab::Slab;

use super::received::Received;
use crate::handler::Location;

/// The handlers that run in a process.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    running: Mutex<Slab<Running>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) handler: Location,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) since: Instant,
    reported: bool,
}

/// A handler that is watched until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched<'a> {
    watch: &'a Watch,
    id: usize,
}

impl Watch {
    /// Watches a handler.
    pub(crate) fn start(&self, handler: Location, record: &Received) -> Watched<'_> {
        let running = Running {
            handler,
            topic: Arc::clone(&record.topic),
            partition: record.partition,
            offset: record.offset,
            since: Instant::now(),
            reported: false,
        };
        let id = self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(running);
        Watched { watch: self, id }
    }

    /// The handlers that have run for longer than this; each is told once.
    pub(crate) fn longer_than(&self, bound: Duration) -> Vec<Running> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let slow =
            running.iter_mut().filter(|(_, running)| !running.reported && running.since.elapsed() > bound);
        slow.map(|(_, running)| {
            running.reported = true;
            running.clone()
        })
        .collect()
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        // It is there until now, and so is nothing else under its number.
        let _removed = self.watch.running.lock().unwrap_or_else(PoisonError::into_inner).try_remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_that_runs_too_long_is_told_once_and_not_after_it_has_ended() {
        let watch = Watch::default();
        let record = Received {
            topic: "t".into(),
            partition: 3,
            offset: 7,
            timestamp: None,
            is_append_time: false,
            key: None,
            value: None,
            headers: Ok(crate::Headers::new()),
        };
        let here = Location { file: file!(), line: line!() };
        let watched = watch.start(here, &record);
        let ended = watch.start(here, &record);
        drop(ended);
        std::thread::sleep(Duration::from_millis(2));
        let slow = watch.longer_than(Duration::from_millis(1));
        assert_eq!(slow.iter().map(|slow| (slow.handler, slow.offset)).collect::<Vec<_>>(), [(here, 7)]);
        assert!(watch.longer_than(Duration::from_millis(1)).is_empty());
        drop(watched);
    }
}
