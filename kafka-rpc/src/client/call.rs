//! One call, which is its own future.

use std::{
    borrow::Cow,
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::{
    Caller, Client, Command, Encode, OutgoingCall,
    transport::{BoxFuture, NO_PAYLOAD, Transport},
};
use crate::{
    CallError, Headers, moment,
    server::handling::scope,
    wire::{Encoded, codec},
};

/// A call of a command. Await it for the reply, or use [`notify`](Self::notify) to send the command without
/// waiting for one.
///
/// Nothing is sent before the call is polled. A call owns everything it needs, so it can be spawned, joined
/// and raced; dropping it forgets the call.
///
/// ```
/// # use std::time::Duration;
/// # use kafka_rpc::{CallError, Client, RpcError, kafka_handler};
/// # #[kafka_handler(topic = "bank-commands", group = "bank")]
/// # trait Bank {
/// #     #[command("BALANCE")]
/// #     async fn balance(&self, account: String) -> Result<u64, RpcError>;
/// # }
/// # async fn example(client: Client) -> Result<(), CallError> {
/// let balance = client.balance("main".to_owned()).timeout(Duration::from_secs(5)).user_id("ada").await?;
/// # Ok(())
/// # }
/// # fn main() {}
/// ```
#[must_use = "a call does nothing unless it is awaited, or `.notify()` is"]
pub struct Call<T> {
    stage: Stage<T>,
}

enum Stage<T> {
    Ready(Result<T, CallError>),
    Building(Box<Building>),
    InFlight(AwaitedReply, PhantomData<fn() -> T>),
    Done,
}

struct Building {
    client: Client,
    request: Result<OutgoingCall, CallError>,
    timeout: Duration,
    inherited: Option<Instant>,
}

struct AwaitedReply {
    topic: Cow<'static, str>,
    transport: Arc<dyn Transport>,
    reply: BoxFuture<Result<Encoded, CallError>>,
}

impl<T> Call<T> {
    /// Creates a call of `command` with `payload`. The methods of a generated client trait use this.
    #[doc(hidden)]
    pub fn new(
        caller: &(impl Caller + ?Sized),
        command: &'static Command,
        payload: &(impl Encode + ?Sized),
    ) -> Self {
        Self::encoded(caller, command, payload.encode())
    }

    /// Creates a call of a command without a payload.
    #[doc(hidden)]
    pub fn without_payload(caller: &(impl Caller + ?Sized), command: &'static Command) -> Self {
        Self::encoded(caller, command, Ok(NO_PAYLOAD))
    }

    fn encoded(
        caller: &(impl Caller + ?Sized),
        command: &'static Command,
        payload: Result<Bytes, CallError>,
    ) -> Self {
        let client = caller.client().clone();
        let request = command.resolve().and_then(|resolved| {
            Ok(OutgoingCall {
                topic: resolved.topic.into(),
                reply_topic: resolved.reply_topic.as_deref().map(Cow::Borrowed),
                callee: resolved.callee,
                body: Cow::Borrowed(&resolved.body),
                payload: payload?,
                user_id: None,
                key: None,
                headers: Headers::new(),
                of_handler: scope::is_handler(),
            })
        });
        let timeout = client.call_timeout;
        let inherited = scope::deadline();
        Self { stage: Stage::Building(Box::new(Building { client, request, timeout, inherited })) }
    }

    /// Creates a call that has already ended, for a hand-written fake of a client trait.
    ///
    /// ```
    /// # use kafka_rpc::{Call, CallError};
    /// struct Fake;
    ///
    /// impl Fake {
    ///     fn balance(&self) -> Call<u64> {
    ///         Call::ready(Ok(42))
    ///     }
    /// }
    /// ```
    pub fn ready(result: Result<T, CallError>) -> Self {
        Self { stage: Stage::Ready(result) }
    }

    /// Sets how long to wait for the reply, from the first poll: by default the `call_timeout` of the
    /// [`Config`](crate::Config). Inside a handler a call never waits longer than the handler's own caller,
    /// except with [`notify`](Self::notify).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        if let Stage::Building(building) = &mut self.stage {
            building.timeout = timeout;
        }
        self
    }

    /// Adds a header, which reaches the handler. A name that belongs to the protocol is an error at the call,
    /// as is one that is empty or contains a zero byte.
    pub fn header(self, name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        let (name, value) = (name.into(), Bytes::copy_from_slice(value.as_ref()));
        self.with(|request| {
            let reason = if request.callee.is_reserved(&name) {
                format!("the header `{name}` belongs to the protocol; choose another name")
            } else if name.is_empty() || name.contains('\0') {
                "the name of a header cannot be empty or contain a zero byte".to_owned()
            } else {
                request.headers.push(name, value);
                return Ok(());
            };
            Err(CallError::Invalid { reason })
        })
    }

    /// Sets the record key: calls with the same key are handled one at a time and in order. Without this, the
    /// key is the correlation id, which orders nothing. With `dialect = "spring"` there is no key by default,
    /// and records without a key are handled one at a time in each partition.
    ///
    /// The key is the value's text, as with `#[command(.., key = ..)]`: the two go to one partition.
    #[expect(clippy::needless_pass_by_value, reason = "so that `.key(7)` and `.key(account)` can be written")]
    pub fn key(self, key: impl ToString) -> Self {
        self.key_bytes(key.to_string())
    }

    /// Sets a record key that is not text; see [`key`](Self::key).
    pub fn key_bytes(self, key: impl Into<Bytes>) -> Self {
        self.with(|request| {
            request.key = Some(key.into());
            Ok(())
        })
    }

    /// Sets who the call is for: the envelope's `userId`. Where values have no envelope, as of a function that
    /// takes every record of its topic, this is an error at the call: send a [`header`](Self::header) instead.
    pub fn user_id(self, user_id: impl Into<String>) -> Self {
        self.with(|request| {
            if !request.body.has_envelope() {
                let reason = "values of this topic have no envelope, and so no user id; send it as a header"
                    .to_owned();
                return Err(CallError::Invalid { reason });
            }
            request.user_id = Some(user_id.into());
            Ok(())
        })
    }

    /// Sends the command without waiting for a reply: resolves when the broker has the record. The call's
    /// timeout applies to that, also inside a handler whose caller stops waiting earlier.
    pub fn notify(self) -> Notification {
        Notification(match self.stage {
            Stage::Ready(result) => Box::pin(std::future::ready(result.map(drop))),
            Stage::Building(building) => building.notify(),
            Stage::InFlight(..) | Stage::Done => Box::pin(std::future::ready(Err(polled_already()))),
        })
    }

    fn with(mut self, change: impl FnOnce(&mut OutgoingCall) -> Result<(), CallError>) -> Self {
        if let Stage::Building(building) = &mut self.stage
            && let Ok(request) = &mut building.request
            && let Err(error) = change(request)
        {
            building.request = Err(error);
        }
        self
    }
}

