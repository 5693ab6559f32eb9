//! A record that failed: whose handler, and what is said of it to whoever looks after the service.

#[cfg(feature = "kafka")]
use super::worker::{Task, Worker};
use crate::{RpcError, handler::Location};
#[cfg(feature = "kafka")]
use crate::{telemetry, wire::Received};

/// Why a record failed, and in which handler.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: RpcError,
    /// `None` where it came to none.
    pub(crate) handler: Option<Location>,
}

#[cfg(feature = "kafka")]
impl Worker {
    /// Counts a failure, and tells of it by its place, its handler and its status. What the error says may be a user's, and
    /// is for the dead letter and the caller.
    pub(super) fn report(&self, task: &Task, record: &Received, failed: &Failed, what: &str) {
        let Failed { error, handler } = failed;
        let retries = task.retries.saturating_add(self.served.retries_before(record.headers()));
        telemetry::failed(&self.served.topic, &self.served.group, error.status());
        tracing::warn!(
            topic = %record.topic, partition = record.partition, offset = record.offset, group = %self.served.group,
            handler = handler.map(tracing::field::display), status = error.status().as_u16(), name = error.name_to_log(),
            retries,
            "{what}"
        );
    }

    /// The same of a failure that its caller is told of. What is the caller's own fault is seldom worth a line.
    pub(super) fn report_answered(&self, task: &Task, record: &Received, failed: &Failed) {
        let Failed { error, handler } = failed;
        if error.status().is_server_error() {
            return self.report(task, record, failed, "a record failed for good, and an error reply is sent");
        }
        telemetry::failed(&self.served.topic, &self.served.group, error.status());
        tracing::debug!(
            topic = %record.topic, partition = record.partition, offset = record.offset, group = %self.served.group,
            handler = handler.map(tracing::field::display), status = error.status().as_u16(), name = error.name_to_log(),
            "a record was answered with an error that is its caller's"
        );
    }
}
