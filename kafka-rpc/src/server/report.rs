//! Logs and counts what happens to records and handlers, for the operators of a service.

use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::{handling::outcome::Failed, job::Taken, worker::Worker};
use crate::{
    handler::context::Input,
    telemetry,
    wire::{ReceivedRecord, dialect},
};

/// The age below which an expired record is suspicious.
const FRESH: Duration = Duration::from_secs(1);

/// How many of the handlers that outlast a drain are named: enough to see what they have in common.
const NAMED: usize = 8;

impl Worker {
    /// Counts a failure, and logs its record's offset, its handler and its status. The error's message may
    /// contain user data, so it goes only to the dead letter and the caller.
    ///
    /// When a system behind the handlers is down, every record fails: of failures that look the same, one is
    /// logged at warn now and then, with how many were not.
    pub(super) fn report(&self, taken: &Taken, record: &ReceivedRecord, failed: &Failed, what: &str) {
        let Failed { error, handler } = failed;
        let retries = self.served.retries(record, taken.retries);
        telemetry::failed(&self.served.topic, &self.served.group, error.status());
        let (status, name) = (error.status().as_u16(), error.name_to_log());
        let by = handler.map_or_else(String::new, |handler| handler.to_string());
        let news = self.failures.news(&format!("{by} {status} {name} {what}"));
        if let Some(not_shown) = news {
            tracing::warn!(
                topic = %record.topic, partition = record.partition, offset = record.offset, group = %self.served.group,
                handler = handler.map(display), status, name, retries,
                correlation_id = correlation_id(record).map(display), not_shown = (not_shown > 0).then_some(not_shown),
                "{what}"
            );
        } else {
            tracing::debug!(
                topic = %record.topic, partition = record.partition, offset = record.offset, group = %self.served.group,
                handler = handler.map(display), status, name, retries,
                correlation_id = correlation_id(record).map(display),
                "{what}"
            );
        }
    }

    /// Reports a failure that is answered with an error reply. The caller's own fault is seldom worth a line,
    /// so its log level is debug.
    pub(super) fn report_answered(&self, taken: &Taken, record: &ReceivedRecord, failed: &Failed) {
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
            handler = handler.map(display), status = error.status().as_u16(), name = error.name_to_log(),
            correlation_id = correlation_id(record).map(display),
            "a record was answered with a client error"
        );
    }

    /// Logs a record that nobody waited for any more.
    ///
    /// A record that was appended just now, by the broker's clock, and has expired already comes from a host
    /// whose clock differs from ours, or from a caller who could not wait at all.
    pub(super) fn report_expired(&self, record: &ReceivedRecord) {
        let ReceivedRecord { topic, partition, offset, .. } = record;
        let group = &self.served.group;
        tracing::debug!(
            %topic, partition, offset, %group, correlation_id = correlation_id(record).map(display), "expired"
        );
        let age = record.timestamp.and_then(|made| SystemTime::now().duration_since(made).ok());
        if age.is_some_and(|age| age >= FRESH) {
            return;
        }
        if let Some(not_shown) = self.failures.news("expired on arrival") {
            tracing::warn!(
                %topic, partition, offset, %group, ?age, correlation_id = correlation_id(record).map(display),
                not_shown = (not_shown > 0).then_some(not_shown),
                "a fresh request had already expired when it arrived; do the clocks of this host and its caller agree?"
            );
        } else {
            tracing::debug!(
                %topic, partition, offset, %group, ?age, correlation_id = correlation_id(record).map(display),
                "a fresh request had already expired when it arrived, as logged before"
            );
        }
    }

    /// Logs a record whose reply was not delivered while its caller waited.
    pub(super) fn report_reply_expired(&self, taken: &Taken) {
        tracing::debug!(
            topic = %self.source, partition = taken.record.partition(), offset = taken.record.offset(),
            group = %self.served.group, correlation_id = correlation_id(&taken.record.unpack()).map(display),
            "a reply expired before it could be delivered"
        );
    }

    /// Logs the handlers that have run for longer than `slow_handler`, by name, and those that still run when
    /// twice the time has passed, and so on.
    pub(super) fn report_slow(&self) {
        for slow in self.handling.watch.longer_than(self.slow_handler) {
            let Input { record, group, .. } = &*slow.found.input;
            if slow.is_first {
                telemetry::slow(&record.topic, group);
            }
            tracing::warn!(
                handler = %slow.found.handler, topic = %record.topic, partition = record.partition,
                offset = record.offset, %group, correlation_id = correlation_id(record).map(display),
                running_for_at_least = ?slow.found.seen_for,
                "a handler has been running for a long time; the records that are ordered behind its record wait"
            );
        }
    }

    /// Logs some of the handlers that still run for these partitions at the end of a drain, by name.
    pub(super) fn report_still_running(&self, partitions: &[i32]) {
        let is_ours = |Input { record, group, .. }: &Input| {
            record.topic == self.source
                && *group == self.served.group
                && partitions.contains(&record.partition)
        };
        for found in self.handling.watch.some(NAMED, is_ours) {
            let record = &found.input.record;
            tracing::warn!(
                handler = %found.handler, topic = %record.topic, partition = record.partition,
                offset = record.offset, group = %self.served.group,
                correlation_id = correlation_id(record).map(display), running_for_at_least = ?found.seen_for,
                "a handler still runs at the end of the drain"
            );
        }
    }
}

/// The correlation id of a record, if it is a UUID, as callers that use this library write it. Anything else
/// is a stranger's text, which may be a secret.
fn correlation_id(record: &ReceivedRecord) -> Option<Uuid> {
    dialect::reply_ids(record.headers()).find_map(|id| Uuid::try_parse_ascii(id).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Headers;

    #[test]
    fn a_correlation_id_is_told_if_it_is_a_uuid_whatever_the_dialect_and_not_if_it_is_a_strangers_text() {
        let id = "6dbb4e8e-1d21-4c5b-9f0c-0a4f5a3d2c1b";
        let told = |name: &'static str, value: &'static str| {
            let mut headers = Headers::new();
            headers.push(name, value);
            let record = ReceivedRecord { headers: Ok(headers), ..ReceivedRecord::blank() };
            correlation_id(&record).map(|id| id.to_string())
        };
        for name in ["correlation-id", "kafka_correlationId"] {
            assert_eq!(told(name, id).as_deref(), Some(id));
            assert_eq!(told(name, "hunter2"), None);
        }
    }
}
