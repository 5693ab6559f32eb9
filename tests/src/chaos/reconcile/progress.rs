//! How long progress stopped after a fault.

use std::{collections::HashMap, time::Duration};

use super::{
    super::{
        ledger::{CallerEntry, Evidence, Moment, Outcome, RunEntry},
        schedule::Fault,
    },
    handling::Handling,
};

/// A fault, and the longest times without progress between it and the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AfterFault {
    pub(crate) fault: Fault,
    /// The longest time without an answer to any caller.
    pub(crate) silent: Duration,
    /// The longest time without a final answer of a handler, of the partition that stood still longest.
    pub(crate) still: Duration,
}

pub(super) fn after_faults(evidence: &Evidence, handling: &Handling<'_>) -> Vec<AfterFault> {
    let over = evidence.run.iter().find_map(|entry| match entry {
        RunEntry::Over { at } => Some(*at),
        _ => None,
    });
    let over = over.unwrap_or(Moment(u64::MAX));
    let mut faults: Vec<(Moment, Fault)> = evidence
        .run
        .iter()
        .filter_map(|entry| match entry {
            RunEntry::Fault { at, fault } => Some((*at, *fault)),
            _ => None,
        })
        .collect();
    faults.sort_unstable();
    let answer = |entry: &CallerEntry| match entry {
        CallerEntry::Ended { at, outcome: Outcome::Answered { .. }, .. } => Some(*at),
        _ => None,
    };
    let mut answers: Vec<Moment> = evidence.callers.values().flatten().filter_map(answer).collect();
    answers.sort_unstable();
    let mut partitions: HashMap<i32, Vec<Moment>> = HashMap::new();
    for run in &handling.runs {
        if let Some((at, _)) = run.ended
            && run.is_final()
        {
            partitions.entry(run.place.partition).or_default().push(at);
        }
    }
    for times in partitions.values_mut() {
        times.sort_unstable();
    }
    let next = faults.iter().skip(1).map(|(at, _)| *at).chain([over]);
    let after = |((from, fault), to): (&(Moment, Fault), Moment)| AfterFault {
        fault: *fault,
        silent: longest_gap(&answers, *from, to),
        still: partitions.values().map(|times| longest_gap(times, *from, to)).max().unwrap_or_default(),
    };
    faults.iter().zip(next).map(after).collect()
}

/// The longest gap between two of `times` that begins between `from` and `to`; `from` counts as one of them.
fn longest_gap(times: &[Moment], from: Moment, to: Moment) -> Duration {
    let mut longest = Duration::ZERO;
    let mut last = from;
    for time in &times[times.partition_point(|time| *time <= from)..] {
        if last >= to {
            break;
        }
        longest = longest.max(time.since(last));
        last = *time;
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_counts_from_the_fault_and_to_the_next_answer_even_after_the_window() {
        let times = [1, 5, 6, 20, 21].map(Moment);
        let gap = |from, to| longest_gap(&times, Moment(from), Moment(to)).as_micros();
        assert_eq!(gap(2, 6), 3, "from the fault to the answer at 5");
        assert_eq!(gap(2, 7), 14, "from 6 to 20, which begins before 7");
        assert_eq!(gap(20, 30), 1);
        assert_eq!(gap(30, 40), 0, "nothing follows");
    }
}
