//! Commands over Apache Kafka: annotated handlers, generated clients, one runtime.
//!
//! A service annotates async functions as the handlers of a topic's commands; others call them through a
//! generated client, and each call is a request that ends in a reply, a typed error, or its deadline.
//!
//! ```standalone_crate
//! use kafka_rpc::{RpcError, Runtime, kafka_handler};
//!
//! #[kafka_handler(topic = "accounts-commands", group = "accounts")]
//! pub trait Accounts {
//!     #[command("GET_BALANCE")]
//!     async fn get_balance(&self, account: String) -> Result<u64, RpcError>;
//! }
//!
//! struct AccountService;
//!
//! #[kafka_handler]
//! impl Accounts for AccountService {
//!     async fn get_balance(&self, account: String) -> Result<u64, RpcError> {
//!         if account == "alice" { Ok(42) } else { Err(RpcError::not_found("no such account")) }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In `main` of a service: `.config(Config::from_env()?)`, and `.run().await` instead of `.loopback()`.
//! let loopback = Runtime::builder().provide(AccountService).build()?.loopback();
//! let client = loopback.client();
//! assert_eq!(client.get_balance("alice".to_owned()).await?, 42);
//! # Ok(())
//! # }
//! ```
//!
//! - To serve: [`kafka_handler`] and [`command`] on handlers, whose arguments are a [`Payload`] and then
//!   extractors ([`FromRecord`]): [`State`], [`UserId`], [`Headers`], [`Deadline`] and others.
//! - To call: the generated client traits on a [`Client`]; a [`Call`] has a timeout, headers and a key.
//! - To run: [`Runtime::builder`], with a [`Config`].
//! - To test: [`Loopback`] runs the handlers in the process, [`Stub`] answers in their place, and the feature
//!   `testing` adds a Kafka in the process (`testing::EmbeddedBroker`).
//! - When it fails: [`RpcError`] crosses the wire, [`CallError`] ends a call, [`Error`] ends a process.
//!
//! # Features
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `kafka` (default) | the runtime over a cluster, on librdkafka |
//! | `testing` | `testing::EmbeddedBroker` |
//! | `ssl`, `ssl-vendored` | TLS and SCRAM, with the system's OpenSSL or one that is built from source |
//! | `sasl` | Kerberos, with the system's libsasl2; brings `ssl` |
//!
//! A contract crate needs none of them: `default-features = false` leaves the macros, calls, errors,
//! [`Loopback`] and [`Stub`], and links no C.

#![cfg_attr(
    not(feature = "kafka"),
    allow(dead_code, reason = "what only a cluster needs is checked where there is one")
)]

#[cfg(feature = "__bench")]
#[doc(hidden)]
pub mod __bench;
#[doc(hidden)]
pub mod __private;
mod caught;
mod client;
mod config;
mod error;
#[doc(hidden)]
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod handler;
#[cfg(feature = "kafka")]
mod kafka;
mod location;
mod mistakes;
mod moment;
#[cfg(feature = "kafka")]
mod producer;
mod properties;
mod rename;
#[cfg(feature = "kafka")]
mod repeats;
mod runtime;
mod server;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "kafka")]
mod topics;
mod tuning;
mod unpoisoned;
mod wire;

pub use bytes::Bytes;
pub use client::{
    Call, Caller, Client, Encode, FromReply, Notification, ReplyReading, Stub, loopback::Loopback,
};
pub use config::{Config, WhenFull};
pub use error::{CallError, Error, Problem, Problems, Progress, RpcError};
pub use handler::{
    Context, CorrelationId, DeadLetter, Deadline, FromRecord, HandlerError, HandlerReturn, Handlers,
    IntoReply, NoReply, OptionalFromRecord, Payload, Requirements, Retry, RetryPolicy, State, UserId,
};
pub use http::StatusCode;
pub use kafka_rpc_macros::{command, kafka_handler};
pub use location::Location;
#[cfg(feature = "kafka")]
pub use runtime::Running;
pub use runtime::{Runtime, RuntimeBuilder};
pub use tuning::Tuning;
pub use wire::{Dialect, Headers, HeadersIter, RecordInfo};
