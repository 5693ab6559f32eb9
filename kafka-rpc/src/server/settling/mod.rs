//! Carries out what becomes of a record: replies, retries, dead letters.
//!
//! - [`settle`]: carries out the outcome, until the record's end is final
//! - [`replies`]: sends replies
//! - [`in_flight`]: the replies that are not acknowledged yet
//! - [`stuck`]: the destinations that do not acknowledge
//! - [`delivery`]: sends what a record leads to, as often as it takes
//! - [`held`]: the records that hold their partition until a delivery works again
//! - [`error_records`]: error replies and dead letters that are made outside a run

mod delivery;
mod error_records;
pub(super) mod held;
pub(super) mod in_flight;
mod replies;
mod settle;
mod stuck;
