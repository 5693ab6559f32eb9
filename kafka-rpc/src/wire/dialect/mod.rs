//! What each kind of peer writes, and how it is read: headers, the key of a request, and the value.
//!
//! - [`peer`]: what all peers do, each in its format
//! - [`request`]: what a request says about its reply
//! - [`answer`]: the answer to a caller
//! - [`reference`]: `@makebelieve21213-packages/kafka-client`, with the additions of this framework
//! - [`nest`]: `ClientKafka`, `@MessagePattern` and `@EventPattern` of NestJS
//! - [`spring`]: `ReplyingKafkaTemplate`, `@KafkaListener` and `@SendTo` of Spring Kafka
//!
//! The types that go in and come out are the same for every peer, so nothing outside this folder depends on
//! which one is on the other side.

mod answer;
mod nest;
mod peer;
mod reference;
mod request;
mod spring;

use std::fmt;

pub(crate) use answer::Answer;
pub(crate) use peer::Peer;
pub(crate) use request::RequestHeaders;

use super::{Headers, names};

/// How the peers of a subscription write requests and replies: the option `dialect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Dialect {
    /// As the NestJS package `@makebelieve21213-packages/kafka-client`: a command envelope, and replies that
    /// say whether they are a success. The default.
    #[default]
    Reference,
    /// As NestJS itself: `ClientKafka`, `@MessagePattern`, `@EventPattern`.
    ///
    /// Replies go to `<topic>.reply` unless `replies` says otherwise, and to the partition that the caller
    /// names. A value is bare: objects and arrays are JSON, a string is written without quotes, and `null` is
    /// a record without a value. Received values may be either JSON or text. An error is an object with
    /// `statusCode`, `error` and `message` in the header `kafka_nest-err`. Handlers with a `#[command]` are
    /// still selected by the command envelope, which is then the value.
    Nest,
    /// As Spring Kafka: `ReplyingKafkaTemplate`, `@KafkaListener` with `@SendTo`.
    ///
    /// A value is bare JSON, `null` is a record without a value, and a reply has the key of its request. An
    /// error is a reply without a value whose headers are `kafka_exception-fqcn` (the error's name),
    /// `kafka_exception-message`, and `rpc-error`, which is the whole error as JSON: what a
    /// `replyErrorChecker` looks for. Dead letters have the `kafka_dlt-*` headers of a
    /// `DeadLetterPublishingRecoverer`. Handlers with a `#[command]` are still selected by the command
    /// envelope, which is then the value.
    Spring,
    /// Any of the others: every request is answered in the dialect that its headers show. Calls are made as
    /// [`Reference`](Self::Reference).
    ///
    /// Replies go to the topic that `replies` names, by default that of the reference. Allow the reply topics
    /// of other peers with [`allow_reply_to`](crate::RuntimeBuilder::allow_reply_to).
    Any,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reference => "reference",
            Self::Nest => "nest",
            Self::Spring => "spring",
            Self::Any => "any",
        })
    }
}

impl Dialect {
    /// The peer that calls are made to.
    pub(crate) fn callee(self) -> Peer {
        match self {
            Self::Reference | Self::Any => Peer::Reference,
            Self::Nest => Peer::Nest,
            Self::Spring => Peer::Spring,
        }
    }

    /// Returns the peer that sent a record.
    pub(crate) fn sender(self, headers: &Headers) -> Peer {
        match self {
            Self::Reference => Peer::Reference,
            Self::Nest => Peer::Nest,
            Self::Spring => Peer::Spring,
            Self::Any => {
                let has = |name: &&str| headers.get(name).is_some_and(|value| !value.is_empty());
                let asks = |names: [&str; 2]| names.iter().all(has);
                if !asks([names::CORRELATION_ID, names::REPLY_TO])
                    && asks([names::KAFKA_CORRELATION_ID, names::KAFKA_REPLY_TOPIC])
                {
                    // Nest's client always names its partition, in digits; Spring's names it in four bytes or
                    // not at all.
                    let partition = headers.text(names::KAFKA_REPLY_PARTITION).unwrap_or_default();
                    let in_digits = partition.starts_with(|letter: char| letter.is_ascii_digit());
                    return if in_digits { Peer::Nest } else { Peer::Spring };
                }
                // An event has no headers of Nest or Spring. It is read as Nest's, which accepts text and
                // JSON alike.
                let marked = [names::CORRELATION_ID, names::REPLY_TO, names::MESSAGE_TYPE].iter().any(has);
                if marked { Peer::Reference } else { Peer::Nest }
            }
        }
    }

    /// The topic that replies go to by default.
    pub(crate) fn default_reply_topic(self, topic: &str) -> String {
        match self.callee() {
            Peer::Nest => format!("{topic}.reply"),
            Peer::Reference | Peer::Spring => {
                format!("{}-responses", topic.strip_suffix("-commands").unwrap_or(topic))
            }
        }
    }
}

