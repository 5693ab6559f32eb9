//! The seam between a call and what carries it.

use std::{borrow::Cow, future::Future, pin::Pin, sync::Arc, time::Instant};

use bytes::Bytes;

use super::command::Body;
use crate::{
    CallError, Headers, Progress, moment,
    wire::{Encoded, Peer, ReceivedReply, codec, envelope},
};

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// An encoded call.
#[derive(Debug)]
pub(crate) struct OutgoingCall {
    /// The contract's name for the topic; a transport may map it.
    pub(crate) topic: Cow<'static, str>,
    pub(crate) reply_topic: Option<Cow<'static, str>>,
    pub(crate) callee: Peer,
    pub(crate) body: Cow<'static, Body>,
    pub(crate) payload: Bytes,
    pub(crate) user_id: Option<String>,
    pub(crate) key: Option<Bytes>,
    pub(crate) headers: Headers,
    /// Whether a running handler makes this call.
    pub(crate) of_handler: bool,
}

impl OutgoingCall {
    /// The topic of the call's replies, as the contract names it. An error if there are none.
    pub(crate) fn reply_topic(&self) -> Result<&str, CallError> {
        self.reply_topic.as_deref().ok_or_else(|| CallError::Invalid {
            reason: format!(
                "`{}` sends no replies (`replies = none`); send the command with `.notify()`",
                self.topic
            ),
        })
    }

    /// The value of the record.
    pub(crate) fn value(&self, id: &str, now: u64) -> Option<Bytes> {
        let user_id = self.user_id.as_deref();
        match &*self.body {
            Body::Command(name) => Some(envelope::encode(id, Some(name), user_id, &self.payload, now)),
            Body::Envelope => Some(envelope::encode(id, None, user_id, &self.payload, now)),
            Body::Payload => self.callee.value(&self.payload),
        }
    }
}

/// Returns the current time, or an error if the deadline has passed, as one that is inherited may have: then
/// nothing is sent. `topic` is the cluster's name.
pub(crate) fn check_deadline(topic: &str, deadline: Instant) -> Result<Instant, CallError> {
    let now = moment::now();
    if now < deadline { Ok(now) } else { Err(CallError::late(topic, now, Progress::NotSent)) }
}

/// Returns the data of a reply, or the other side's error. `topic` is the cluster's name.
pub(crate) fn read_reply(callee: Peer, topic: &str, reply: ReceivedReply) -> Result<Encoded, CallError> {
    match callee.read_reply(reply) {
        Ok(reply) => reply.map_err(CallError::Remote),
        Err(error) => Err(CallError::Decode { topic: topic.to_owned(), reason: codec::explain(&error) }),
    }
}

/// Carries calls, and ends each by its deadline.
pub(crate) trait Transport: Send + Sync + 'static {
    /// Sends a request and waits for its reply.
    fn call(
        self: Arc<Self>,
        outgoing: OutgoingCall,
        deadline: Instant,
    ) -> BoxFuture<Result<Encoded, CallError>>;

    /// Sends an event: resolves when the broker has it.
    fn notify(self: Arc<Self>, outgoing: OutgoingCall, deadline: Instant)
    -> BoxFuture<Result<(), CallError>>;

    /// Returns the cluster's name for a topic of a contract.
    fn cluster_name(&self, topic: &str) -> String {
        topic.to_owned()
    }

    /// Counts a reply that its caller cannot read, for a call to this topic.
    fn count_unreadable(&self, _topic: &str) {}
}

/// The payload of a call without one: JSON's `null`.
pub(crate) const NO_PAYLOAD: Bytes = codec::NULL;
