//! The error that crosses the wire.

use std::{error::Error, fmt, iter, sync::Arc};

use http::StatusCode;
use serde_json::Value;

use crate::caught::caught;

/// The longest name from another side that may stand in the log.
const LONGEST_NAME_TO_LOG: usize = 64;

/// The error a handler answers with, and the error a caller receives.
///
/// The error has an HTTP status, because that is what both sides of the wire agree on: a `4xx` is the
/// caller's fault and final at once; a `5xx` is the service's and may be retried.
///
/// | the caller | constructor |
/// | --- | --- |
/// | sent something that can never work | [`bad_request`](Self::bad_request), [`unprocessable`](Self::unprocessable) |
/// | is not known, or may not do this | [`unauthorized`](Self::unauthorized), [`forbidden`](Self::forbidden) |
/// | asks for something that does not exist | [`not_found`](Self::not_found) |
/// | lost a race, or is too fast | [`conflict`](Self::conflict), [`too_many_requests`](Self::too_many_requests) |
/// | did nothing wrong: a bug here | [`internal`](Self::internal) |
/// | did nothing wrong: a system behind this service failed | [`bad_gateway`](Self::bad_gateway), [`unavailable`](Self::unavailable), [`gateway_timeout`](Self::gateway_timeout) |
///
/// ```
/// use kafka_rpc::RpcError;
///
/// let error = RpcError::bad_request("the API key is empty").with_name("ValidationError").with_code("BYBIT_10003");
/// assert_eq!(error.status().as_u16(), 400);
/// assert_eq!(error.to_string(), "400 ValidationError: the API key is empty");
/// ```
///
/// A service's own error type becomes an `RpcError` by `From`, which is all that a handler requires of it:
///
/// ```
/// # use kafka_rpc::RpcError;
/// enum ExchangeError { UnknownAccount, Unreachable(std::io::Error) }
///
/// impl From<ExchangeError> for RpcError {
///     fn from(error: ExchangeError) -> Self {
///         match error {
///             ExchangeError::UnknownAccount => RpcError::not_found("no such account"),
///             ExchangeError::Unreachable(cause) => RpcError::bad_gateway("the exchange is down").with_source(cause),
///         }
///     }
/// }
/// ```
#[derive(Clone)]
pub struct RpcError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    status: StatusCode,
    name: String,
    message: String,
    code: Option<String>,
    details: Option<Value>,
    is_final: bool,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// The name of an error if a reply's `error` is missing, and of a failure without a name.
pub(crate) const INTERNAL_SERVER_ERROR: &str = "InternalServerError";

