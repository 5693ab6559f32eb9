//! What the integration tests share.
//!
//! - [`chaos`]: proof on a real cluster that nothing is lost and nothing hangs
//! - [`cluster`]: the Kafka that a test runs on, with topics and groups of its own
//! - [`mod@counted`]: what the runtime has counted
//! - [`delayed`]: a way to a broker that takes time
//! - [`interop`]: programs of other languages on the other side
//! - [`mod@interrupt`]: being told to end by a signal
//! - [`load`]: calls without end
//! - [`log`]: what is logged, for tests that read it
//! - [`mocked`]: callers and services on a broker that is told to fail
//! - [`orders`]: a contract, and a service that notes what it does
//! - [`peer`]: somebody on the other side, who speaks bytes
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
pub use wait::{BOUND, OpensAtLast, eventually};

/// The README is a user's first program: every block of it compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

/// And so do those about other peers.
#[cfg(doctest)]
#[doc = include_str!("../../docs/interoperability.md")]
mod interoperability {}
