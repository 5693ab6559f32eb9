//! What generated code builds on: the description of a handler, its arguments and what it returns.
//!
//! - [`subscription`]: the topic, the group, and the options that belong to them
//! - [`registry`]: handlers as values, and the inventory that collects them
//! - [`context`]: one record on its way to its handler
//! - [`payload`]: the first argument of a handler
//! - [`dead_letter`]: the first argument of a handler of dead letters
//! - [`extract`]: the arguments after the first
//! - [`extracting`]: the future that extracts one of them
//! - [`state`]: the values that `.provide(..)` gave the runtime
//! - [`returns`]: what a handler returns
//! - [`retry`]: whether and when a failed record is retried

pub(crate) mod context;
pub(crate) mod dead_letter;
pub(crate) mod extract;
pub(crate) mod extracting;
pub(crate) mod payload;
pub(crate) mod registry;
pub(crate) mod retry;
pub(crate) mod returns;
pub(crate) mod state;
pub(crate) mod subscription;

pub use context::Context;
pub use dead_letter::DeadLetter;
pub use extract::{CorrelationId, Deadline, FromRecord, OptionalFromRecord, State, UserId};
pub use payload::Payload;
pub use registry::{Handler, HandlerFuture, Handlers, NameError, PayloadSource, Registration};
pub use retry::{Retry, RetryPolicy};
pub use returns::{HandlerError, HandlerReturn, IntoReply, NoReply, Reply};
pub use state::Requirements;
pub use subscription::{Destination, Ordering, Subscription};
