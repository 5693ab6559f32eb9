//! The ways in which a call can fail.

use std::time::{Duration, Instant};

use http::StatusCode;

use super::RpcError;
use crate::moment;

/// Why a call did not end with the handler's `Ok`.
///
/// Only [`Remote`](Self::Remote) comes from the other side; the rest is what this side knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The other side answered with an error: its handler failed, or the record could not be handled.
    #[error(transparent)]
    Remote(RpcError),

    /// The deadline passed before a reply came. It does **not** mean that the command was not executed.
    #[error(
        "no reply from `{topic}` within {waited:?}: the request was {progress}; {}", progress.explained()
    )]
    DeadlineExceeded {
        /// The topic that the request was for, by the cluster's name.
        topic: String,
        /// How long the call waited; zero if the deadline that it inherited had already passed.
        waited: Duration,
        /// How far the request had got.
        progress: Progress,
    },

    /// The request could not be delivered, or no broker can be reached any more, so that no reply can come.
    ///
    /// `progress` says whether the command may have been executed: it was not if the request was
    /// [`NotSent`](Progress::NotSent).
    #[error("the request could not be delivered to `{topic}` ({progress}): {reason}")]
    Undeliverable {
        /// The topic that the request was for, or the reply topic if that is the one that cannot be read.
        topic: String,
        /// How far the request had got.
        progress: Progress,
        /// The reason, from Kafka or from this side.
        reason: String,
    },

    /// Too much is in flight in this process: the call was refused before anything was sent.
    #[error("the call was not sent: {reason}; make fewer calls at once, or raise the limit")]
    Overloaded {
        /// Which bound was reached.
        reason: String,
    },

    /// The runtime of this process is shutting down, or has shut down.
    ///
    /// `progress` says whether the command may have been executed, as in [`Undeliverable`](Self::Undeliverable).
    #[error(
        "the call was ended ({progress}): this process is shutting down, or the `Running` or `Loopback` of its client \
         was dropped"
    )]
    ShuttingDown {
        /// How far the request had got.
        progress: Progress,
    },

    /// The request was wrong on this side, so nothing was sent.
    #[error("the call was not sent: {reason}")]
    Invalid {
        /// What is wrong with the request, and what to write instead.
        reason: String,
    },

    /// A reply came, but it is not what the contract says.
    #[error("the reply from `{topic}` cannot be read: {reason}")]
    Decode {
        /// The topic that the request was for.
        topic: String,
        /// The decoder's reason. It holds field names and positions, never values.
        reason: String,
    },
}

/// How far the request of a call had got when the call ended without a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// No broker has the request: it never left this process, or was refused. The command is not executed.
    NotSent,
    /// The broker has the request: it will be handled, unless the other side drops it as expired.
    Acknowledged,
    /// The request was queued to be sent, but the broker has not acknowledged it: if brokers are away, it may
    /// never have left.
    Unknown,
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotSent => "not sent",
            Self::Acknowledged => "acknowledged by the broker",
            Self::Unknown => "queued, but not acknowledged by the broker",
        })
    }
}

impl Progress {
    /// What a deadline that passes at this point most likely means.
    fn explained(self) -> &'static str {
        match self {
            Self::NotSent => {
                "it waited here for its reply topic, for a place, or for brokers to acknowledge earlier requests (they may \
                 be down or slow), or its deadline had passed before"
            }
            Self::Acknowledged => "the other side may still be working on it, or nobody serves the topic",
            Self::Unknown => {
                "brokers may be down or slow, or the topic has no leader or too few replicas in sync"
            }
        }
    }
}

impl CallError {
    pub(crate) fn undeliverable(topic: &str, progress: Progress, reason: String) -> Self {
        Self::Undeliverable { topic: topic.to_owned(), progress, reason }
    }

    pub(crate) fn late(topic: &str, started: Instant, progress: Progress) -> Self {
        Self::DeadlineExceeded {
            topic: topic.to_owned(),
            waited: in_millis(moment::now().saturating_duration_since(started)),
            progress,
        }
    }

    /// Returns the error of the other side, if this is one.
    pub fn remote(&self) -> Option<&RpcError> {
        match self {
            Self::Remote(error) => Some(error),
            _ => None,
        }
    }

