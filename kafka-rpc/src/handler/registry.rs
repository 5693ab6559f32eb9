//! Handlers as values: what the attributes generate and the runtime collects.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde::Serialize;

use super::{Context, Reply, Requirements, Retry, RetryPolicy, Subscription};
use crate::{Location, RpcError};

/// The run of a handler: one boxed future.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Result<Reply, RpcError>> + Send + 'static>>;

/// The handlers of one item, in the inventory of the process.
///
/// An inventory value must be const, so it holds a function that makes the handlers, not the handlers.
#[derive(Debug)]
pub struct Registration {
    /// Makes the handlers of the item.
    pub handlers: fn() -> Handlers,
}

inventory::collect!(Registration);

/// A handler, as logs and reports name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HandlerName {
    function: &'static str,
    location: Location,
}

impl fmt::Display for HandlerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.function, self.location)
    }
}

/// Identifies a handler within the process. Its location does not: handlers from one `macro_rules!` call
/// share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct HandlerId(u64);

impl HandlerId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What a handler's payload is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadSource {
    /// The `payload` of the command envelope.
    Envelope,
    /// The whole value of the record.
    Value,
    /// The record itself, whatever its value: the source of a [`DeadLetter`](super::DeadLetter).
    Record,
}

/// Handlers of one subscription, for [`RuntimeBuilder::handlers`](crate::RuntimeBuilder::handlers).
///
/// Every annotated item has a function that makes them: `<BybitService as Bybit>::handlers()`,
/// `SettingsService::handlers()`, `tools::handlers()`. Handlers register automatically, so the function is
/// for generic services and for a runtime that serves only what it is given.
#[derive(Debug, Clone)]
pub struct Handlers {
    pub(crate) subscription: Subscription,
    pub(crate) handlers: Vec<Handler>,
}

impl Handlers {
    /// Creates an empty set of handlers.
    #[must_use]
    pub fn new(subscription: Subscription) -> Self {
        Self { subscription, handlers: Vec::new() }
    }

    /// Adds a handler.
    #[must_use]
    pub fn with(mut self, handler: Handler) -> Self {
        self.handlers.push(handler);
        self
    }
}

/// One handler: the command it answers, and how to run it.
#[derive(Clone)]
pub struct Handler {
    pub(crate) id: HandlerId,
    pub(crate) command: Option<fn() -> Result<String, NameError>>,
    /// The name of the function.
    function: &'static str,
    pub(crate) location: Location,
    pub(crate) source: PayloadSource,
    pub(crate) requires: fn(&mut Requirements),
    pub(crate) run: fn(Context) -> HandlerFuture,
    pub(crate) retry: &'static dyn RetryPolicy,
    pub(crate) timeout: Option<Duration>,
    pub(crate) dedupe: Option<Duration>,
}

/// The retry policy of a handler that states none.
static DEFAULT_RETRY: Retry = Retry::new();

impl Handler {
    /// A handler of the command that `name` names: the function called `function`, at `location`.
    pub fn command(
        name: fn() -> Result<String, NameError>,
        function: &'static str,
        location: Location,
        requires: fn(&mut Requirements),
        run: fn(Context) -> HandlerFuture,
    ) -> Self {
        Self::new(Some(name), PayloadSource::Envelope, (function, location), requires, run)
    }

    /// A handler of every record of the topic that no command's handler takes.
    pub fn every_record(
        source: PayloadSource,
        function: &'static str,
        location: Location,
        requires: fn(&mut Requirements),
        run: fn(Context) -> HandlerFuture,
    ) -> Self {
        Self::new(None, source, (function, location), requires, run)
    }

    fn new(
        command: Option<fn() -> Result<String, NameError>>,
        source: PayloadSource,
        (function, location): (&'static str, Location),
        requires: fn(&mut Requirements),
        run: fn(Context) -> HandlerFuture,
    ) -> Self {
        Self {
            id: HandlerId::next(),
            command,
            function,
            location,
            source,
            requires,
            run,
            retry: &DEFAULT_RETRY,
            timeout: None,
            dedupe: None,
        }
    }

    pub(crate) fn name(&self) -> HandlerName {
        HandlerName { function: self.function, location: self.location }
    }

    /// Sets what happens when the handler fails: by default [`Retry::new`].
    #[must_use]
    pub fn retry(mut self, policy: &'static dyn RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets how long the handler may run before it is stopped and counts as failed: by default without limit.
    /// A handler that blocks its thread is not stopped.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets how long answers are kept, to answer a repeated request with: by default not at all.
    #[must_use]
    pub fn dedupe(mut self, keep: Duration) -> Self {
        self.dedupe = Some(keep);
        self
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// The error of a value in `#[command(..)]` that has no name on the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("serde must serialise the command to a string, as it does a unit variant; it becomes {found}")]
pub struct NameError {
    found: String,
}

/// The name of a command on the wire: the string that serde makes of the variant.
pub fn wire_name<T: Serialize>(command: &T) -> Result<String, NameError> {
    match serde_json::to_value(command) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        Ok(other) => Err(NameError { found: other.to_string() }),
        Err(error) => Err(NameError { found: format!("an error: {error}") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
    enum Command {
        GetBalance,
        #[serde(rename = "x")]
        Renamed,
    }

    #[test]
    fn a_command_is_named_as_serde_names_its_variant() {
        assert_eq!(wire_name(&Command::GetBalance).as_deref(), Ok("GET_BALANCE"));
        assert_eq!(wire_name(&Command::Renamed).as_deref(), Ok("x"));
        assert_eq!(wire_name(&"LITERAL").as_deref(), Ok("LITERAL"));
    }

    #[test]
    fn a_command_that_is_no_string_is_an_error_that_shows_what_it_is() {
        let error = wire_name(&7).expect_err("a number is no name").to_string();
        assert!(error.contains("it becomes 7"), "{error}");
    }
}
