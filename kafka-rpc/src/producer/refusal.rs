//! Why a record was not delivered, and what can be done about it.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::Progress;

/// Why a record was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeliveryError {
    pub(crate) kind: Refusal,
    /// Whether the broker may have the record anyway: its answer is missing, or says nothing about the
    /// record.
    pub(crate) may_be_stored: bool,
    pub(crate) reason: String,
}

/// What can be done about a record that was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The record, or the batch it was in, is larger than the broker accepts.
    TooLarge,
    /// The record, or another of its batch, breaks a rule of the topic: a compacted one takes no record without a
    /// key.
    Invalid,
    /// Brokers, topic or rights are missing: sending may work later.
    ForNow,
    /// As far as known, the topic has no such partition.
    NoPartition,
    /// Sending can never work.
    ForGood,
}

/// Why a record could not even be queued.
#[derive(Debug)]
pub(crate) enum QueueError {
    /// Too much is in flight.
    Full,
    /// The record was refused.
    Refused(DeliveryError),
}

impl QueueError {
    /// Whether the topic has no such partition, as far as known, so that the record may go to another.
    pub(super) fn is_no_partition(&self) -> bool {
        matches!(self, Self::Refused(DeliveryError { kind: Refusal::NoPartition, .. }))
    }
}

impl DeliveryError {
    /// Returns how far the record has got.
    pub(crate) fn progress(&self) -> Progress {
        if self.may_be_stored { Progress::Unknown } else { Progress::NotSent }
    }

    /// An error of this side: no broker has the record.
    pub(crate) fn for_now(reason: impl Into<String>) -> Self {
        Self { kind: Refusal::ForNow, may_be_stored: false, reason: reason.into() }
    }

    /// An error of this side after the record may have been sent: nobody knows whether a broker has it.
    pub(crate) fn in_doubt(reason: impl Into<String>) -> Self {
        Self { may_be_stored: true, ..Self::for_now(reason) }
    }

    pub(super) fn from_kafka(error: &KafkaError, may_be_stored: bool) -> Self {
        use RDKafkaErrorCode as Code;
        let kind = match error.rdkafka_error_code() {
            Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge) => {
                Refusal::TooLarge
            }
            Some(Code::InvalidRecord | Code::InvalidDifferentRecord | Code::InvalidTimestamp) => Refusal::Invalid,
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
                // A broker's catch-all for errors that have no code: it says nothing about the record.
                | Code::Unknown
                // The record was damaged in transit.
                | Code::InvalidMessage
                | Code::BadMessage
                | Code::SSL
                | Code::SaslAuthenticationFailed
                | Code::Authentication
                // Ended by a fatal error: whether the broker has the record is unknown, and a new producer
                // sends it again.
                | Code::OutOfOrderSequenceNumber
                | Code::UnknownProducerId
                | Code::InvalidProducerEpoch
                | Code::ProducerFenced
                | Code::QueueFull
                // The record was in flight to a partition that the topic has lost, and could not be sent
                // again.
                | Code::BrokerDestroy
                | Code::Fatal
                | Code::PurgeQueue
                | Code::PurgeInflight,
            ) => Refusal::ForNow,
            _ => Refusal::ForGood,
        };
        Self { kind, may_be_stored, reason: error.to_string() }
    }

    /// Adds the producer's trouble to an error that only says that the producer ended its records.
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

/// For records that were already reported as queued.
impl From<QueueError> for DeliveryError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Full => Self::for_now("the producer's queue is full"),
            QueueError::Refused(error) => error,
        }
    }
}
