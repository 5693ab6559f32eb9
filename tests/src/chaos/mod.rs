//! The chaos run: proof on a real cluster that nothing is lost and nothing hangs.
//!
//! Callers and instances of a service, each a process, run on three brokers. A seeded schedule kills, freezes
//! and stops brokers and instances. Every process keeps a ledger outside of Kafka; at the end the ledgers and
//! Kafka's log must agree. `docs/chaos.md` describes how to run it and how to read its results.
//!
//! In the order in which a run meets them:
//! - [`args`]: the command line
//! - [`contract`]: the commands, and the answer that each must get
//! - [`ledger`]: what every process writes down
//! - [`caller`], [`service`]: the processes
//! - [`observe`]: what the runtime of a service logs, for its ledger
//! - [`schedule`]: which fault comes when
//! - [`fleet`]: the processes as they are started, killed and frozen
//! - [`run`]: all of it, from the first broker to the verdict
//! - [`log`]: what Kafka holds at the end
//! - [`reconcile`]: from the ledgers to a verdict
//! - [`report`]: the verdict as a table

#![expect(rustdoc::private_intra_doc_links, reason = "a table of contents names what is private too")]

mod args;
mod caller;
mod contract;
mod fleet;
mod ledger;
mod log;
mod observe;
mod reconcile;
mod report;
mod run;
mod schedule;
mod service;

pub use self::{args::Arguments, run::main};
