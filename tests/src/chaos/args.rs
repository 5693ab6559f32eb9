//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Kills, freezes and stops brokers and services under load, and proves that nothing was lost and nothing
/// hung.
#[derive(Debug, Parser)]
#[command(name = "chaos", args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(flatten)]
    pub(super) run: RunArguments,
    #[command(subcommand)]
    pub(super) process: Option<Process>,
}

/// A whole run.
#[derive(Debug, Clone, Args)]
pub(super) struct RunArguments {
    /// How long faults occur, in minutes.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) minutes: u64,
    /// Decides the faults and the commands: the same seed, the same schedule.
    #[arg(long, default_value_t = 7)]
    pub(super) seed: u64,
    /// How the group shares the partitions.
    #[arg(long, value_enum, default_value_t = Protocol::Range)]
    pub(super) protocol: Protocol,
    /// Commands per second, of all callers together.
    #[arg(long, default_value_t = 1_100)]
    pub(super) rate: u32,
    /// Processes that call.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) callers: u16,
    /// Instances of the service at the start; the schedule adds one and takes away all but one.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(2..))]
    pub(super) services: u16,
    /// Partitions of the commands' topic.
    #[arg(long, default_value_t = 6)]
    pub(super) partitions: u16,
    /// The most commands that a caller has in flight; at this limit it falls behind its rate until answers
    /// arrive.
    #[arg(long, default_value_t = 1_024)]
    pub(super) in_flight: usize,
    /// The folder to create for the ledger; by default a new one in the temporary folder.
    #[arg(long)]
    pub(super) ledger: Option<PathBuf>,
}

/// How the group shares the partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Protocol {
    /// Classic: everything is revoked, then assigned.
    Range,
    /// Classic: only what moves is revoked.
    CooperativeSticky,
    /// KIP-848: the broker assigns.
    Consumer,
}

/// The processes that a run starts.
#[derive(Debug, Subcommand)]
pub(super) enum Process {
    /// Runs an instance of the service until SIGTERM.
    #[command(hide = true)]
    Service(ServiceArguments),
    /// Runs a caller until SIGTERM.
    #[command(hide = true)]
    Caller(CallerArguments),
}

#[derive(Debug, Args)]
pub(super) struct ServiceArguments {
    #[arg(long)]
    pub(super) brokers: String,
    #[arg(long)]
    pub(super) ledger: PathBuf,
    #[arg(long, value_enum)]
    pub(super) protocol: Protocol,
}

#[derive(Debug, Args)]
pub(super) struct CallerArguments {
    #[arg(long)]
    pub(super) brokers: String,
    #[arg(long)]
    pub(super) ledger: PathBuf,
    /// Which caller this is; its keys and the ids of its commands derive from this number.
    #[arg(long)]
    pub(super) index: u16,
    #[arg(long)]
    pub(super) seed: u64,
    #[arg(long)]
    pub(super) rate: u32,
    #[arg(long)]
    pub(super) in_flight: usize,
}

impl Protocol {
    /// The librdkafka properties that select the protocol, with timeouts that soon remove a killed member
    /// from the group.
    pub(super) fn properties(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Range => &[
                ("partition.assignment.strategy", "range"),
                ("session.timeout.ms", "6000"),
                ("heartbeat.interval.ms", "500"),
            ],
            Self::CooperativeSticky => &[
                ("partition.assignment.strategy", "cooperative-sticky"),
                ("session.timeout.ms", "6000"),
                ("heartbeat.interval.ms", "500"),
            ],
            // The brokers decide on the session timeout: see `cluster::properties`.
            Self::Consumer => &[("group.protocol", "consumer")],
        }
    }
}
