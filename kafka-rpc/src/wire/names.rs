//! The header names of the protocol, written exactly so; matched without regard to case.

pub(crate) const CORRELATION_ID: &str = "correlation-id";
pub(crate) const REPLY_TO: &str = "reply-to";
pub(crate) const MESSAGE_TYPE: &str = "message-type";
pub(crate) const TIMESTAMP: &str = "timestamp";
pub(crate) const MESSAGE_ID: &str = "message-id";
pub(crate) const DEADLINE: &str = "deadline";
pub(crate) const REPLY_PARTITION: &str = "reply-partition";
pub(crate) const TRACEPARENT: &str = "traceparent";
pub(crate) const TRACESTATE: &str = "tracestate";
pub(crate) const RETRY_COUNT: &str = "retry-count";
pub(crate) const RETRY_TIMESTAMP: &str = "retry-timestamp";
pub(crate) const LAST_ERROR: &str = "last-error";

pub(crate) const ORIGINAL_TOPIC: &str = "original-topic";
pub(crate) const ERROR: &str = "error";
pub(crate) const ERROR_STACK: &str = "error-stack";
pub(crate) const FAILED_AT: &str = "failed-at";
pub(crate) const TOTAL_RETRIES: &str = "total-retries";
pub(crate) const ORIGINAL_PARTITION: &str = "original-partition";
pub(crate) const ORIGINAL_OFFSET: &str = "original-offset";
pub(crate) const ORIGINAL_TIMESTAMP: &str = "original-timestamp";
pub(crate) const ORIGINAL_GROUP: &str = "original-group";
pub(crate) const ERROR_NAME: &str = "error-name";
pub(crate) const STATUS_CODE: &str = "status-code";
pub(crate) const VALUE_OMITTED: &str = "value-omitted";

/// `message-type` of whoever waits for a reply, and of the reply.
pub(crate) const REQUEST_REPLY: &str = "request-reply";
/// `message-type` of whoever does not.
pub(crate) const FIRE_AND_FORGET: &str = "fire-and-forget";

/// Names that a caller's own header may not take: in the reference they would silently replace the protocol's.
const RESERVED: [&str; 12] = [
    CORRELATION_ID,
    REPLY_TO,
    MESSAGE_TYPE,
    TIMESTAMP,
    MESSAGE_ID,
    DEADLINE,
    REPLY_PARTITION,
    TRACEPARENT,
    TRACESTATE,
    RETRY_COUNT,
    RETRY_TIMESTAMP,
    LAST_ERROR,
];

/// Whether the protocol owns this name.
pub(crate) fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_the_protocol_is_reserved_in_any_case() {
        assert!(is_reserved("Correlation-ID"));
        assert!(!is_reserved("x-tenant"));
    }
}
