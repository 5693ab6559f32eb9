//! From the ledgers to a verdict, without side effects.
//!
//! - [`violation`]: what must not happen
//! - [`handling`]: what the handlers did: order, overlaps, repetitions
//! - [`calls`]: what became of every command
//! - [`replies`]: whether every reply exists and was seen
//! - [`progress`]: how long progress stopped after a fault

mod calls;
mod handling;
mod progress;
mod replies;
#[cfg(test)]
mod tests;
mod violation;

use std::{collections::BTreeMap, time::Duration};

use self::{calls::Calls, handling::Handling, replies::Replies};
pub(super) use self::{
    progress::AfterFault,
    violation::{KINDS, Violation},
};
use super::ledger::{CallerEntry, Evidence, LogEntry, RunEntry};

/// The result of comparing all ledgers of a run.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) commands: u64,
    /// The number of calls, by how they ended.
    pub(super) outcomes: BTreeMap<String, u64>,
    /// Commands that are in Kafka's log.
    pub(super) stored: u64,
    /// Stored commands whose callers could not know that they were stored.
    pub(super) stored_unknown: u64,
    /// Replies that are in Kafka's log.
    pub(super) replies: u64,
    pub(super) dead_lettered: u64,
    pub(super) expired: u64,
    pub(super) handlers: u64,
    /// Records that were handled again, by how the assignment of the earlier run ended.
    pub(super) again_after_kill: u64,
    pub(super) again_after_loss: u64,
    pub(super) again_after_revocation: u64,
    /// Concurrent handlers of one key after an assignment was lost.
    pub(super) overlaps_after_loss: u64,
    /// Durations of answered calls (the median, the 99th percentile and the longest), and of the longest
    /// call, answered or not.
    pub(super) median_call: Duration,
    pub(super) slow_call: Duration,
    pub(super) longest_answered: Duration,
    pub(super) longest_call: Duration,
    pub(super) faults: Vec<AfterFault>,
    pub(super) violations: Vec<Violation>,
}

/// Compares all ledgers of a run.
pub(super) fn reconcile(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict::default();
    let handling = Handling::of(evidence, &mut verdict);
    handling.judge(evidence, &mut verdict);
    let replies = Replies::of(evidence, &mut verdict);
    Calls::of(evidence, &mut verdict).judge(&handling, replies, &mut verdict);
    for entry in &evidence.log {
        if let LogEntry::Committed { partition, committed, end } = *entry
            && committed != end
        {
            verdict.violations.push(Violation::NotCommitted { partition, committed, end });
        }
    }
    for entry in &evidence.run {
        if let RunEntry::InstanceDied { name, how, .. } = entry {
            verdict.violations.push(Violation::Died { name: name.clone(), how: how.clone() });
        }
    }
    for (name, entries) in &evidence.callers {
        if !matches!(entries.last(), Some(CallerEntry::Stopped { .. })) {
            verdict
                .violations
                .push(Violation::Died { name: name.clone(), how: "its ledger has no end".to_owned() });
        }
    }
    verdict.faults = progress::after_faults(evidence, &handling);
    verdict
}
