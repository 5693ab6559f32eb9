//! A small deployment: five services on one Kafka, and their callers.
//!
//! Read it in this order:
//!
//! - [`contract`]: what crosses the wire. In a real deployment this is a separate crate, which services and
//!   callers depend on.
//! - [`services`]: the five services, each written in a different form of handler.
//! - `bin/service.rs`: serves all five until a signal stops it.
//! - `bin/caller.rs`: a separate process that calls every command once, and then makes any number of calls.
//! - `bin/dashboard.rs`: services and caller in one process, which prints what they do. Start here:
//!   `cargo run -p examples --bin dashboard`
//! - [`terminal`]: how the binaries print.

pub mod contract;
pub mod services;
pub mod terminal;
