//! The commands, and the answer that each must get.

use std::time::Duration;

use kafka_rpc::{RpcError, kafka_handler};
use serde::{Deserialize, Serialize};

pub(super) const TOPIC: &str = "chaos-commands";
pub(super) const REPLIES: &str = "chaos-responses";
pub(super) const DEAD_LETTERS: &str = "chaos-commands.dlq";
pub(super) const GROUP: &str = "chaos";

/// The statuses of commands that are refused, that fail and that panic.
pub(super) const REFUSED: u16 = 422;
pub(super) const FAILED: u16 = 503;
pub(super) const PANICKED: u16 = 500;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum ChaosCommand {
    Work,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Work {
    /// Unique within the run.
    pub(super) id: u64,
    pub(super) key: String,
    /// The position of the command among those of its key, from 1.
    pub(super) number: u64,
    pub(super) task: Task,
}

/// What the handler of a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Task {
    Quick,
    /// Takes `millis` milliseconds.
    Slow {
        millis: u16,
    },
    /// Fails on its first attempt in a process, and succeeds on the next one there.
    Flaky,
    /// Fails always.
    Fail,
    /// Fails with an error that is the caller's fault.
    Refuse,
    Panic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Worked {
    /// [`Work::answer`].
    pub(super) sum: u64,
}

#[kafka_handler(topic = TOPIC, group = GROUP, retry(max = 2, base = "50ms"))]
pub(super) trait Chaos {
    #[command(ChaosCommand::Work, key = key)]
    async fn work(&self, work: Work) -> Result<Worked, RpcError>;
}

impl Work {
    /// The answer that only this command may get.
    pub(super) fn answer(&self) -> u64 {
        // FNV-1a over the id, the number and the key.
        let mut sum = 0xcbf2_9ce4_8422_2325_u64;
        let parts = [self.id.to_le_bytes(), self.number.to_le_bytes()];
        for byte in parts.as_flattened().iter().chain(self.key.as_bytes()) {
            sum = (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
        sum
    }

    /// The error code that ties an error to its command.
    pub(super) fn code(&self) -> String {
        format!("C{}", self.id)
    }
}

impl Task {
    /// A random task in the proportions of the load: most are quick.
    pub(super) fn random(rng: &mut fastrand::Rng) -> Self {
        match rng.u16(..1_000) {
            0..=899 => Self::Quick,
            900..=959 => Self::Slow { millis: rng.u16(1..200) },
            960..=974 => Self::Flaky,
            975..=984 => Self::Fail,
            985..=998 => Self::Refuse,
            _ => Self::Panic,
        }
    }

    pub(super) fn takes(self) -> Duration {
        match self {
            Self::Slow { millis } => Duration::from_millis(millis.into()),
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_commands_have_one_answer() {
        let work =
            |id, key: &str, number| Work { id, key: key.to_owned(), number, task: Task::Quick }.answer();
        let answers = [work(1, "a", 1), work(2, "a", 1), work(1, "b", 1), work(1, "a", 2)];
        for (index, answer) in answers.iter().enumerate() {
            assert!(!answers[..index].contains(answer));
        }
    }
}
