//! Bytes to types and back: the protocol, and nothing of librdkafka.
//!
//! - [`names`]: the header names, as written
//! - [`headers`]: an ordered multimap of headers
//! - [`codec`]: JSON, in one place
//! - [`envelope`]: the value of a command
//! - [`reply`]: the value of a reply
//! - [`dead_letter`]: a record that could not be handled, with why
//! - [`retry`]: a record that is to be handled once more, through another topic
//! - [`record`]: a record that is to be sent
//! - [`dialect`]: who writes which header, per peer
//! - [`clock`]: wall time in milliseconds

pub(crate) mod clock;
pub(crate) mod codec;
pub(crate) mod dead_letter;
pub(crate) mod dialect;
pub(crate) mod envelope;
pub(crate) mod headers;
#[cfg(test)]
mod hostile;
pub(crate) mod names;
pub(crate) mod record;
pub(crate) mod reply;
pub(crate) mod retry;

pub(crate) use dialect::{Dialect, RequestHeaders};
pub use headers::Headers;
pub(crate) use record::{OutgoingRecord, Placement};
