//! Errors: of this process ([`Error`]), of a call ([`CallError`]), and the one that crosses the wire
//! ([`RpcError`]).

mod call;
mod rpc;

use std::{error::Error as _, fmt, iter, time::Duration};

pub use call::{CallError, Progress};
pub(crate) use rpc::INTERNAL_SERVER_ERROR;
pub use rpc::RpcError;

use crate::Location;

/// Why this process cannot serve or call.
///
/// `Debug` prints the message and those of the sources, because that is what a `main` that returns the error
/// shows.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting that cannot work.
    #[error("the setting `{setting}` cannot be `{value}`: {reason}")]
    Config {
        /// The name of the setting, as its setter, its environment variable or librdkafka spells it.
        setting: String,
        /// The value that was given. Secrets are shown as `[redacted]`.
        value: String,
        /// Why it cannot work, and what can.
        reason: String,
    },

    /// A required setting was not given.
    #[error("`{setting}` is not set: {reason}")]
    Missing {
        /// The name of the setting, as its setter or its environment variable spells it.
        setting: String,
        /// What to give.
        reason: String,
    },

    /// The runtime cannot be built: all its problems, not only the first.
    #[error("{0}")]
    Build(Problems),

    /// No broker answered in time.
    #[error(
        "no broker of `{brokers}` answered within {waited:?} ({reason}): check KAFKA_BROKERS, the settings for TLS \
         and SASL, and that the brokers' advertised listeners can be reached from here"
    )]
    Unreachable {
        /// The bootstrap list.
        brokers: String,
        /// How long the runtime waited: `connection_timeout`, plus what the last attempt took beyond it.
        waited: Duration,
        /// The reason that the last attempt failed.
        reason: String,
    },

    /// Topics that this runtime needs do not exist.
    #[error("{} missing on the cluster: {}; create {}, or set `create_topics` (KAFKA_CREATE_TOPICS=true)",
        if .topics.len() == 1 { "a topic is" } else { "topics are" },
        .topics.join(", "),
        if .topics.len() == 1 { "it" } else { "them" })]
    MissingTopics {
        /// The names of the topics.
        topics: Vec<String>,
    },

    /// Kafka refused an operation.
    #[error("{action}: {reason}")]
    Kafka {
        /// The operation.
        action: String,
        /// The reason, from librdkafka or the broker.
        reason: String,
    },

    /// A second signal ended the wait for a shutdown: what was still running was left.
    #[error("a second signal came during the shutdown; what was still running was not waited for")]
    Interrupted,

    /// Something that must go on has panicked. The panic message says where.
    #[error("{what} panicked; the panic message says where")]
    Panicked {
        /// What has panicked.
        what: String,
    },

    /// The operating system refused something, such as a thread or a signal handler; the source says why.
    #[error("{action}")]
    System {
        /// The operation.
        action: String,
        /// The system's error.
        source: std::io::Error,
    },
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        iter::successors(self.source(), |&error| error.source()).try_for_each(|error| write!(f, ": {error}"))
    }
}

impl Error {
    pub(crate) fn config(
        setting: impl Into<String>,
        value: impl Into<String>,
        reason: impl Into<String>,
    ) -> Self {
        Self::Config { setting: setting.into(), value: value.into(), reason: reason.into() }
    }

    pub(crate) fn missing(setting: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Missing { setting: setting.into(), reason: reason.into() }
    }
}

/// Everything that is wrong with the settings, the handlers and the state of a runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Iterates over the problems.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }

    pub(crate) fn check(problems: Vec<Problem>) -> Result<(), Error> {
        if problems.is_empty() { Ok(()) } else { Err(Error::Build(Self(problems))) }
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "problem" } else { "problems" };
        write!(f, "the runtime cannot be built: {} {plural}", self.0.len())?;
        for problem in &self.0 {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}

/// One problem, with the source lines that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// What is wrong, and what to write instead.
    pub message: String,
    /// Every source line that has a part in the problem; empty if it is about no line.
    pub places: Vec<Location>,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self { message: error.to_string(), places: Vec::new() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut places = self.places.iter();
        let Some(first) = places.next() else { return Ok(()) };
        write!(f, " ({first}")?;
        places.try_for_each(|place| write!(f, ", {place}"))?;
        f.write_str(")")
    }
}