    /// Returns how far the request had got: the command was not executed if that is
    /// [`NotSent`](Progress::NotSent). `None` if the other side has answered.
    ///
    /// ```
    /// # use kafka_rpc::{CallError, Progress};
    /// fn may_have_been_executed(error: &CallError) -> bool {
    ///     error.progress() != Some(Progress::NotSent)
    /// }
    /// # let error = CallError::Overloaded { reason: "1,024 calls already wait".to_owned() };
    /// # assert!(!may_have_been_executed(&error));
    /// ```
    pub fn progress(&self) -> Option<Progress> {
        match self {
            Self::Remote(_) | Self::Decode { .. } => None,
            Self::DeadlineExceeded { progress, .. }
            | Self::Undeliverable { progress, .. }
            | Self::ShuttingDown { progress } => Some(*progress),
            Self::Overloaded { .. } | Self::Invalid { .. } => Some(Progress::NotSent),
        }
    }

    /// Passes the other side's error on as it is, status included, instead of as a 502.
    ///
    /// For a service that only stands in front of another: its caller sees the 404 of the service behind.
    ///
    /// ```
    /// # use kafka_rpc::{CallError, RpcError};
    /// let error = CallError::Remote(RpcError::not_found("no such account"));
    /// assert_eq!(RpcError::from(error.clone()).status(), 502);
    /// assert_eq!(error.propagate().status(), 404);
    /// ```
    #[must_use]
    pub fn propagate(self) -> RpcError {
        match self {
            Self::Remote(error) => error.into_final(),
            other => other.into(),
        }
    }
}

/// Cut to whole milliseconds: nobody reads the rest of `10.000871735s`.
fn in_millis(waited: Duration) -> Duration {
    Duration::from_millis(u64::try_from(waited.as_millis()).unwrap_or(u64::MAX))
}

impl From<RpcError> for CallError {
    fn from(error: RpcError) -> Self {
        Self::Remote(error)
    }
}

/// The error that a handler answers with when a call that it made failed.
///
/// The other side's error becomes a 502 of the same name and message, a deadline a 504, a reply that cannot
/// be read a 502, and a call that was wrong on this side a 500. All of these are final: the service behind
/// has already retried, and retrying at every level multiplies. A call that was not delivered, was not sent
/// because too much is in flight, or was ended because this process is shutting down becomes a 503, which is
/// retried, although the command may have been executed unless its [`progress`](CallError::progress) is
/// [`NotSent`](Progress::NotSent).
impl From<CallError> for RpcError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Remote(remote) => {
                let mut passed = RpcError::new(StatusCode::BAD_GATEWAY, remote.name(), remote.message());
                if let Some(code) = remote.code() {
                    passed = passed.with_code(code);
                }
                if let Some(details) = remote.details() {
                    passed = passed.with_details(details.clone());
                }
                passed.into_final()
            }
            CallError::DeadlineExceeded { .. } => RpcError::gateway_timeout(error.to_string()).into_final(),
            CallError::Decode { .. } => RpcError::bad_gateway(error.to_string()).into_final(),
            CallError::Invalid { .. } => RpcError::internal(error.to_string()).into_final(),
            CallError::Undeliverable { .. }
            | CallError::Overloaded { .. }
            | CallError::ShuttingDown { .. } => RpcError::unavailable(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_error_becomes_a_final_502_of_the_same_name_and_message() {
        let remote = RpcError::internal("database is gone").with_code("E1");
        let passed = RpcError::from(CallError::Remote(remote));
        assert_eq!(
            (passed.status().as_u16(), passed.name(), passed.message(), passed.code()),
            (502, "InternalServerError", "database is gone", Some("E1"))
        );
        assert!(passed.is_final());
    }

    #[test]
    fn a_deadline_becomes_a_final_504() {
        let error = CallError::late("orders", Instant::now(), Progress::Acknowledged);
        let passed = RpcError::from(error);
        assert_eq!(passed.status(), StatusCode::GATEWAY_TIMEOUT);
        assert!(passed.is_final());
    }

    #[test]
    fn a_deadline_says_what_it_means_as_far_as_the_request_had_got() {
        let late = |progress| CallError::late("orders", Instant::now(), progress).to_string();
        let not_sent = late(Progress::NotSent);
        assert!(
            not_sent.contains("not sent; it waited here") && !not_sent.contains("other side"),
            "{not_sent}"
        );
        assert!(late(Progress::Unknown).contains("brokers may be down"));
        assert!(late(Progress::Acknowledged).contains("nobody serves the topic"));
    }

    #[test]
    fn an_overloaded_process_may_be_tried_again() {
        assert!(!RpcError::from(CallError::ShuttingDown { progress: Progress::NotSent }).is_final());
    }
}
