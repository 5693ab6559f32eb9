//! The arguments of a handler after the first.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    ops::Deref,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;

use super::{Context, Requirements, context::not_provided};
use crate::{Client, RecordInfo, RpcError, moment, wire::Headers};

/// Types that can be made from a record: the arguments of a handler after the first.
///
/// ```
/// use kafka_rpc::{Context, FromRecord, RpcError};
///
/// /// The tenant that the caller names in a header.
/// pub struct Tenant(pub String);
///
/// impl FromRecord for Tenant {
///     type Rejection = RpcError;
///
///     async fn from_record(context: &Context) -> Result<Self, RpcError> {
///         match context.headers().text("tenant") {
///             Some(tenant) => Ok(Tenant(tenant.to_owned())),
///             None => Err(RpcError::bad_request("the header `tenant` is missing")),
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an extractor",
    label = "every argument after the payload must be an extractor",
    note = "extractors are `State<T>`, `Headers`, `UserId`, `CorrelationId`, `Deadline`, `RecordInfo`, `Client`, `Option` of one, and your own `FromRecord` types; a handler has one payload, and it is the first argument: put all that callers send into one struct"
)]
pub trait FromRecord: Sized {
    /// The error of a failed extraction, which the caller receives as an [`RpcError`].
    type Rejection: Into<RpcError>;

    /// States which provided values the extractor needs, so that `build()` reports a missing one.
    fn requires(requirements: &mut Requirements) {
        let _ = requirements;
    }

    /// Whether extraction never waits.
    #[doc(hidden)]
    const AT_ONCE: bool = false;

    /// Extracts the value from the record.
    fn from_record(context: &Context) -> impl Future<Output = Result<Self, Self::Rejection>> + Send;
}

/// An extractor that may be absent, which makes `Option<Self>` an extractor.
///
/// An absent value is `None`; a malformed one is still a rejection. The exception is a `deadline` that cannot
/// be read: it counts as absent everywhere, so `Option<Deadline>` is `None`.
#[diagnostic::on_unimplemented(
    message = "`Option<{Self}>` is not an extractor",
    note = "implement `OptionalFromRecord` for `{Self}`"
)]
pub trait OptionalFromRecord: Sized {
    /// The error of a value that is present but cannot be extracted.
    type Rejection: Into<RpcError>;

    /// Whether extraction never waits.
    #[doc(hidden)]
    const AT_ONCE: bool = false;

    /// States what the extractor needs from the runtime; see [`FromRecord::requires`].
    fn requires(_requirements: &mut Requirements) {}

    /// Extracts the value, if it is present.
    fn optional_from_record(
        context: &Context,
    ) -> impl Future<Output = Result<Option<Self>, Self::Rejection>> + Send;
}

impl<T: OptionalFromRecord> FromRecord for Option<T> {
    type Rejection = T::Rejection;

    const AT_ONCE: bool = T::AT_ONCE;

    fn requires(requirements: &mut Requirements) {
        T::requires(requirements);
    }

    async fn from_record(context: &Context) -> Result<Self, T::Rejection> {
        T::optional_from_record(context).await
    }
}

/// A value that was [provided](crate::RuntimeBuilder::provide) to the runtime, cloned for this record.
#[derive(Debug, Clone, Copy)]
pub struct State<T>(pub T);

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone + Send + Sync + 'static> FromRecord for State<T> {
    type Rejection = RpcError;

    const AT_ONCE: bool = true;

    fn requires(requirements: &mut Requirements) {
        requirements.state::<T>();
    }

    async fn from_record(context: &Context) -> Result<Self, RpcError> {
        let value = context.state::<T>().ok_or_else(not_provided::<T>)?;
        Ok(Self(value.clone()))
    }
}

impl<T: Clone + Send + Sync + 'static> OptionalFromRecord for State<T> {
    type Rejection = Infallible;

    const AT_ONCE: bool = true;

    async fn optional_from_record(context: &Context) -> Result<Option<Self>, Infallible> {
        Ok(context.state::<T>().map(|value| Self(value.clone())))
    }
}

impl From<Infallible> for RpcError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl FromRecord for Headers {
    type Rejection = Infallible;

    const AT_ONCE: bool = true;

    async fn from_record(context: &Context) -> Result<Self, Infallible> {
        Ok(context.headers().clone())
    }
}

