//! The transport to canned answers.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    time::Instant,
};

use bytes::Bytes;
use serde::Serialize;

use super::{Client, OutgoingCall, Transport, command::Body, transport::BoxFuture};
use crate::{
    CallError, Progress, RpcError,
    config::CALL_TIMEOUT,
    handler::registry::wire_name,
    unpoisoned::Unpoisoned as _,
    wire::{Encoded, codec},
};

type CannedAnswer = Arc<dyn Fn(&[u8]) -> Result<Bytes, CallError> + Send + Sync>;

/// Canned answers for the calls of code under test.
///
/// ```standalone_crate
/// use kafka_rpc::{CallError, RpcError, Stub, kafka_handler};
/// # use serde::Serialize;
///
/// #[derive(Serialize)]
/// enum Command { Balance, Withdraw }
///
/// #[kafka_handler(topic = "accounts-commands", group = "accounts")]
/// pub trait Accounts {
///     #[command(Command::Balance)]
///     async fn balance(&self, account: String) -> Result<u64, RpcError>;
///     #[command(Command::Withdraw)]
///     async fn withdraw(&self, amount: u64) -> Result<(), RpcError>;
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let stub = Stub::new()
///     .answer(Command::Balance, 42)
///     .fail(Command::Withdraw, RpcError::forbidden("not yours"));
/// let client = stub.client();
///
/// assert_eq!(client.balance("a".to_owned()).await, Ok(42));
/// assert_eq!(client.withdraw(1).await, Err(CallError::Remote(RpcError::forbidden("not yours"))));
/// assert_eq!(stub.calls(), ["Balance", "Withdraw"]);
/// # }
/// ```
///
/// An answer applies to every command of its name, on whichever topic it is called, unless [`on`](Self::on)
/// names the topic. A record without a command, as of a contract with `dialect = "nest"`, has the empty name.
#[derive(Clone, Default)]
pub struct Stub {
    /// The topic that the answers which follow are for.
    on: Option<String>,
    answers: HashMap<(Option<String>, String), CannedAnswer>,
    mistakes: Vec<String>,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    /// Creates a stub without answers: every call that is awaited is an error.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits the answers that follow to one topic, as its contract names it: for several contracts that have
    /// commands of the same name, or records without a command.
    ///
    /// ```
    /// # use kafka_rpc::Stub;
    /// let stub = Stub::new().on("accounts").answer("", 42).on("orders").answer("", "placed");
    /// ```
    #[must_use]
    pub fn on(mut self, topic: impl Into<String>) -> Self {
        self.on = Some(topic.into());
        self
    }

    /// Answers every call of a command with `reply`.
    #[must_use]
    pub fn answer(self, command: impl Serialize, reply: impl Serialize) -> Self {
        let data = codec::encode(&reply).map_err(|error| CallError::Invalid {
            reason: format!("the stub's answer cannot be serialised: {error}"),
        });
        self.with(&command, Arc::new(move |_payload| data.clone()))
    }

    /// Answers every call of a command with what `reply` returns for its payload.
    #[must_use]
    pub fn answer_with<P, T>(
        self,
        command: impl Serialize,
        reply: impl Fn(P) -> Result<T, RpcError> + Send + Sync + 'static,
    ) -> Self
    where
        P: serde::de::DeserializeOwned,
        T: Serialize,
    {
        let answer = move |payload: &[u8]| {
            let payload = codec::decode(payload).map_err(|error| CallError::Invalid {
                reason: format!("the payload is not what the stub expects: {}", codec::explain(&error)),
            })?;
            let reply = reply(payload).map_err(CallError::Remote)?;
            codec::encode(&reply).map_err(|error| CallError::Invalid {
                reason: format!("the stub's answer cannot be serialised: {error}"),
            })
        };
        self.with(&command, Arc::new(answer))
    }

    /// Ends every call of a command with an error: an [`RpcError`] of the other side, or a [`CallError`] of
    /// this side, such as a deadline. A [`notify`](crate::Call::notify) ends with the errors of this side only:
    /// it never hears of the other side's.
    #[must_use]
    pub fn fail(self, command: impl Serialize, error: impl Into<CallError>) -> Self {
        let error = error.into();
        self.with(&command, Arc::new(move |_payload| Err(error.clone())))
    }