impl Building {
    /// The call's deadline by its own timeout, whatever deadline was inherited.
    fn own_deadline(&self) -> Instant {
        moment::after(moment::now(), self.timeout)
    }

    fn send(self) -> Result<AwaitedReply, CallError> {
        let own = self.own_deadline();
        let deadline = self.inherited.map_or(own, |inherited| inherited.min(own));
        let request = self.request?;
        let topic = request.topic.clone();
        let transport = self.client.transport;
        Ok(AwaitedReply { topic, reply: Arc::clone(&transport).call(request, deadline), transport })
    }

    fn notify(self) -> BoxFuture<Result<(), CallError>> {
        // As with an awaited call, nothing happens and no time runs before the first poll.
        Box::pin(async move {
            // Not the inherited deadline: an event reports what has happened, whether or not the handler's
            // caller still waits.
            let deadline = self.own_deadline();
            Arc::clone(&self.client.transport).notify(self.request?, deadline).await
        })
    }
}

/// The error of a call whose future was polled before: it cannot be sent again.
fn polled_already() -> CallError {
    CallError::Invalid {
        reason: "a call cannot be sent twice, and this one is in flight or has ended; make a new call"
            .to_owned(),
    }
}

// No field is structurally pinned: the future in flight is boxed.
impl<T> Unpin for Call<T> {}

impl<T: FromReply> Future for Call<T> {
    type Output = Result<T, CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Ready(result) => return Poll::Ready(result),
                Stage::Building(building) => match building.send() {
                    Ok(sent) => self.stage = Stage::InFlight(sent, PhantomData),
                    Err(error) => return Poll::Ready(Err(error)),
                },
                Stage::InFlight(mut sent, marker) => {
                    let Poll::Ready(reply) = sent.reply.as_mut().poll(cx) else {
                        self.stage = Stage::InFlight(sent, marker);
                        return Poll::Pending;
                    };
                    return Poll::Ready(reply.and_then(|data| {
                        data.read(T::from_reply).map_err(|reason| {
                            sent.transport.count_unreadable(&sent.topic);
                            CallError::Decode { topic: sent.transport.cluster_name(&sent.topic), reason }
                        })
                    }));
                }
                Stage::Done => return Poll::Ready(Err(polled_already())),
            }
        }
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.stage {
            Stage::Ready(_) => "Call(ready)",
            Stage::Building(_) => "Call(not sent)",
            Stage::InFlight(..) => "Call(in flight)",
            Stage::Done => "Call(done)",
        })
    }
}

/// A type that a call can be awaited for: anything that serde can deserialise without borrowing. `()` accepts
/// any success, whatever its data.
#[diagnostic::on_unimplemented(
    message = "a reply cannot be read as `{Self}`",
    label = "this call cannot be awaited",
    note = "derive `serde::Deserialize` for the reply; a command that sends no reply is sent with `.notify()`"
)]
pub trait FromReply: Sized {
    #[doc(hidden)]
    fn from_reply(data: &[u8]) -> Result<Self, String>;
}

#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> FromReply for T {
    fn from_reply(data: &[u8]) -> Result<Self, String> {
        // A caller that expects `()` accepts any success: services of others answer with the data they saved.
        if size_of::<T>() == 0
            && let Ok(nothing) = codec::decode(&codec::NULL)
        {
            return Ok(nothing);
        }
        codec::decode(data).map_err(|error| codec::explain(&error))
    }
}

/// A command on its way to the broker, sent by [`Call::notify`]. Resolves when the broker has the record.
#[must_use = "nothing is sent unless this is awaited"]
pub struct Notification(BoxFuture<Result<(), CallError>>);

impl Future for Notification {
    type Output = Result<(), CallError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notification")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_for_nothing_takes_any_answer_and_nobody_else_does() {
        for answer in ["null", r#"{"id":1}"#, "7"] {
            assert_eq!(<()>::from_reply(answer.as_bytes()), Ok(()), "{answer}");
        }
        assert!(u8::from_reply(br#"{"id":1}"#).is_err());
    }
}
