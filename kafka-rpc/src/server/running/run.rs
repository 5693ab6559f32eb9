//! Runs a record.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt as _;

use crate::{
    handler::context::Input,
    moment,
    server::{
        job::{Step, Taken},
        worker::Worker,
    },
    wire::{ReceivedRecord, retry},
};

/// How far the clocks of hosts may differ before a due time counts as nonsense.
const CLOCKS: Duration = Duration::from_mins(1);

impl Worker {
    /// Runs a record and catches any panic on its way: an uncaught panic would keep the record's lane and
    /// place for ever.
    ///
    /// `input` is where the record is unpacked, in place of the one before.
    pub(super) async fn run_caught(self: &Arc<Self>, taken: &Taken, input: &mut Arc<Input>) -> Step {
        match AssertUnwindSafe(self.run(taken, input)).catch_unwind().await {
            Ok(step) => step,
            Err(_panic) => self.fail_after_panic(taken).await,
        }
    }

    async fn run(self: &Arc<Self>, taken: &Taken, input: &mut Arc<Input>) -> Step {
        match Arc::get_mut(input) {
            Some(before) => taken.record.unpack_into(&mut before.record),
            // The report of a slow handler still reads the input of the record before.
            None => *input = Arc::new(self.handling.input(&self.served, taken.record.unpack())),
        }
        if let Some(wait) = self.not_yet_due(&input.record) {
            return Step::NotYet(wait);
        }
        let outcome = self.handling.handle(&self.served, input, taken.retries, moment::both_clocks).await;
        self.settle(taken, &input.record, outcome).await
    }

    /// How long a record of the retry topic still has to wait.
    fn not_yet_due(&self, record: &ReceivedRecord) -> Option<Duration> {
        if !self.reads_retries() {
            return None;
        }
        let due = retry::due(record.headers.as_ref().ok()?)?;
        let wait = due.duration_since(SystemTime::now()).ok()?;
        // A record that is due later was not written by us, or was written by another clock: the records
        // behind it must not wait for that.
        (!wait.is_zero() && wait <= self.longest_delay.saturating_add(CLOCKS)).then_some(wait)
    }
}
