//! Commands over Apache Kafka: annotated handlers, generated clients, one runtime.

#[doc(hidden)]
pub mod __private;
mod client;
mod config;
mod error;
mod handler;
mod runtime;
mod server;
mod wire;

pub use client::{Call, Caller, Client, Command, Encode, FromReply, Notification, Stub, loopback::Loopback};
pub use config::{Config, Tuning};
pub use error::{CallError, Error, Problem, Problems, Progress, RpcError};
pub use handler::*;
pub use kafka_rpc_macros::{command, kafka_handler};
pub use runtime::{Runtime, RuntimeBuilder};
pub use wire::Headers;
