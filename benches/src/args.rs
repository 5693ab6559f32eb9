//! The command line.

use clap::{Args, Parser, ValueEnum};

use crate::only::Only;

/// Measures kafka-rpc beside the plainest correct loop over librdkafka, interleaved in one run.
///
/// Starts its own brokers (which needs a JDK), or uses those that `KAFKA_BROKERS` names. Without options it
/// measures calls over the whole table, events, and the consuming side alone, within 40 minutes.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) what: What,

    #[command(flatten)]
    pub(crate) only: Only,

    /// Measure on the embedded broker instead of a real Kafka.
    #[arg(long)]
    pub(crate) embedded: bool,

    /// How long the run may take, in minutes.
    #[arg(long, default_value_t = 38.0, value_name = "MINUTES")]
    pub(crate) within: f64,

    /// How often each cell of the table is measured on each side [default: 5; 3 with --quick or --tuning, 10
    /// with --startup, 1 with --replies].
    #[arg(long, value_name = "TIMES")]
    pub(crate) repetitions: Option<usize>,

    /// The sides to measure [default: all that the table compares].
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) sides: Vec<SideName>,

    /// How many calls the memory run makes, first answered and then timing out.
    #[arg(long, default_value_t = 1_000_000, value_name = "CALLS")]
    pub(crate) calls: u64,

    /// Be the proxy in front of this many brokers, for the run that started this process.
    #[arg(long, hide = true, value_name = "BROKERS")]
    pub(crate) proxy: Option<usize>,

    /// How long that proxy delays each direction, in milliseconds.
    #[arg(long, hide = true, default_value_t = 0)]
    pub(crate) delay: u64,

    /// With --caller: read one partition of the reply topic instead of all.
    #[arg(long, hide = true)]
    pub(crate) own_partition: bool,
}

/// At most one of these; without one, the whole table is measured.
#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct What {
    /// Two cells of the table in less than a minute: one call at a time, and 256 in flight.
    #[arg(long)]
    pub(crate) quick: bool,

    /// The table of partitions, round trip and payload with each tuning preset.
    #[arg(long)]
    pub(crate) tuning: bool,

    /// Events alone: sent one way, and consumed from a full topic.
    #[arg(long)]
    pub(crate) events: bool,

    /// The consuming side alone: a full topic, read by an empty handler.
    #[arg(long)]
    pub(crate) consuming: bool,

    /// Resident memory over answered calls, calls that time out, and broken connections.
    #[arg(long)]
    pub(crate) memory: bool,

    /// The time from the start of a process to its first reply.
    #[arg(long)]
    pub(crate) startup: bool,

    /// What 1, 4 and 16 instances that call one service read of each other's replies, for each
    /// `ReplyReading`.
    #[arg(long)]
    pub(crate) replies: bool,

    /// Start a service and a caller, make a call, print when each part was done, and exit: for --startup.
    #[arg(long, hide = true, value_name = "PREFIX")]
    pub(crate) first_call: Option<String>,

    /// Call the service whose topics have this prefix, on commands from standard input: for --replies.
    #[arg(long, hide = true, value_name = "PREFIX")]
    pub(crate) caller: Option<String>,
}

/// A side that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum SideName {
    /// The plain loop, with each record on the partition of its key.
    Raw,
    /// The plain loop, with all records on one partition, which changes every few milliseconds.
    RawSticky,
    /// The framework: a generated client and an annotated handler.
    Framework,
    /// The framework with `Tuning::Throughput`.
    Throughput,
    /// The framework with `Tuning::NearBroker`.
    NearBroker,
}

impl SideName {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::RawSticky => "raw-sticky",
            Self::Framework => "framework",
            Self::Throughput => "throughput",
            Self::NearBroker => "near-broker",
        }
    }
}