impl FromRecord for Client {
    type Rejection = Infallible;

    const AT_ONCE: bool = true;

    async fn from_record(context: &Context) -> Result<Self, Infallible> {
        Ok(context.client().clone())
    }
}

/// The user that the caller acts for: the envelope's `userId`. A record without one is a 400;
/// `Option<UserId>` accepts both.
///
/// A handler of whole values never has one, since it reads no envelope.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UserId(pub String);

impl AsRef<str> for UserId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lets a handler make a call for the same user: `.user_id(user_id)`.
impl From<UserId> for String {
    fn from(user_id: UserId) -> Self {
        user_id.0
    }
}

impl FromRecord for UserId {
    type Rejection = RpcError;

    const AT_ONCE: bool = true;

    async fn from_record(context: &Context) -> Result<Self, RpcError> {
        context.user_id().cloned().ok_or_else(|| RpcError::bad_request("the command has no `userId`"))
    }
}

impl OptionalFromRecord for UserId {
    type Rejection = Infallible;

    const AT_ONCE: bool = true;

    async fn optional_from_record(context: &Context) -> Result<Option<Self>, Infallible> {
        Ok(context.user_id().cloned())
    }
}

/// The bytes that tie a reply to its request, in any format and echoed verbatim. A record without them is a
/// 400; `Option<CorrelationId>` accepts both.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CorrelationId(pub Bytes);

impl CorrelationId {
    /// Copies the bytes, so that a handler that keeps the id does not keep the memory it was received in.
    fn copied(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }
}

impl FromRecord for CorrelationId {
    type Rejection = RpcError;

    const AT_ONCE: bool = true;

    async fn from_record(context: &Context) -> Result<Self, RpcError> {
        context
            .correlation_id
            .as_ref()
            .map(CorrelationId::copied)
            .ok_or_else(|| RpcError::bad_request("the record has no `correlation-id`"))
    }
}

impl OptionalFromRecord for CorrelationId {
    type Rejection = Infallible;

    const AT_ONCE: bool = true;

    async fn optional_from_record(context: &Context) -> Result<Option<Self>, Infallible> {
        Ok(context.correlation_id.as_ref().map(CorrelationId::copied))
    }
}

/// The time until which the caller waits for the reply. A record without one is a 400; `Option<Deadline>`
/// accepts both.
///
/// Calls that the handler makes inherit the deadline automatically; the extractor is for work of other kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    at: Instant,
    wall: SystemTime,
}

impl Deadline {
    /// A deadline at a wall clock time, which is what travels on the wire. `None` if the monotonic clock
    /// cannot represent it.
    pub(crate) fn at_wall(wall: SystemTime, now: (Instant, SystemTime)) -> Option<Self> {
        let at = match wall.duration_since(now.1) {
            Ok(left) => now.0.checked_add(left)?,
            Err(past) => now.0.checked_sub(past.duration()).unwrap_or(now.0),
        };
        Some(Self { at, wall })
    }

    /// The time left until the deadline; zero once it has passed.
    pub fn remaining(&self) -> Duration {
        self.at.saturating_duration_since(moment::now())
    }

    /// The deadline on this process's monotonic clock.
    pub fn instant(&self) -> Instant {
        self.at
    }

    /// The deadline on the wall clock, as it was on the wire.
    pub fn system_time(&self) -> SystemTime {
        self.wall
    }

    /// Whether the deadline passed more than `skew` ago.
    pub(crate) fn has_passed(&self, skew: Duration) -> bool {
        self.at.checked_add(skew).is_some_and(|at| at < moment::now())
    }
}

impl FromRecord for Deadline {
    type Rejection = RpcError;

    const AT_ONCE: bool = true;

    async fn from_record(context: &Context) -> Result<Self, RpcError> {
        context.deadline.ok_or_else(|| RpcError::bad_request("the record has no `deadline`"))
    }
}

impl OptionalFromRecord for Deadline {
    type Rejection = Infallible;

    const AT_ONCE: bool = true;

    async fn optional_from_record(context: &Context) -> Result<Option<Self>, Infallible> {
        Ok(context.deadline)
    }
}

impl FromRecord for RecordInfo {
    type Rejection = Infallible;

    const AT_ONCE: bool = true;

    async fn from_record(context: &Context) -> Result<Self, Infallible> {
        Ok(context.info().clone())
    }
}
