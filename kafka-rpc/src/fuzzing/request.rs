//! The headers of a request, and its outcome.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::{PEERS, envelope, record};
use crate::{
    Deadline, Dialect, Headers, Retry, RetryPolicy, RpcError,
    server::{
        Served,
        handling::{
            limits::Limits,
            outcome::{Attempt, Outcome},
            reply_topics::ReplyTopics,
        },
    },
    wire::{
        OutgoingRecord, Peer, ReceivedRecord, ReceivedReply, ReplyTo, RequestHeaders, clock, dialect, retry,
    },
};

/// Checks that the first header of each name counts, that what was read is written so that it reads the same,
/// that a waiting caller is answered with the id that it sent, and that a record is passed on as it came.
pub fn request(text: &[u8]) {
    check(&record::read(text));
}

pub(crate) fn check(record: &ReceivedRecord) {
    let none = Headers::new();
    let headers = record.headers.as_ref().unwrap_or(&none);
    for peer in PEERS {
        read(peer, headers);
        envelope::dispatched(peer.read_value(record.value.as_ref()).as_ref());
    }
    sender(headers);
    measured(record, headers);
    for dialect in [Dialect::Reference, Dialect::Nest, Dialect::Spring, Dialect::Any] {
        for dead_letter in [false, true] {
            for retry_topic in [false, true] {
                concluded(
                    &Served { dialect, ..Served::of_orders(dead_letter, retry_topic) },
                    record,
                    headers,
                );
            }
        }
    }
}

/// Returns the value of the first header of this name, in any case.
fn first<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    let (_, value) = headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name))?;
    value
}

fn number<T: std::str::FromStr>(value: &[u8]) -> Option<T> {
    str::from_utf8(value).ok()?.parse().ok()
}

fn read(peer: Peer, headers: &Headers) {
    let request = peer.read_request(headers);
    let [id, to, partition] = match peer {
        Peer::Reference => ["correlation-id", "reply-to", "reply-partition"],
        Peer::Nest | Peer::Spring => ["kafka_correlationId", "kafka_replyTopic", "kafka_replyPartition"],
    };
    let id = first(headers, id).filter(|id| !id.is_empty());
    let to = first(headers, to).filter(|to| !to.is_empty());
    assert_eq!((request.correlation_id.as_deref(), request.reply_to.as_deref()), (id, to));
    assert_eq!(request.return_address().is_some(), id.is_some() && to.is_some());
    let deadline = first(headers, "deadline").and_then(number::<u64>);
    assert_eq!(request.deadline.map(clock::millis), deadline);
    if let Some(read) = request.reply_partition {
        let written = first(headers, partition).unwrap_or_default();
        assert!(read >= 0 && (number(written) == Some(read) || *written == read.to_be_bytes()));
    }
    if let Some(deadline) = request.deadline {
        let deadline = Deadline::at_wall(deadline, (Instant::now(), SystemTime::now()));
        assert!(deadline.is_none_or(|deadline| !deadline.has_passed(Duration::MAX)));
    }
    let count = first(headers, "retry-count").and_then(|count| str::from_utf8(count).ok());
    let count = count.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or(0);
    assert_eq!(u64::from(retry::count(headers)), count.min(u32::MAX.into()));
    let due = first(headers, "retry-timestamp").and_then(number::<u64>);
    assert_eq!(retry::due(headers).map(clock::millis), due);
    written_again(peer, headers, &request);
}

fn written_again(peer: Peer, headers: &Headers, request: &RequestHeaders) {
    let text = |bytes: &Bytes| str::from_utf8(bytes).ok().map(str::to_owned);
    let (Some(to), Some(id)) =
        (request.reply_to.as_ref().and_then(text), request.correlation_id.as_ref().and_then(text))
    else {
        return;
    };
    let deadline = request.deadline.unwrap_or(SystemTime::UNIX_EPOCH);
    let own = headers.iter().filter(|(name, _)| !peer.is_reserved(name));
    let own = Headers::as_received(own.map(|(name, value)| (name.to_owned(), value)));
    let reply_to = ReplyTo { topic: &to, partition: request.reply_partition };
    let written = peer.request(&id, reply_to, deadline, own.clone(), 1);
    let expected = RequestHeaders { deadline: Some(deadline), ..request.clone() };
    assert_eq!(peer.read_request(&written), expected);
    let kept: Vec<_> = written.iter().filter(|(name, _)| !peer.is_reserved(name)).collect();
    assert_eq!(kept, own.iter().collect::<Vec<_>>());
}

/// Checks that every waiting caller is answered if the dialect is left open.
fn sender(headers: &Headers) {
    let sender = Dialect::Any.sender(headers).read_request(headers);
    let waits = PEERS.iter().any(|peer| peer.read_request(headers).return_address().is_some());
    assert_eq!(sender.return_address().is_some(), waits, "{headers:?}");
}

