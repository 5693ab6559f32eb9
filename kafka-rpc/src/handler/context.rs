//! One record on its way to its handler.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use super::{
    CorrelationId, Deadline, FromRecord, Payload, UserId, extracting::Extracting, payload::Unread,
    state::Provided,
};
use crate::{
    Client, RpcError,
    wire::{Headers, ReceivedRecord, RecordInfo},
};

/// A record that is about to be handled, as an extractor sees it.
///
/// The runtime makes the context; [`FromRecord`] shows how to write an extractor over it. `Debug` shows where
/// the record came from and its size, never its content.
pub struct Context {
    /// Made on first use, which is rare; boxed to keep a context small.
    pub(crate) info: OnceLock<Box<RecordInfo>>,
    pub(crate) input: Arc<Input>,
    pub(crate) payload: Unread,
    /// Read on first use.
    pub(crate) user_id: OnceLock<Option<UserId>>,
    pub(crate) correlation_id: Option<CorrelationId>,
    pub(crate) deadline: Option<Deadline>,
}

/// A record with everything that its handler runs on.
///
/// Each runner has one and reuses it for record after record. Cloning `group` and `provided` for every record
/// would have threads contend for their reference counts.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) record: ReceivedRecord,
    /// The consumer group, for reports about the handler.
    pub(crate) group: Arc<str>,
    pub(crate) provided: Arc<Provided>,
}

impl Context {
    /// Where the record came from.
    pub fn info(&self) -> &RecordInfo {
        self.info.get_or_init(|| Box::new(self.input.record.info()))
    }

    /// The record's headers, in order.
    pub fn headers(&self) -> &Headers {
        self.input.record.headers()
    }

    /// The bytes that the payload is read from: the envelope's `payload`, or the whole value.
    pub fn payload(&self) -> &[u8] {
        self.payload.bytes()
    }

    /// The user that the caller acts for, if it names one.
    pub fn user_id(&self) -> Option<&UserId> {
        self.user_id.get_or_init(|| self.payload.user_id()).as_ref()
    }

    /// The correlation id, if the record has one.
    pub fn correlation_id(&self) -> Option<&CorrelationId> {
        self.correlation_id.as_ref()
    }

    /// The time until which the caller waits for the reply, if it states one.
    pub fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    /// A client of this process.
    pub fn client(&self) -> &Client {
        &self.input.provided.client
    }

    /// The value of type `T` that was provided to the runtime, if there is one.
    pub fn state<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.input.provided.states.get()
    }

    /// The service whose method is the handler.
    #[doc(hidden)]
    pub fn service<S: Send + Sync + 'static>(&self) -> Result<&S, RpcError> {
        self.state().ok_or_else(|| not_provided::<S>())
    }

    /// Reads the first argument of the handler.
    #[doc(hidden)]
    pub fn read<P: Payload>(&self) -> Result<P, RpcError> {
        P::from_context(self)
    }

    /// Checks the record of a handler that has no payload.
    #[doc(hidden)]
    pub fn read_nothing(&self) -> Result<(), RpcError> {
        self.payload.check()
    }

    /// Extracts an argument after the first.
    #[doc(hidden)]
    pub fn extract<'a, X: FromRecord + 'a>(&'a self) -> Extracting<'a, X> {
        Extracting::begin(self)
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("record", &self.input.record).finish_non_exhaustive()
    }
}

/// The error of a value that was not provided. `build()` prevents it, unless an extractor does not state what
/// it requires.
pub(crate) fn not_provided<T>() -> RpcError {
    let name = std::any::type_name::<T>();
    RpcError::internal(format!(
        "no `{name}` was provided: call `.provide(..)` with one on the runtime's builder"
    ))
}
