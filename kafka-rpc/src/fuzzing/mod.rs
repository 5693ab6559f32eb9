//! Properties that hold for any input: one function for each kind of input, which panics if a property is
//! violated.
//!
//! - [`record`]: a record, written as text
//! - [`envelope`]: the value of a command, and which handler takes it
//! - [`request`]: the headers of a request, and its outcome
//! - [`reply`]: what a caller reads
//! - [`dead_letter`]: what the handler of dead letters reads
//! - [`json`]: the members of an object, read independently of the code under test
//!
//! The targets in `fuzz/` call these functions with libFuzzer's input, and the tests in `wire::hostile` with
//! random records and with the stored corpus. They are compiled only for tests and with `--cfg fuzzing`.

#![expect(clippy::expect_used, reason = "what does not hold is a panic here")]

mod dead_letter;
mod envelope;
mod json;
mod record;
mod reply;
mod request;

#[cfg(test)]
pub(crate) use dead_letter::check as check_dead_letter;
pub use dead_letter::dead_letter;
pub use envelope::envelope;
#[cfg(test)]
pub(crate) use reply::check as check_reply;
pub use reply::reply;
#[cfg(test)]
pub(crate) use request::check as check_request;
pub use request::request;

use crate::wire::Peer;

const PEERS: [Peer; 3] = [Peer::Reference, Peer::Nest, Peer::Spring];
