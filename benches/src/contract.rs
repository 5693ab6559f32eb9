//! What both sides exchange.

use std::str::FromStr;

use kafka_rpc::{RpcError, kafka_handler};
use serde::{Deserialize, Serialize};

/// All topics of a side, before the prefix of a run.
pub(crate) const TOPICS: [&str; 3] = [COMMANDS, REPLIES, EVENTS];
/// The topic of the commands, before the prefix of a run.
pub(crate) const COMMANDS: &str = "bench-commands";
/// The topic of the replies, before the prefix of a run.
pub(crate) const REPLIES: &str = "bench-responses";
/// The topic of the events, before the prefix of a run.
pub(crate) const EVENTS: &str = "bench-events";
/// The group of the handlers.
pub(crate) const GROUP: &str = "bench";
/// The name of the command on the wire.
pub(crate) const PLACE: &str = "PLACE";
/// The name of the command that nobody answers.
pub(crate) const FORGET: &str = "FORGET";
/// The name of the event on the wire.
pub(crate) const PLACED: &str = "PLACED";

/// An order, also used as its own reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) number: u64,
    pub(crate) account: String,
    pub(crate) note: String,
}

/// The size of the payloads in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Payload {
    /// This number of bytes each.
    Of(usize),
    /// 256 bytes, except for one in 16, which has 900,000.
    Mixed,
}

impl Payload {
    pub(crate) fn label(self) -> String {
        match self {
            Self::Of(bytes) if bytes >= 1_024 => format!("{} KiB", bytes / 1_024),
            Self::Of(bytes) => format!("{bytes} B"),
            Self::Mixed => "256 B with 900 KB".to_owned(),
        }
    }

    /// Returns the average number of bytes of a payload.
    pub(crate) fn mean(self) -> usize {
        match self {
            Self::Of(bytes) => bytes,
            Self::Mixed => (15 * 256 + 900_000) / 16,
        }
    }

    /// Returns the order with this number, of about the payload's size on the wire.
    pub(crate) fn order(self, number: u64) -> Order {
        const AROUND_THE_NOTE: usize = 64;
        let bytes = match self {
            Self::Of(bytes) => bytes,
            Self::Mixed if number % 16 == 15 => 900_000,
            Self::Mixed => 256,
        };
        Order {
            number,
            account: format!("account-{:08}", number % 100_000_000),
            note: "n".repeat(bytes.saturating_sub(AROUND_THE_NOTE)),
        }
    }
}

impl FromStr for Payload {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "mix" => Ok(Self::Mixed),
            bytes => bytes
                .parse()
                .map(Self::Of)
                .map_err(|_error| format!("`{bytes}` is no number of bytes; give one, as `4096`, or `mix`")),
        }
    }
}

/// The service that is measured.
#[kafka_handler(topic = COMMANDS, group = GROUP, replies = REPLIES)]
pub(crate) trait Bench {
    /// Replies with the order.
    #[command(PLACE)]
    async fn place(&self, order: Order) -> Result<Order, RpcError>;
}

/// The command whose reply never comes.
#[allow(dead_code, reason = "it is called through the client that is made of it")]
#[kafka_handler(topic = COMMANDS, group = GROUP, replies = REPLIES)]
pub(crate) trait Unanswered {
    /// Gets no reply.
    #[command(FORGET)]
    async fn forget(&self, order: Order) -> Result<Order, RpcError>;
}

/// The events that are measured.
#[kafka_handler(topic = EVENTS, group = GROUP, replies = none, dead_letter = none)]
pub(crate) trait BenchEvents {
    /// Receives an order.
    #[command(PLACED)]
    async fn placed(&self, order: Order) -> Result<(), RpcError>;
}
