//! Error replies and dead letters made outside a record's run: what the run led to was refused for good, or
//! something beside the handler panicked.

use std::{sync::Arc, time::SystemTime};

use crate::{
    RpcError,
    server::{
        Served,
        handling::outcome::{Attempt, Outcome},
    },
    wire::{Answer, OutgoingRecord, Peer, ReceivedRecord, ReceivedReply, RequestHeaders, dead_letter::cut},
};

/// The dead letter of a record, made as if nobody waited for a reply. `None` without a dead-letter topic.
///
/// `retries` is how often this process has retried the record.
pub(super) fn letter(
    served: &Served,
    record: &ReceivedRecord,
    retries: u32,
    error: RpcError,
) -> Option<Arc<OutgoingRecord>> {
    let (peer, unaddressed) = (sender(served, record), RequestHeaders::default());
    let retries = served.retries(record, retries);
    let attempt =
        Attempt { served, record, peer, request: &unaddressed, deadline: None, handler: None, retries };
    match attempt.give_up(error) {
        Outcome::DeadLetter { letter, .. } => Some(letter),
        _ => None,
    }
}

/// The error reply to a record's caller; `None` if nobody waits.
pub(super) fn error_reply(
    served: &Served,
    record: &ReceivedRecord,
    error: &RpcError,
) -> Option<Arc<OutgoingRecord>> {
    let peer = sender(served, record);
    peer.reply(&peer.read_request(record.headers()), record.key.as_ref(), Answer::Failure(error))
        .map(Arc::new)
}

/// The error in place of a reply that is larger than the broker takes: the handler's error, if the reply
/// carries one, without its details and with its texts cut to the length of a header.
pub(super) fn too_large(served: &Served, record: &ReceivedRecord, reply: &OutgoingRecord) -> RpcError {
    let Some(error) = error_in(served, record, reply) else {
        return RpcError::internal("the reply is larger than the broker accepts").with_name("ReplyTooLarge");
    };
    let short = RpcError::new(error.status(), cut(error.name()), cut(error.message()));
    match error.code() {
        Some(code) => short.with_code(cut(code)),
        None => short,
    }
}

/// Why a record failed whose reply was refused: the handler's error, if the reply carries one, with the
/// refusal as its source; otherwise the refusal.
pub(super) fn undelivered(
    served: &Served,
    record: &ReceivedRecord,
    reply: &OutgoingRecord,
    refusal: RpcError,
) -> RpcError {
    match error_in(served, record, reply) {
        Some(error) => error.with_source(refusal),
        None => refusal,
    }
}

/// The error that a reply carries, if it carries one.
fn error_in(served: &Served, record: &ReceivedRecord, reply: &OutgoingRecord) -> Option<RpcError> {
    let peer = sender(served, record);
    let reply = ReceivedReply { value: reply.value.clone(), headers: reply.headers.clone() };
    peer.read_reply(reply).ok()?.err()
}

/// Until when the caller of a record waits, if one waits and says until when.
pub(super) fn deadline(served: &Served, record: &ReceivedRecord) -> Option<SystemTime> {
    sender(served, record).read_request(record.headers()).deadline
}

fn sender(served: &Served, record: &ReceivedRecord) -> Peer {
    served.dialect.sender(record.headers())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::{Dialect, Headers};

    /// A request in any dialect whose caller waits, and the reply that answers it.
    fn answered(dialect: Dialect, answer: Answer<'_>) -> (Served, ReceivedRecord, OutgoingRecord) {
        let mut headers = Headers::new();
        for (name, value) in [
            ("correlation-id", "c-1"),
            ("reply-to", "orders-responses"),
            ("kafka_correlationId", "c-1"),
            ("kafka_replyTopic", "orders-responses"),
            ("kafka_replyPartition", "0"),
        ] {
            headers.push(name, value);
        }
        let record =
            ReceivedRecord { topic: "orders".into(), headers: Ok(headers), ..ReceivedRecord::blank() };
        let served = Served { dialect, ..Served::of_orders(true, false) };
        let peer = sender(&served, &record);
        let request = peer.read_request(record.headers());
        let reply = peer.reply(&request, None, answer).expect("somebody waits");
        (served, record, reply)
    }

    const DIALECTS: [Dialect; 3] = [Dialect::Reference, Dialect::Nest, Dialect::Spring];

    #[test]
    fn an_error_that_is_too_large_keeps_all_but_its_details_and_the_end_of_its_texts() {
        for dialect in DIALECTS {
            let error = RpcError::bad_request("x".repeat(1 << 20))
                .with_name("ValidationError")
                .with_code("E7")
                .with_details(json!({"all": "of it"}));
            let (served, record, reply) = answered(dialect, Answer::Failure(&error));
            let instead = too_large(&served, &record, &reply);
            assert_eq!((instead.status().as_u16(), instead.name()), (400, "ValidationError"), "{dialect}");
            assert_eq!((instead.code(), instead.details()), (Some("E7"), None));
            assert!(instead.message().len() <= 1 << 10 && instead.message().starts_with("xxx"));
        }
    }

    #[test]
    fn of_a_success_that_is_too_large_the_caller_is_told_just_that() {
        for dialect in DIALECTS {
            let (served, record, reply) = answered(dialect, Answer::Data(&Bytes::from_static(b"[1]")));
            assert_eq!(too_large(&served, &record, &reply).name(), "ReplyTooLarge", "{dialect}");
            let refusal = || RpcError::internal("it was refused");
            assert_eq!(undelivered(&served, &record, &reply, refusal()), refusal());
        }
    }

    #[test]
    fn the_letter_of_an_error_that_could_not_be_told_says_that_error_and_why_it_could_not() {
        let error = RpcError::unprocessable("down").with_name("Down");
        let (served, record, reply) = answered(Dialect::Reference, Answer::Failure(&error));
        let why = undelivered(&served, &record, &reply, RpcError::internal("no such partition"));
        let letter = letter(&served, &record, 0, why).expect("there is a topic for it");
        let told = ["status-code", "error-name", "error"].map(|name| letter.headers.text(name));
        assert_eq!(told, [Some("422"), Some("Down"), Some("down")]);
        assert!(letter.headers.text("error-stack").is_some_and(|stack| stack.contains("no such partition")));
    }
}
