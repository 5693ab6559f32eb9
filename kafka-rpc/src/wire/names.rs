//! The header names of the protocol, in their exact spelling; they are matched without regard to case.

pub(crate) const CORRELATION_ID: &str = "correlation-id";
pub(crate) const REPLY_TO: &str = "reply-to";
pub(crate) const MESSAGE_TYPE: &str = "message-type";
pub(crate) const TIMESTAMP: &str = "timestamp";
pub(crate) const MESSAGE_ID: &str = "message-id";
pub(crate) const DEADLINE: &str = "deadline";
pub(crate) const REPLY_PARTITION: &str = "reply-partition";
pub(crate) const RETRY_COUNT: &str = "retry-count";
pub(crate) const RETRY_TIMESTAMP: &str = "retry-timestamp";
pub(crate) const LAST_ERROR: &str = "last-error";
pub(crate) const RETRY_ORIGIN: &str = "retry-origin";

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
pub(crate) const HEADERS_OMITTED: &str = "headers-omitted";

/// `message-type` of a request whose caller waits for a reply, and of the reply.
pub(crate) const REQUEST_REPLY: &str = "request-reply";
/// `message-type` of an event, which gets no reply.
pub(crate) const FIRE_AND_FORGET: &str = "fire-and-forget";

/// Names of Spring Kafka, which Nest has adopted.
pub(crate) const KAFKA_CORRELATION_ID: &str = "kafka_correlationId";
pub(crate) const KAFKA_REPLY_TOPIC: &str = "kafka_replyTopic";
pub(crate) const KAFKA_REPLY_PARTITION: &str = "kafka_replyPartition";

/// Names of Nest alone.
pub(crate) const NEST_ERR: &str = "kafka_nest-err";
pub(crate) const NEST_IS_DISPOSED: &str = "kafka_nest-is-disposed";

/// Names of Spring alone.
pub(crate) const EXCEPTION_FQCN: &str = "kafka_exception-fqcn";
pub(crate) const EXCEPTION_MESSAGE: &str = "kafka_exception-message";
pub(crate) const DLT_ORIGINAL_TOPIC: &str = "kafka_dlt-original-topic";
pub(crate) const DLT_ORIGINAL_PARTITION: &str = "kafka_dlt-original-partition";
pub(crate) const DLT_ORIGINAL_OFFSET: &str = "kafka_dlt-original-offset";
pub(crate) const DLT_ORIGINAL_TIMESTAMP: &str = "kafka_dlt-original-timestamp";
pub(crate) const DLT_ORIGINAL_TIMESTAMP_TYPE: &str = "kafka_dlt-original-timestamp-type";
pub(crate) const DLT_ORIGINAL_GROUP: &str = "kafka_dlt-original-consumer-group";
pub(crate) const DLT_EXCEPTION_FQCN: &str = "kafka_dlt-exception-fqcn";
pub(crate) const DLT_EXCEPTION_MESSAGE: &str = "kafka_dlt-exception-message";
pub(crate) const DLT_EXCEPTION_STACKTRACE: &str = "kafka_dlt-exception-stacktrace";

/// A whole error as JSON, for the parts that Spring has no header for.
pub(crate) const RPC_ERROR: &str = "rpc-error";

/// The names that a caller's header may not take in any dialect. Each dialect adds more.
pub(crate) const OF_ALL: &[&str] = &[DEADLINE, RETRY_COUNT, RETRY_TIMESTAMP, LAST_ERROR, RETRY_ORIGIN];

/// A name that occurs on nearly every record, and need not be copied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usual(u8);

impl Usual {
    const ALL: [&str; 10] = [
        CORRELATION_ID,
        REPLY_TO,
        MESSAGE_TYPE,
        TIMESTAMP,
        MESSAGE_ID,
        DEADLINE,
        REPLY_PARTITION,
        KAFKA_CORRELATION_ID,
        KAFKA_REPLY_TOPIC,
        KAFKA_REPLY_PARTITION,
    ];

    pub(crate) fn of(name: &str) -> Option<Self> {
        (0..).zip(Self::ALL).find(|(_, usual)| *usual == name).map(|(number, _)| Self(number))
    }

    pub(crate) fn name(self) -> &'static str {
        Self::ALL[usize::from(self.0)]
    }
}
