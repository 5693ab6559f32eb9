//! The wire protocol: bytes to types and back, without librdkafka.
//!
//! - [`names`]: the header names, as written
//! - [`headers`]: an ordered multimap of headers
//! - [`codec`]: JSON, in one place
//! - [`encoded`]: a received value that is not yet decoded
//! - [`envelope`]: the value of a command
//! - [`reply`]: the value of a reply
//! - [`dead_letter`]: a record that could not be handled, with the reason
//! - [`origin`]: where a record was first read
//! - [`retry`]: a record that is retried through another topic
//! - [`received`]: a record as it was received
//! - [`record`]: outgoing records and incoming replies
//! - [`dialect`]: what each kind of peer writes, and how it is read
//! - [`clock`]: wall time in milliseconds

pub(crate) mod clock;
pub(crate) mod codec;
pub(crate) mod dead_letter;
pub(crate) mod dialect;
pub(crate) mod encoded;
pub(crate) mod envelope;
pub(crate) mod headers;
#[cfg(test)]
mod hostile;
pub(crate) mod names;
pub(crate) mod origin;
pub(crate) mod received;
pub(crate) mod record;
pub(crate) mod reply;
pub(crate) mod retry;

pub use dialect::Dialect;
pub(crate) use dialect::{Answer, Peer, RequestHeaders};
pub(crate) use encoded::Encoded;
pub use headers::{Headers, HeadersIter};
pub(crate) use origin::Origin;
pub(crate) use received::ReceivedRecord;
pub use received::RecordInfo;
pub(crate) use record::{OutgoingRecord, Placement, ReceivedReply, ReplyTo};
