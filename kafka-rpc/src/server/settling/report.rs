//! Logs and counts what happens to records and handlers, for the operators of a service.

use std::time::{Duration, SystemTime};

use crate::{
    server::{handling::outcome::Failed, job::Taken, worker::Worker},
    telemetry,
    wire::ReceivedRecord,
};

/// The age below which an expired record is suspicious.
const FRESH: Duration = Duration::from_secs(1);

impl Worker {
    /// Counts a failure, and logs its record's offset, its handler and its status. The error's message may
    /// contain user data, so it goes only to the dead letter and the caller.
    pub(in crate::server) fn report(
        &self,
        taken: &Taken,
        record: &ReceivedRecord,
        failed: &Failed,
        what: &str,
    ) {
        let Failed { error, handler } = failed;
        let retries = taken.retries.saturating_add(self.served.retries_before(record.headers()));
        telemetry::failed(&self.served.topic, &self.served.group, error.status());
        tracing::warn!(
            topic = %record.topic, partition = record.partition, offset = record.offset, group = %self.served.group,
            handler = handler.map(tracing::field::display), status = error.status().as_u16(), name = error.name_to_log(),
            retries,
            "{what}"
        );
    }

    /// Reports a failure that is answered with an error reply. The caller's own fault is seldom worth a line,
    /// so its log level is debug.
    pub(in crate::server) fn report_answered(&self, taken: &Taken, record: &ReceivedRecord, failed: &Failed) {
        let Failed { error, handler } = failed;
        if error.status().is_server_error() {
            return self.report(
                taken,
                record,
                failed,
                "a record failed for good, and an error reply is sent",
            );
        }
        telemetry::failed(&self.served.topic, &self.served.group, error.status());
        tracing::debug!(
            topic = %record.topic, partition = record.partition, offset = record.offset, group = %self.served.group,
            handler = handler.map(tracing::field::display), status = error.status().as_u16(), name = error.name_to_log(),
            "a record was answered with a client error"
        );
    }

    /// Logs a record that nobody waited for any more.
    ///
    /// A record that was produced just now and has expired already comes from a host whose clock differs from
    /// ours, or from a caller who could not wait at all.
    pub(in crate::server) fn report_expired(&self, record: &ReceivedRecord) {
        let ReceivedRecord { topic, partition, offset, .. } = record;
        let group = &self.served.group;
        tracing::debug!(%topic, partition, offset, %group, "expired");
        let age = record.timestamp.and_then(|made| SystemTime::now().duration_since(made).ok());
        if age.is_none_or(|age| age < FRESH) {
            tracing::warn!(
                %topic, partition, offset, %group, ?age,
                "a fresh request had already expired when it arrived; do the clocks of this host and its caller agree?"
            );
        }
    }

    /// Logs a record whose reply was not delivered while its caller waited.
    pub(super) fn report_reply_expired(&self, taken: &Taken) {
        tracing::debug!(
            topic = %self.source, partition = taken.record.partition(), offset = taken.record.offset(),
            group = %self.served.group, "a reply expired before it could be delivered"
        );
    }

    /// Logs the handlers that have run for longer than `slow_handler`, by name.
    pub(crate) fn report_slow(&self) {
        for slow in self.handling.watch.longer_than(self.slow_handler) {
            let record = &slow.input.record;
            telemetry::slow(&record.topic, &slow.input.group);
            tracing::warn!(
                handler = %slow.handler, topic = %record.topic, partition = record.partition,
                offset = record.offset, group = %slow.input.group,
                running_for_at_least = ?slow.seen_for,
                "a handler has been running for a long time; the records that are ordered behind its record wait"
            );
        }
    }
}
