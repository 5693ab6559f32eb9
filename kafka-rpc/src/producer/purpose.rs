//! What each librdkafka producer is for.

use std::fmt;

/// The purpose of a librdkafka producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Records that are sent at once: one, a few, and those whose key is the user's. Also batches while the
    /// distance is unknown.
    Single,
    /// Batches to brokers that acknowledge quickly.
    NearBatches,
    /// Batches to brokers that acknowledge slowly.
    FarBatches,
    /// Records that a broker may have refused for the size of their batch, or for another record of it.
    Alone,
}

impl Purpose {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::NearBatches => "near_batches",
            Self::FarBatches => "far_batches",
            Self::Alone => "alone",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