/// The correlation ids of a record on a reply topic, under the names that any peer uses. Empty if the record
/// is not a reply.
pub(crate) fn reply_ids(headers: &Headers) -> impl Iterator<Item = &[u8]> {
    let ids = [reference::reply_id(headers), headers.get(names::KAFKA_CORRELATION_ID)];
    ids.into_iter().flatten().filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Helpers for the tests of every dialect.
    pub(super) mod shared {
        use std::time::{Duration, SystemTime};

        use bytes::Bytes;

        use super::*;
        use crate::wire::{ReceivedReply, ReplyTo};

        pub(crate) const NOW: u64 = 1_700_000_000_000;

        pub(crate) fn written(headers: &Headers) -> Vec<(&str, &[u8])> {
            headers.iter().map(|(name, value)| (name, value.unwrap_or(b"<null>"))).collect()
        }

        pub(crate) fn own() -> Headers {
            received(&[("x-tenant", b"acme")])
        }

        pub(crate) fn received(pairs: &[(&str, &'static [u8])]) -> Headers {
            Headers::as_received(pairs.iter().map(|(name, value)| ((*name).to_owned(), Some(*value))))
        }

        /// A caller that reads every partition of a reply topic.
        pub(crate) fn any_of(topic: &str) -> ReplyTo<'_> {
            ReplyTo { topic, partition: None }
        }

        /// The deadline of the requests in tests.
        pub(crate) fn soon() -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_millis(NOW + 5_000)
        }

        /// A request that waits for its reply.
        pub(crate) fn waiting(correlation_id: &'static [u8]) -> RequestHeaders {
            RequestHeaders {
                correlation_id: Some(Bytes::from_static(correlation_id)),
                reply_to: Some("replies".into()),
                ..RequestHeaders::default()
            }
        }

        pub(crate) fn incoming(
            value: Option<&'static str>,
            pairs: &[(&str, &'static [u8])],
        ) -> ReceivedReply {
            ReceivedReply { value: value.map(Bytes::from), headers: received(pairs) }
        }
    }

    use shared::received;

    #[test]
    fn the_sender_of_a_record_is_known_by_its_headers() {
        let sender = |pairs: &[(&str, &'static [u8])]| Dialect::Any.sender(&received(pairs));
        assert_eq!(sender(&[("Correlation-Id", b"c"), ("reply-to", b"t")]), Peer::Reference);
        assert_eq!(sender(&[("message-type", b"fire-and-forget")]), Peer::Reference);
        let asks: &[(&str, &'static [u8])] = &[("kafka_correlationId", b"c"), ("kafka_replyTopic", b"t")];
        let names = |partition| [asks, &[("kafka_replyPartition", partition)]].concat();
        assert_eq!(sender(&names(b"2")), Peer::Nest);
        assert_eq!(sender(&names(&[0, 0, 0, 2])), Peer::Spring);
        assert_eq!(sender(asks), Peer::Spring);
        assert_eq!(sender(&[]), Peer::Nest, "as its `emit` writes it");
        let traced = [asks, &[("correlation-id", b"of a trace")]].concat();
        assert_eq!(sender(&traced), Peer::Spring, "a header of the caller's own");
        let empty = [asks, &[("correlation-id", b""), ("reply-to", b"t")]].concat();
        assert_eq!(sender(&empty), Peer::Spring, "an empty id is none");
    }

    #[test]
    fn a_dialect_that_is_named_is_not_guessed() {
        let nest = received(&[("kafka_correlationId", b"c"), ("kafka_replyTopic", b"t")]);
        assert_eq!(Dialect::Reference.sender(&nest), Peer::Reference);
        assert_eq!(Peer::Reference.read_request(&nest).return_address(), None);
        let reference = received(&[("correlation-id", b"c"), ("reply-to", b"t")]);
        assert_eq!(Dialect::Spring.sender(&reference), Peer::Spring);
        assert_eq!(Peer::Spring.read_request(&reference).return_address(), None);
    }

    #[test]
    fn a_reply_is_known_by_either_name_of_its_id() {
        let ids = |pairs: &[(&str, &'static [u8])]| {
            let headers = received(pairs);
            reply_ids(&headers).map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        assert_eq!(ids(&[("correlation-id", b"1")]), [b"1"]);
        assert_eq!(ids(&[("KAFKA_CORRELATIONID", b"1")]), [b"1"]);
        assert_eq!(ids(&[("correlation-id", b"1"), ("kafka_correlationId", b"2")]), [b"1", b"2"]);
        assert!(ids(&[("correlation-id", b"1"), ("message-type", b"fire-and-forget")]).is_empty());
        assert!(ids(&[("correlation-id", b""), ("x", b"1")]).is_empty());
    }

    #[test]
    fn the_reply_topic_follows_the_dialect() {
        assert_eq!(
            Dialect::Reference.default_reply_topic("dashboard-bybit-commands"),
            "dashboard-bybit-responses"
        );
        assert_eq!(Dialect::Any.default_reply_topic("orders"), "orders-responses");
        assert_eq!(Dialect::Spring.default_reply_topic("orders"), "orders-responses");
        assert_eq!(Dialect::Nest.default_reply_topic("orders-commands"), "orders-commands.reply");
    }
}
