//! Commands over Apache Kafka: annotated handlers, generated clients, one runtime.

#![cfg_attr(
    not(feature = "kafka"),
    allow(dead_code, reason = "what only a cluster needs is checked where there is one")
)]

#[doc(hidden)]
pub mod __private;
mod client;
mod config;
mod error;
mod handler;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "kafka")]
mod producer;
mod runtime;
mod server;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "kafka")]
mod topics;
mod wire;

pub use client::{Call, Caller, Client, Command, Encode, FromReply, Notification, Stub, loopback::Loopback};
pub use config::{Config, Tuning};
pub use error::{CallError, Error, Problem, Problems, Progress, RpcError};
pub use handler::*;
pub use kafka_rpc_macros::{command, kafka_handler};
#[cfg(feature = "kafka")]
pub use runtime::Running;
pub use runtime::{Runtime, RuntimeBuilder};
pub use wire::Headers;