impl RpcError {
    /// Creates an error of any status. Programs match on `name`, people read `message`.
    ///
    /// ```
    /// use kafka_rpc::{RpcError, StatusCode};
    ///
    /// let error = RpcError::new(StatusCode::IM_A_TEAPOT, "Teapot", "ask for tea");
    /// assert_eq!(error.to_string(), "418 Teapot: ask for tea");
    /// ```
    pub fn new(status: StatusCode, name: impl Into<String>, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            status,
            name: name.into(),
            message: message.into(),
            code: None,
            details: None,
            is_final: status.is_client_error(),
            source: None,
        }))
    }

    /// 400 `BadRequest`: the request can never work as it is.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 401 `Unauthorized`: the caller has not said who it is, or not convincingly.
    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", message)
    }

    /// 403 `Forbidden`: the caller is known and may not do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    /// 404 `NotFound`: the thing asked for does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// 409 `Conflict`: the request contradicts the present state.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", message)
    }

    /// 422 `UnprocessableEntity`: well formed, but the values make no sense.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "UnprocessableEntity", message)
    }

    /// 429 `TooManyRequests`: the caller is over its quota.
    pub fn too_many_requests(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message)
    }

    /// 500 `InternalServerError`: a bug or a state this service did not expect.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL_SERVER_ERROR, message)
    }

    /// 501 `NotImplemented`: the command exists in the contract and not here.
    pub fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
    }

    /// 502 `BadGateway`: a system behind this service answered with an error.
    pub fn bad_gateway(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, "BadGateway", message)
    }

    /// 503 `ServiceUnavailable`: not now, perhaps later.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
    }

    /// 504 `GatewayTimeout`: a system behind this service did not answer in time.
    pub fn gateway_timeout(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "GatewayTimeout", message)
    }

    /// Replaces the name that programs match on.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.0.name = name.into();
        self
    }

    /// Adds a service-specific code, such as an exchange's error number.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Adds structured details. A peer that does not know the field ignores it.
    ///
    /// ```
    /// use kafka_rpc::RpcError;
    /// use serde_json::json;
    ///
    /// let error = RpcError::unprocessable("too much").with_details(json!({"most": 100}));
    /// assert_eq!(error.details().and_then(|details| details["most"].as_u64()), Some(100));
    /// ```
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        self.0.details = Some(details);
        self
    }

    /// Marks the error as final: retrying the record in this service would not help, whatever the status.
    #[must_use]
    pub fn into_final(mut self) -> Self {
        self.0.is_final = true;
        self
    }

    /// Adds the cause. It stays in this process and never reaches the caller; only a dead letter has it, as
    /// the whole chain in its `error-stack`.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into().into());
        self
    }

    /// The HTTP status. An error from the wire keeps its status if it is a valid one (100 to 999), and reads
    /// as 500 otherwise.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The name that programs match on, such as `ValidationError`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The name as it may be logged: it comes from the other side of a call, which may send anything.
    pub(crate) fn name_to_log(&self) -> &str {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b" _.$:-".contains(&byte);
        if self.name().len() <= LONGEST_NAME_TO_LOG && self.name().bytes().all(is_name) {
            self.name()
        } else {
            "(not a name)"
        }
    }

    /// The message that people read.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The service-specific code, if there is one.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The structured details, if there are any.
    pub fn details(&self) -> Option<&Value> {
        self.0.details.as_ref()
    }

    /// The chain of causes, a line each; empty if none was given, or if one panics instead of saying what it
    /// is.
    pub(crate) fn causes(&self) -> String {
        let causes = || {
            let causes = iter::successors(self.source(), |&cause| cause.source());
            causes.map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        caught("writing out the causes of an error", causes).unwrap_or_default()
    }

    /// Whether retrying the same record cannot help: every `4xx`, and errors that were made
    /// [final](Self::into_final).
    pub fn is_final(&self) -> bool {
        self.0.is_final
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.status.as_u16(), self.0.name, self.0.message)
    }
}

/// Omits `details`, which may hold what a log should not.
impl fmt::Debug for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcError")
            .field("status", &self.0.status.as_u16())
            .field("name", &self.0.name)
            .field("message", &self.0.message)
            .field("code", &self.0.code)
            .finish_non_exhaustive()
    }
}

impl Error for RpcError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// Compares what crosses the wire, which the cause does not, nor whether the error is final in this process.
impl PartialEq for RpcError {
    fn eq(&self, other: &Self) -> bool {
        fn said(error: &RpcError) -> impl PartialEq + '_ {
            let Inner { status, name, message, code, details, is_final: _, source: _ } = &*error.0;
            (status, name, message, code, details)
        }
        said(self) == said(other)
    }
}

impl Eq for RpcError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_errors_are_final_and_server_errors_are_not() {
        assert!(RpcError::bad_request("no").is_final());
        assert!(RpcError::too_many_requests("slow down").is_final());
        assert!(!RpcError::internal("bug").is_final());
        assert!(RpcError::bad_gateway("remote").into_final().is_final());
    }

    #[test]
    fn what_crosses_the_wire_the_same_is_the_same() {
        assert_eq!(RpcError::internal("bug").into_final(), RpcError::internal("bug"));
        assert_ne!(RpcError::internal("bug").with_code("E1"), RpcError::internal("bug"));
    }

    #[test]
    fn a_cause_that_panics_takes_nothing_but_itself() {
        #[derive(Debug)]
        struct Panics;

        impl fmt::Display for Panics {
            fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("instead of a text")
            }
        }

        impl Error for Panics {}

        let error = RpcError::bad_gateway("no balance").with_source(Panics);
        assert_eq!((&*error.causes(), error.message()), ("", "no balance"));
    }

    #[test]
    fn the_causes_are_told_from_the_nearest_to_the_first() {
        #[derive(Debug, thiserror::Error)]
        #[error("the exchange cannot be reached")]
        struct Unreachable(#[source] std::io::Error);

        let refused = std::io::Error::other("connection refused");
        let error = RpcError::bad_gateway("no balance").with_source(Unreachable(refused));
        assert_eq!(error.causes(), "the exchange cannot be reached\nconnection refused");
        assert_eq!(error, RpcError::bad_gateway("no balance"), "what crosses the wire is the same");
        assert_eq!(RpcError::bad_gateway("no balance").causes(), "");
    }

    #[test]
    fn debug_does_not_show_details() {
        let error = RpcError::internal("bug").with_details(serde_json::json!({"apiKey": "hunter2"}));
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}
