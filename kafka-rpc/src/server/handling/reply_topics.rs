//! Where replies may go.

use std::{collections::HashSet, sync::Arc};

use crate::{RpcError, server::Served, wire::RequestHeaders};

/// The topics that replies may go to. A `reply-to` is a stranger's text, and must not choose where we write.
#[derive(Debug, Default)]
pub(crate) struct ReplyTopics {
    pub(crate) allowed: HashSet<Arc<str>>,
}

impl ReplyTopics {
    /// Whether replies of a subscription may go to a topic: nowhere if it has none.
    pub(crate) fn allows(&self, served: &Served, topic: &str) -> bool {
        served.reply_topic.as_deref().is_some_and(|own| own == topic || self.allowed.contains(topic))
    }

    /// Refuses a request whose reply would go where the subscription's replies do not belong.
    pub(crate) fn check(&self, served: &Served, request: &RequestHeaders) -> Result<(), RpcError> {
        let Some((reply_to, _)) = request.return_address() else { return Ok(()) };
        if std::str::from_utf8(reply_to).is_ok_and(|topic| self.allows(served, topic)) {
            return Ok(());
        }
        Err(RpcError::forbidden(format!(
            "replies of `{}` may not go to the reply topic of this request; allow that topic with `allow_reply_to`",
            served.topic
        )))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_reply_goes_only_to_the_topic_of_the_subscription_or_one_that_is_allowed() {
        let served = Served::of_orders(true, false);
        let topics = ReplyTopics { allowed: [Arc::from("gateway-responses")].into() };
        let to = |topic: &'static [u8]| RequestHeaders {
            reply_to: Some(Bytes::from_static(topic)),
            correlation_id: Some("c-1".into()),
            ..RequestHeaders::default()
        };
        assert_eq!(topics.check(&served, &to(b"orders-responses")), Ok(()));
        assert_eq!(topics.check(&served, &to(b"gateway-responses")), Ok(()));
        assert_eq!(topics.check(&served, &RequestHeaders::default()), Ok(()));
        for hostile in [&b"__consumer_offsets"[..], b"orders", b"\xff\xff"] {
            assert!(topics.check(&served, &to(hostile)).is_err());
        }
    }
}
