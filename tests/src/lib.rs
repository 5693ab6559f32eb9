//! What the integration tests share.
//!
//! - [`chaos`]: proof on a real cluster that nothing is lost and nothing hangs
//! - [`cluster`]: the Kafka that a test runs on, with topics and groups of its own
//! - [`mod@counted`]: what the runtime has counted
//! - [`delayed`]: a proxy that delays bytes to a broker
//! - [`interop`]: programs of other languages on the other side
//! - [`mod@interrupt`]: ending on a signal
//! - [`load`]: an endless load of calls
//! - [`log`]: what is logged, for tests that read it
//! - [`mocked`]: callers and services on a mocked broker that fails on demand
//! - [`orders`]: a contract, and a service that notes what it does
//! - [`peer`]: a peer on the other side that speaks raw bytes
//! - [`process`]: processes of this machine
//! - [`service`]: the service as a process of its own, which can be killed
//! - [`wait`]: waiting for a condition, with a bound

pub mod chaos;
pub mod cluster;
pub mod counted;
pub mod delayed;
pub mod interop;
pub mod interrupt;
pub mod load;
pub mod log;
pub mod mocked;
pub mod orders;
pub mod peer;
pub mod process;
pub mod service;
mod skipped;
pub mod wait;

pub use cluster::Cluster;
pub use counted::counted;
pub use log::Log;
pub use peer::{Peer, Record};
pub use wait::{BOUND, OpensAtLast, eventually, until};

/// The README is a user's first program: every block of it compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

/// Every block about other peers compiles and runs too.
#[cfg(doctest)]
#[doc = include_str!("../../docs/interoperability.md")]
mod interoperability {}