fn measured(record: &ReceivedRecord, headers: &Headers) {
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len)).sum();
    let value = record.value.as_ref().map_or(0, Bytes::len);
    let exact = Limits { headers: headers.len(), header_bytes: bytes, value_bytes: value };
    assert_eq!(exact.check(record, &[]).is_ok(), record.headers.is_ok());
    for less in [
        Limits { headers: exact.headers.wrapping_sub(1), ..exact },
        Limits { header_bytes: exact.header_bytes.wrapping_sub(1), ..exact },
        Limits { value_bytes: exact.value_bytes.wrapping_sub(1), ..exact },
    ] {
        // A limit below zero wraps around to no limit.
        let is_bound =
            [less.headers, less.header_bytes, less.value_bytes].iter().all(|most| *most < usize::MAX);
        let refused = less.check(record, &[]).err().map(|error| error.status().as_u16());
        let expected = if record.headers.is_err() { Some(400) } else { is_bound.then_some(413) };
        assert_eq!(refused, expected);
    }
}

/// Retries without end, after this delay.
struct Always(Duration);

impl RetryPolicy for Always {
    fn delay(&self, _error: &RpcError, _retry: u32) -> Option<Duration> {
        Some(self.0)
    }
}

fn concluded(served: &Served, record: &ReceivedRecord, headers: &Headers) {
    let peer = served.dialect.sender(headers);
    let request = peer.read_request(headers);
    let allowed = request.return_address().is_none_or(|(to, _)| **to == *b"orders-responses");
    assert_eq!(ReplyTopics::default().check(served, &request).is_ok(), allowed);
    let attempt = Attempt {
        served,
        record,
        peer,
        request: &request,
        deadline: None,
        handler: None,
        retries: retry::count(headers),
    };
    let text = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default());
    let policies: [&dyn RetryPolicy; 4] =
        [&Retry::new(), &Retry::NONE, &Always(Duration::from_millis(1)), &Always(Duration::MAX)];
    for error in [RpcError::internal(format!("bug: {text}")), RpcError::bad_request(format!("no: {text}"))] {
        for policy in policies {
            let outcome = attempt.conclude(Err(error.clone()), policy);
            became(&attempt, &error, outcome);
        }
    }
}

fn became(attempt: &Attempt<'_>, error: &RpcError, outcome: Outcome) {
    let (served, record) = (attempt.served, attempt.record);
    let waits = attempt.request.return_address().is_some();
    match outcome {
        Outcome::ErrorReply { reply, .. } => {
            assert!(error.is_final() || served.dead_letter_topic.is_none());
            answered(attempt, error, &reply);
        }
        Outcome::Retry { .. } => assert!(served.retry_topic.is_none()),
        Outcome::RetryLater { record: again, .. } => {
            assert_eq!(retry::count(&again.headers), attempt.retries.saturating_add(1));
            assert!(retry::due(&again.headers).is_some());
            let of_retry = ["retry-count", "retry-timestamp", "last-error", "retry-origin"];
            let own = |(name, _): &(&str, _)| !of_retry.iter().any(|other| name.eq_ignore_ascii_case(other));
            assert_eq!(
                again.headers.iter().filter(own).collect::<Vec<_>>(),
                record.headers.clone().unwrap_or_default().iter().filter(own).collect::<Vec<_>>()
            );
            assert_eq!((&again.key, &again.value), (&record.key, &record.value));
        }
        Outcome::DeadLetter { letter, reply, .. } => {
            assert_eq!(reply.is_some(), waits);
            if let Some(reply) = &reply {
                answered(attempt, error, reply);
            }
            let own = record.headers.clone().unwrap_or_default();
            assert!(letter.headers.iter().take(own.len()).eq(own.iter()));
            assert_eq!((&letter.key, &letter.value), (&record.key, &record.value));
        }
        Outcome::Discarded(_) => assert!(!waits && served.dead_letter_topic.is_none()),
        Outcome::Handled | Outcome::Expired | Outcome::Reply(_) => unreachable!("it has failed"),
    }
}

fn answered(attempt: &Attempt<'_>, error: &RpcError, reply: &OutgoingRecord) {
    let (to, id) = attempt.request.return_address().expect("somebody waits");
    assert_eq!(*reply.topic, *String::from_utf8_lossy(to));
    assert!(dialect::reply_ids(&reply.headers).eq([id]));
    let reply = ReceivedReply { value: reply.value.clone(), headers: reply.headers.clone() };
    assert_eq!(attempt.peer.read_reply(reply).ok(), Some(Err(error.clone())));
}
