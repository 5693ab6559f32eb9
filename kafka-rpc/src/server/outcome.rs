//! What became of a record: the one thing that is done about it before its offset may be committed.

use std::{collections::HashSet, sync::Arc};

use uuid::Uuid;

use super::{Served, handle::Ended};
use crate::{
    Reply, RpcError,
    wire::{Dialect, OutgoingRecord, RequestHeaders, clock, reply},
};

/// What became of a record.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Somebody waits: this must be acknowledged first.
    Reply(OutgoingRecord),
    /// It was handled, and nobody waits.
    Handled,
    /// Nobody waited any more, so it was not handled.
    Expired,
    /// It cannot be handled, and there is nobody to tell.
    Failed(RpcError),
}

/// Decides what becomes of a record whose handler has ended.
pub(crate) fn conclude(dialect: Dialect, request: &RequestHeaders, ended: Ended) -> Outcome {
    let answer = match ended {
        Ended::Expired => return Outcome::Expired,
        Ended::Answered(Ok(Reply::None)) => return Outcome::Handled,
        Ended::Answered(answer) => answer,
    };
    let now = clock::now_millis();
    let Some((reply_to, correlation_id)) = request.return_address() else {
        return answer.map_or_else(Outcome::Failed, |_nobody_waits| Outcome::Handled);
    };
    let value = match &answer {
        Ok(Reply::Data(data)) => reply::encode_success(Some(data), now),
        Ok(Reply::Empty | Reply::None) => reply::encode_success(None, now),
        Err(error) => reply::encode_failure(error, now),
    };
    let message_id = Uuid::new_v4().to_string();
    Outcome::Reply(OutgoingRecord {
        // Checked against the allowed topics, which are text, before the handler ran.
        topic: String::from_utf8_lossy(reply_to).into(),
        placement: dialect.reply_placement(request),
        headers: dialect.reply(&message_id, correlation_id.clone(), now),
        key: Some(message_id.into()),
        value: Some(value),
    })
}

/// The topics that replies may go to: a `reply-to` is a stranger's text, and must not choose where we write.
#[derive(Debug, Default)]
pub(crate) struct ReplyTopics {
    pub(crate) allowed: HashSet<Arc<str>>,
}

impl ReplyTopics {
    /// Refuses a request whose reply would go where the subscription's replies do not belong.
    pub(crate) fn check(&self, served: &Served, request: &RequestHeaders) -> Result<(), RpcError> {
        let Some((reply_to, _)) = request.return_address() else {
            return Ok(());
        };
        let named = std::str::from_utf8(reply_to).ok();
        let allowed = named.is_some_and(|topic| {
            served.reply_topic.as_deref() == Some(topic) || self.allowed.contains(topic)
        });
        if allowed {
            return Ok(());
        }
        Err(RpcError::forbidden(format!(
            "`reply-to` names a topic that replies of `{}` may not go to; allow it with `allow_reply_to`",
            served.topic
        )))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::handler::Ordering;

    fn waited_for() -> RequestHeaders {
        RequestHeaders {
            correlation_id: Some("c-1".into()),
            reply_to: Some("orders-responses".into()),
            ..RequestHeaders::default()
        }
    }

    fn concluded(request: &RequestHeaders, ended: Ended) -> Outcome {
        conclude(Dialect::Reference, request, ended)
    }

    #[test]
    fn an_answer_goes_to_whoever_waits() {
        let answered = Ended::Answered(Ok(Reply::Data(Bytes::from_static(b"1"))));
        let Outcome::Reply(record) = concluded(&waited_for(), answered) else { panic!("no reply") };
        assert_eq!(&*record.topic, "orders-responses");
        assert_eq!(record.headers.text("correlation-id"), Some("c-1"));
        assert_eq!(record.key.as_ref(), record.headers.get("message-id"));
        assert!(record.value.is_some_and(|value| value.starts_with(br#"{"success":true,"data":1,"#)));
    }

    #[test]
    fn no_reply_is_sent_where_nobody_waits_or_the_handler_says_so() {
        let nobody = RequestHeaders::default();
        assert!(matches!(concluded(&nobody, Ended::Answered(Ok(Reply::Empty))), Outcome::Handled));
        assert!(matches!(concluded(&waited_for(), Ended::Answered(Ok(Reply::None))), Outcome::Handled));
        assert!(matches!(concluded(&waited_for(), Ended::Expired), Outcome::Expired));
    }

    #[test]
    fn an_error_is_told_to_whoever_waits_and_else_it_has_failed() {
        let failed = || Ended::Answered(Err(RpcError::internal("bug")));
        assert!(matches!(concluded(&waited_for(), failed()), Outcome::Reply(_)));
        assert!(matches!(concluded(&RequestHeaders::default(), failed()), Outcome::Failed(_)));
    }

    #[test]
    fn a_reply_goes_only_to_the_topic_of_the_subscription_or_one_that_is_allowed() {
        let served = Served {
            topic: "orders".into(),
            group: "g".into(),
            contract_topic: "orders",
            reply_topic: Some("orders-responses".into()),
            dead_letter_topic: None,
            ordering: Ordering::Key,
            concurrency: 1,
            dispatch: super::super::dispatch::Dispatch::default(),
            locations: Vec::new(),
        };
        let topics = ReplyTopics { allowed: [Arc::from("gateway-responses")].into() };
        let to = |topic: &'static [u8]| RequestHeaders {
            reply_to: Some(Bytes::from_static(topic)),
            ..waited_for()
        };
        assert_eq!(topics.check(&served, &to(b"orders-responses")), Ok(()));
        assert_eq!(topics.check(&served, &to(b"gateway-responses")), Ok(()));
        assert_eq!(topics.check(&served, &RequestHeaders::default()), Ok(()));
        for hostile in [&b"__consumer_offsets"[..], b"orders", b"\xff\xff"] {
            assert!(topics.check(&served, &to(hostile)).is_err());
        }
    }
}
