//! The service on the other side: what all peers do, each in its format.

use std::time::SystemTime;

use bytes::Bytes;
use uuid::Uuid;

use super::{
    RequestHeaders,
    answer::{self, Answer, Reply},
    nest, reference, spring,
};
use crate::{
    RpcError,
    wire::{
        Encoded, Headers, OutgoingRecord, ReceivedReply, ReplyTo, clock, codec::CodecError, names, reply,
    },
};

/// The kind of service on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Reference,
    Nest,
    Spring,
}

impl Peer {
    /// Writes the headers of a request whose caller waits for a reply.
    pub(crate) fn request(
        self,
        correlation_id: &str,
        reply_to: ReplyTo<'_>,
        deadline: SystemTime,
        own: Headers,
        now: u64,
    ) -> Headers {
        let ReplyTo { topic, partition } = reply_to;
        let mut headers = Headers::with_capacity(6 + own.len());
        match self {
            Self::Reference => reference::request(&mut headers, correlation_id, topic, now),
            Self::Nest | Self::Spring => {
                headers.push(names::KAFKA_CORRELATION_ID, correlation_id.to_owned());
                headers.push(names::KAFKA_REPLY_TOPIC, topic.to_owned());
            }
        }
        headers.push(names::DEADLINE, clock::millis(deadline).to_string());
        if let Some(partition) = partition {
            match self {
                Self::Reference => headers.push(names::REPLY_PARTITION, partition.to_string()),
                Self::Nest => headers.push(names::KAFKA_REPLY_PARTITION, partition.to_string()),
                Self::Spring => {
                    headers.push(names::KAFKA_REPLY_PARTITION, partition.to_be_bytes().to_vec());
                }
            }
        }
        headers.append(own);
        headers
    }

    /// Writes the headers of an event.
    pub(crate) fn event(self, message_id: &str, own: Headers, now: u64) -> Headers {
        match self {
            Self::Reference => reference::event(message_id, own, now),
            // Neither adds headers to an event.
            Self::Nest | Self::Spring => own,
        }
    }

    /// Returns the key of a request if the caller sets none.
    pub(crate) fn key(self, id: &str) -> Option<Bytes> {
        match self {
            Self::Reference | Self::Nest => Some(id.to_owned().into()),
            // A listener decodes keys into a type of its choice, and an id may not fit.
            Self::Spring => None,
        }
    }

    /// Writes the value of a request that is only its payload.
    pub(crate) fn value(self, payload: &Bytes) -> Option<Bytes> {
        match self {
            Self::Reference => Some(payload.clone()),
            Self::Nest => nest::value(payload),
            Self::Spring => spring::value(payload),
        }
    }

    /// Reads the headers of a request. A value that cannot be read counts as absent.
    pub(crate) fn read_request(self, headers: &Headers) -> RequestHeaders {
        let names = match self {
            Self::Reference => [names::CORRELATION_ID, names::REPLY_TO, names::REPLY_PARTITION],
            Self::Nest | Self::Spring => {
                [names::KAFKA_CORRELATION_ID, names::KAFKA_REPLY_TOPIC, names::KAFKA_REPLY_PARTITION]
            }
        };
        RequestHeaders::read(headers, names)
    }

    /// Reads the value of a request.
    pub(crate) fn read_value(self, value: Option<&Bytes>) -> Option<Encoded> {
        match self {
            Self::Reference => value.cloned().map(Encoded::json),
            Self::Nest | Self::Spring => Some(Encoded::bare(value.cloned())),
        }
    }

    /// Writes the reply, if the caller waits for one. `key` is that of the request.
    pub(crate) fn reply(
        self,
        request: &RequestHeaders,
        key: Option<&Bytes>,
        answer: Answer<'_>,
    ) -> Option<OutgoingRecord> {
        let (reply_to, correlation_id) = request.return_address()?;
        let Reply { key, value, headers } = match self {
            Self::Reference => reference::reply(correlation_id, answer, Uuid::new_v4(), clock::now_millis()),
            Self::Nest => nest::reply(correlation_id, answer),
            Self::Spring => spring::reply(correlation_id, key, answer),
        };
        Some(OutgoingRecord {
            // Checked against the allowed topics, which are text, before the handler ran.
            topic: String::from_utf8_lossy(reply_to).into(),
            placement: request.placement(),
            key,
            value,
            headers,
        })
    }

    /// Reads a reply: the encoded data, or the other side's error.
    pub(crate) fn read_reply(self, reply: ReceivedReply) -> Result<Result<Encoded, RpcError>, CodecError> {
        match self {
            Self::Reference => reply::decode(&reply.value.unwrap_or_default()),
            Self::Nest | Self::Spring => Ok(answer::read_bare(reply)),
        }
    }

    /// Whether the protocol reserves this header name.
    pub(crate) fn is_reserved(self, name: &str) -> bool {
        let own = match self {
            Self::Reference => reference::NAMES,
            Self::Nest => nest::NAMES,
            Self::Spring => spring::NAMES,
        };
        names::OF_ALL.iter().chain(own).any(|reserved| reserved.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::shared::{NOW, soon},
        *,
    };

    #[test]
    fn a_caller_that_reads_one_partition_names_it_as_its_peer_reads_it() {
        let named = |peer: Peer| {
            let to = ReplyTo { topic: "replies", partition: Some(7) };
            let headers = peer.request("c-1", to, soon(), Headers::new(), NOW);
            assert_eq!(peer.read_request(&headers).reply_partition, Some(7));
            headers.iter().last().map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec)))
        };
        let expected = |name: &str, value: &'static [u8]| Some((name.to_owned(), Some(value.into())));
        assert_eq!(named(Peer::Reference), expected("reply-partition", b"7"));
        assert_eq!(named(Peer::Nest), expected("kafka_replyPartition", b"7"));
        assert_eq!(named(Peer::Spring), expected("kafka_replyPartition", &[0, 0, 0, 7]));
    }

    #[test]
    fn the_names_of_a_dialect_are_reserved_in_any_case_and_those_of_others_are_not() {
        assert!(Peer::Reference.is_reserved("Correlation-ID"));
        assert!(!Peer::Reference.is_reserved("kafka_correlationId"));
        assert!(Peer::Nest.is_reserved("kafka_NEST-err") && !Peer::Nest.is_reserved("correlation-id"));
        assert!(Peer::Spring.is_reserved("kafka_replytopic") && !Peer::Spring.is_reserved("kafka_nest-err"));
        for peer in [Peer::Reference, Peer::Nest, Peer::Spring] {
            assert!(peer.is_reserved("Deadline") && !peer.is_reserved("x-tenant"));
        }
    }
}