    fn with(mut self, command: &impl Serialize, answer: CannedAnswer) -> Self {
        match wire_name(command) {
            Ok(name) => {
                self.answers.insert((self.on.clone(), name), answer);
            }
            Err(error) => self.mistakes.push(error.to_string()),
        }
        self
    }

    /// Returns a client that gets these answers.
    pub fn client(&self) -> Client {
        Client::new(Arc::new(self.clone()), CALL_TIMEOUT)
    }

    /// The commands that were called and notified, in order; an empty name is a record without a command.
    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().unpoisoned().clone()
    }

    /// The answer to a call: one for its topic comes before one for any topic.
    fn answer_to(&self, outgoing: &OutgoingCall) -> Option<&CannedAnswer> {
        let name = command_of(outgoing);
        let of = |topic| self.answers.get(&(topic, name.to_owned()));
        of(Some(outgoing.topic.to_string())).or_else(|| of(None))
    }

    fn take(&self, outgoing: &OutgoingCall) -> Result<Bytes, CallError> {
        let name = command_of(outgoing);
        self.calls.lock().unpoisoned().push(name.to_owned());
        match self.answer_to(outgoing) {
            Some(answer) => answer(&outgoing.payload),
            None => Err(CallError::Undeliverable {
                topic: outgoing.topic.clone().into_owned(),
                progress: Progress::NotSent,
                reason: match self.mistakes.first() {
                    None => format!("the stub has no answer to `{name}`"),
                    Some(mistake) => format!(
                        "the stub has no answer to `{name}`; one of its answers names no command: {mistake}"
                    ),
                },
            }),
        }
    }
}

impl Transport for Stub {
    fn call(
        self: Arc<Self>,
        outgoing: OutgoingCall,
        _deadline: Instant,
    ) -> BoxFuture<Result<Encoded, CallError>> {
        // As on Kafka, where a reply could never come: nothing is sent then.
        let answer = match outgoing.reply_topic() {
            Ok(_topic) => self.take(&outgoing).map(Encoded::json),
            Err(error) => Err(error),
        };
        Box::pin(std::future::ready(answer))
    }

    fn notify(
        self: Arc<Self>,
        outgoing: OutgoingCall,
        _deadline: Instant,
    ) -> BoxFuture<Result<(), CallError>> {
        let ended = match self.take(&outgoing) {
            // Whoever sends an event never hears what the other side says to it.
            Ok(_) | Err(CallError::Remote(_) | CallError::Decode { .. }) => Ok(()),
            // Nor does an event need an answer, so the lack of one is no error.
            Err(_) if self.answer_to(&outgoing).is_none() => Ok(()),
            Err(error) => Err(error),
        };
        Box::pin(std::future::ready(ended))
    }
}

fn command_of(outgoing: &OutgoingCall) -> &str {
    match &*outgoing.body {
        Body::Command(name) => name,
        Body::Envelope | Body::Payload => "",
    }
}

impl fmt::Debug for Stub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stub").field("answers", &self.answers.keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Call, Location,
        client::Command,
        handler::{Destination, Subscription},
    };

    #[tokio::test]
    async fn a_reply_is_not_awaited_where_there_are_none() {
        const HERE: Location = Location { file: file!(), line: line!() };
        static LOST: Command =
            Command::new(Subscription::new("parcels", "parcels", HERE).replies(Destination::None), || {
                Ok("LOST".into())
            });
        let stub = Stub::new().answer("LOST", ());
        let ended = Call::<()>::without_payload(&stub.client(), &LOST).await;
        assert!(
            matches!(&ended, Err(CallError::Invalid { reason }) if reason.contains("`.notify()`")),
            "{ended:?}"
        );
        assert!(stub.calls().is_empty(), "it was not sent");
        assert_eq!(Call::<()>::without_payload(&stub.client(), &LOST).notify().await, Ok(()));
    }
}
