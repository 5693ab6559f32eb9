//! Calls, which generated client traits make, and the transports that carry them.
//!
//! - [`call`]: one call, which is its own future
//! - [`command`]: commands of a subscription, as callers see them
//! - [`transport`]: the seam between a call and what carries it
//! - [`kafka`]: the transport over a cluster
//! - [`called`]: the topics that calls go to, and the metrics of those calls
//! - [`turnstile`]: the order in which calls are sent that have to wait first
//! - [`in_a_task`]: work that continues whether or not its caller polls it
//! - [`pending`]: the calls that wait for a reply
//! - [`sent`]: what the producer asks and tells of a request that it has
//! - [`replies`]: the consumer of reply topics
//! - [`positions`]: where reading starts in each partition of a reply topic
//! - [`reading`]: which partitions of a reply topic a process reads
//! - [`gone`]: the reply topics that librdkafka reports as gone
//! - [`copier`]: copies the headers of replies out of librdkafka's messages
//! - [`reply_errors`]: the errors of that consumer
//! - [`loopback`]: the transport to the handlers of this process
//! - [`stub`]: the transport to canned answers

pub(crate) mod call;
#[cfg(feature = "kafka")]
pub(crate) mod called;
pub(crate) mod command;
#[cfg(feature = "kafka")]
mod copier;
#[cfg(feature = "kafka")]
mod gone;
#[cfg(feature = "kafka")]
mod in_a_task;
#[cfg(feature = "kafka")]
pub(crate) mod kafka;
pub(crate) mod loopback;
#[cfg(feature = "kafka")]
pub(crate) mod pending;
#[cfg(feature = "kafka")]
mod positions;
mod reading;
#[cfg(feature = "kafka")]
pub(crate) mod replies;
#[cfg(feature = "kafka")]
mod reply_errors;
#[cfg(feature = "kafka")]
mod sent;
pub(crate) mod stub;
pub(crate) mod transport;
#[cfg(feature = "kafka")]
mod turnstile;

use std::{fmt, sync::Arc, time::Duration};

pub use call::{Call, FromReply, Notification};
pub use command::{Command, Encode};
pub use reading::ReplyReading;
pub use stub::Stub;
pub(crate) use transport::{OutgoingCall, Transport};

/// Makes calls. A handle that is cheap to clone, whatever carries the calls: a cluster, the handlers of this
/// process, or canned answers.
///
/// The commands are the methods of the generated client traits: bring `BankClient` into scope and write
/// `client.balance(request).await`. If two traits have a method of the same name, say which is meant:
///
/// ```
/// # use kafka_rpc::{CallError, Client, RpcError, kafka_handler};
/// # #[kafka_handler(topic = "bank-commands", group = "bank")]
/// # trait Bank {
/// #     #[command("CONNECT")]
/// #     async fn connect(&self, account: String) -> Result<(), RpcError>;
/// # }
/// # async fn example(client: Client) -> Result<(), CallError> {
/// let bank: &dyn BankClient = &client;
/// bank.connect("main".to_owned()).await?;
/// # Ok(())
/// # }
/// # fn main() {}
/// ```
///
/// In a handler, take the client as an argument. A call made inside a handler inherits the deadline of the
/// record; calls made by tasks that the handler spawns do not.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    call_timeout: Duration,
}

impl Client {
    pub(crate) fn new(transport: Arc<dyn Transport>, call_timeout: Duration) -> Self {
        Self { transport, call_timeout }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("call_timeout", &self.call_timeout).finish_non_exhaustive()
    }
}

/// A type that has a [`Client`], and with it every generated client trait.
///
/// Implement this trait for a type of your own that wraps a client, and the commands are its methods too.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot make calls",
    note = "take a `Client`: from `Running::client()` in `main`, as an argument in a handler"
)]
pub trait Caller {
    /// The client that carries the calls.
    fn client(&self) -> &Client;
}

impl Caller for Client {
    fn client(&self) -> &Client {
        self
    }
}

impl<C: Caller + ?Sized> Caller for Arc<C> {
    fn client(&self) -> &Client {
        (**self).client()
    }
}

impl<C: Caller + ?Sized> Caller for Box<C> {
    fn client(&self) -> &Client {
        (**self).client()
    }
}

impl<C: Caller + ?Sized> Caller for &C {
    fn client(&self) -> &Client {
        (**self).client()
    }
}
