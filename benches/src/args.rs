//! What can be asked for.

use clap::{Args, Parser, ValueEnum};

use crate::only::Only;

/// Measures kafka-rpc beside the plainest correct loop over librdkafka, interleaved in one run.
///
/// Starts brokers of its own (a JDK is needed), or uses those that `KAFKA_BROKERS` names. Without an option it measures
/// calls over the whole table, events, and the consuming side alone, within 40 minutes.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) what: What,

    #[command(flatten)]
    pub(crate) only: Only,

    /// Measure on the broker in the process, and not on a real Kafka.
    #[arg(long)]
    pub(crate) embedded: bool,

    /// How long it may take, in minutes.
    #[arg(long, default_value_t = 38.0, value_name = "MINUTES")]
    pub(crate) within: f64,

    /// How often each cell of the table is measured on each side [default: 5, with --quick 3].
    #[arg(long, value_name = "TIMES")]
    pub(crate) repetitions: Option<usize>,

    /// The sides to measure: all of them unless said otherwise.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) sides: Vec<SideName>,

    /// How many calls the memory run makes, and lets time out.
    #[arg(long, default_value_t = 1_000_000, value_name = "CALLS")]
    pub(crate) calls: u64,

    /// Be a proxy before so many brokers, for the run that has started this.
    #[arg(long, hide = true, value_name = "BROKERS")]
    pub(crate) proxy: Option<usize>,

    /// By how much that proxy delays each way, in milliseconds.
    #[arg(long, hide = true, default_value_t = 0)]
    pub(crate) delay: u64,

    /// With --caller: read one partition of the reply topic, and not all.
    #[arg(long, hide = true)]
    pub(crate) own_partition: bool,
}

/// One of these, or the whole table.
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

    /// Events alone: one way, and consumed from a full topic.
    #[arg(long)]
    pub(crate) events: bool,

    /// The consuming side alone: a full topic, read by an empty handler.
    #[arg(long)]
    pub(crate) consuming: bool,

    /// Resident memory over calls, calls that time out, and connections that break.
    #[arg(long)]
    pub(crate) memory: bool,

    /// The time from the start of a process to its first reply.
    #[arg(long)]
    pub(crate) startup: bool,

    /// What 1, 4 and 16 instances that call one service read of each other's replies, by `ReplyReading`.
    #[arg(long)]
    pub(crate) replies: bool,

    /// Start a service and a caller, make a call, print when each part was done, and end: for --startup.
    #[arg(long, hide = true, value_name = "PREFIX")]
    pub(crate) first_call: Option<String>,

    /// Call the service whose topics have this prefix, as told on standard input: for --replies.
    #[arg(long, hide = true, value_name = "PREFIX")]
    pub(crate) caller: Option<String>,
}

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum SideName {
    /// The plain loop, whose records go to the partition of their key.
    Raw,
    /// The plain loop, whose records go to a partition that moves on every few milliseconds.
    RawSticky,
    /// The framework: a generated client, and an annotated handler.
    Framework,
    /// The same with `Tuning::Throughput`.
    Throughput,
    /// The same with `Tuning::NearBroker`.
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
