//! A small deployment: five services on one Kafka, and whoever calls them.
//!
//! Read it in this order:
//!
//! - [`contract`]: what crosses the wire. In a deployment this is a crate of its own, which services and callers
//!   depend on.
//! - [`services`]: the five services, each written in another of the forms that a handler can have.
//! - `bin/service.rs`: serves all five until a signal.
//! - `bin/caller.rs`: another process, which calls every command once, and then as many as you like.
//! - `bin/dashboard.rs`: both in one process, with a story to tell. Start here:
//!   `cargo run -p examples --bin dashboard`
//! - [`terminal`]: how the binaries print.

pub mod contract;
pub mod services;
pub mod terminal;
