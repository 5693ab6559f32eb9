//! Why a record was not delivered, and what can be done about it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// Why a record was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeliveryError {
    pub(crate) kind: Refusal,
    pub(crate) reason: String,
}

/// What is told when a record was delivered, or not.
pub(crate) type OnDelivery = Box<dyn FnOnce(Result<(), DeliveryError>) + Send + Sync>;

/// What can be done about a record that was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is larger than the broker takes, and always will be.
    TooLarge,
    /// Brokers, topic or rights are missing: it may work later.
    ForNow,
    /// The topic has no such partition, as far as is known.
    NoPartition,
    /// It cannot work.
    ForGood,
}

/// Why a record could not even be queued.
#[derive(Debug)]
pub(crate) enum QueueError {
    /// Too much is in flight.
    Full,
    /// It cannot work.
    Refused(DeliveryError),
}

impl QueueError {
    /// Whether the topic has no such partition, as far as is known: the record may go to another.
    pub(super) fn is_no_partition(&self) -> bool {
        matches!(self, Self::Refused(DeliveryError { kind: Refusal::NoPartition, .. }))
    }
}

impl DeliveryError {
    pub(super) fn from_kafka(error: &KafkaError) -> Self {
        use RDKafkaErrorCode as Code;
        let kind = match error.rdkafka_error_code() {
            Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => Refusal::TooLarge,
            Some(Code::UnknownPartition) => Refusal::NoPartition,
            Some(
                Code::MessageTimedOut
                | Code::UnknownTopic
                | Code::UnknownTopicOrPartition
                | Code::TopicAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::AllBrokersDown
                | Code::BrokerTransportFailure
                | Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::NotEnoughReplicas
                | Code::NotEnoughReplicasAfterAppend
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::BrokerNotAvailable
                | Code::ReplicaNotAvailable
                | Code::NetworkException
                | Code::KafkaStorageError
                // What a broker says that has no word for its trouble: that is no word about the record.
                | Code::Unknown
                // It was damaged on its way.
                | Code::InvalidMessage
                | Code::BadMessage
                | Code::SSL
                | Code::SaslAuthenticationFailed
                | Code::Authentication
                // What a fatal error ends: whether the broker has it is not known, and a new producer sends it again.
                | Code::OutOfOrderSequenceNumber
                | Code::UnknownProducerId
                | Code::InvalidProducerEpoch
                | Code::ProducerFenced
                | Code::QueueFull
                // What was on its way to a partition that the topic has lost, and could not be sent again.
                | Code::BrokerDestroy
                | Code::Fatal
                | Code::PurgeQueue
                | Code::PurgeInflight,
            ) => Refusal::ForNow,
            _ => Refusal::ForGood,
        };
        Self { kind, reason: error.to_string() }
    }

    /// Says what a producer has met, where the error only says that it has ended what it had.
    pub(super) fn caused_by(self, error: &KafkaError, trouble: Option<String>) -> Self {
        use RDKafkaErrorCode as Code;
        let ended =
            matches!(error.rdkafka_error_code(), Some(Code::Fatal | Code::PurgeQueue | Code::PurgeInflight));
        match trouble.filter(|_| ended) {
            Some(trouble) => Self { reason: format!("{}: {trouble}", self.reason), ..self },
            None => self,
        }
    }
}

/// For whoever has been told already that its record is queued.
impl From<QueueError> for DeliveryError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Full => {
                Self { kind: Refusal::ForNow, reason: "the producer's queue is full".to_owned() }
            }
            QueueError::Refused(error) => error,
        }
    }
}
