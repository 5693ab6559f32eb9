//! From a record to what becomes of it. Needs no Kafka.
//!
//! - [`handle`]: takes a record through all of this, to its handler
//! - [`reply_topics`]: which topics may be replied to
//! - [`limits`]: how large a record may be
//! - [`dispatch`]: finds the handler of a command
//! - [`watch`]: the running handlers, and for how long they have run
//! - [`dedupe`]: the answers that are kept for repeated requests
//! - [`bounded_run`]: runs a handler for no longer than its timeout, and catches its panics
//! - [`scope`]: what a running handler lends to the calls that it makes
//! - [`outcome`]: decides what becomes of the record

mod bounded_run;
pub(crate) mod dedupe;
pub(crate) mod dispatch;
pub(crate) mod handle;
pub(crate) mod limits;
pub(crate) mod outcome;
pub(crate) mod reply_topics;
pub(crate) mod scope;
pub(crate) mod watch;
