//! What the handlers did: order, overlaps, repetitions.

use std::{cmp::Ordering, collections::HashMap};

use super::{
    super::ledger::{Evidence, HandlerEnd, LogEntry, Moment, Place, RunEntry, ServiceEntry},
    Verdict, Violation,
};

/// One run of a handler.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) service: &'a str,
    /// The index of its assignment in `Handling::assignments`.
    assignment: usize,
    pub(super) place: Place,
    pub(super) id: u64,
    pub(super) key: &'a str,
    pub(super) number: u64,
    pub(super) started: Moment,
    pub(super) ended: Option<(Moment, HandlerEnd)>,
}

/// How an assignment of a partition to an instance ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AssignmentEnd {
    /// No ledger records an end.
    Kept,
    /// The instance was killed.
    Killed,
    Lost,
    GivenUp,
}

/// A dead letter: the id of its command, and its status.
#[derive(Debug, Clone, Copy)]
pub(super) struct Letter<'a> {
    pub(super) id: u64,
    pub(super) status: &'a str,
}

/// Everything that the handlers of all instances did.
#[derive(Debug, Default)]
pub(super) struct Handling<'a> {
    pub(super) runs: Vec<Run<'a>>,
    pub(super) expired: HashMap<Place, Moment>,
    /// The dead letters, by the places of their commands.
    pub(super) letters: HashMap<Place, Letter<'a>>,
    assignments: Vec<AssignmentEnd>,
}

impl<'a> Handling<'a> {
    /// Reads the ledgers. Violations within one assignment are found here, because they depend on the order
    /// of the lines.
    pub(super) fn of(evidence: &'a Evidence, verdict: &mut Verdict) -> Self {
        let letter = |entry: &'a LogEntry| match entry {
            LogEntry::DeadLetter { place, id, status } => Some((*place, Letter { id: *id, status })),
            _ => None,
        };
        let letters = evidence.log.iter().filter_map(letter).collect();
        let mut handling = Self { letters, ..Self::default() };
        for (service, entries) in &evidence.services {
            let was_killed =
                |entry: &RunEntry| matches!(entry, RunEntry::InstanceKilled { name, .. } if name == service);
            let unsaid =
                if evidence.run.iter().any(was_killed) { AssignmentEnd::Killed } else { AssignmentEnd::Kept };
            handling.read(service, entries, unsaid, verdict);
        }
        handling
    }

    /// Reads the ledger of one instance. `unsaid` is the end of assignments whose end the ledger lacks.
    fn read(
        &mut self,
        service: &'a str,
        entries: &'a [ServiceEntry],
        unsaid: AssignmentEnd,
        verdict: &mut Verdict,
    ) {
        let mut current: HashMap<i32, usize> = HashMap::new();
        let mut last_at: HashMap<Place, usize> = HashMap::new();
        let mut last_of: HashMap<(usize, &str), usize> = HashMap::new();
        for entry in entries {
            match entry {
                ServiceEntry::Assigned { partitions, .. } => {
                    for partition in partitions {
                        current.insert(*partition, self.assignments.len());
                        self.assignments.push(unsaid);
                    }
                }
                ServiceEntry::Revoked { partitions, lost, .. } => {
                    // Handlers that still run keep belonging to the assignment.
                    for assignment in partitions.iter().filter_map(|partition| current.get(partition)) {
                        self.assignments[*assignment] =
                            if *lost { AssignmentEnd::Lost } else { AssignmentEnd::GivenUp };
                    }
                }
                ServiceEntry::NotCommitted { partitions, .. } => {
                    // A failed last commit counts as a loss: the partition was no longer this instance's,
                    // whether or not it knew.
                    for assignment in partitions.iter().filter_map(|partition| current.get(partition)) {
                        self.assignments[*assignment] = AssignmentEnd::Lost;
                    }
                }
                ServiceEntry::Started { at, place, id, key, number } => {
                    let Some(assignment) = current.get(&place.partition).copied() else {
                        let why = "a handler started without an assignment";
                        verdict.violations.push(order(service, key, *place, why));
                        continue;
                    };
                    let run = Run {
                        service,
                        assignment,
                        place: *place,
                        id: *id,
                        key,
                        number: *number,
                        started: *at,
                        ended: None,
                    };
                    if let Some(previous) = last_of.insert((assignment, key), self.runs.len())
                        && let Some(why) = self.out_of_order(&self.runs[previous], &run)
                    {
                        verdict.violations.push(order(service, key, *place, why));
                    }
                    last_at.insert(*place, self.runs.len());
                    self.runs.push(run);
                }
                ServiceEntry::Ended { at, place, how, .. } => {
                    if let Some(run) = last_at.get(place) {
                        self.runs[*run].ended = Some((*at, *how));
                    }
                }
                ServiceEntry::Expired { at, place } => {
                    // An expired record stays expired: the earliest moment counts.
                    let first = self.expired.entry(*place).or_insert(*at);
                    *first = (*first).min(*at);
                }
                ServiceEntry::Stopped { .. } => {}
            }
        }
    }

    /// Returns why `next` must not have started after `previous`, both of one key in one assignment.
    fn out_of_order(&self, previous: &Run<'_>, next: &Run<'_>) -> Option<&'static str> {
        let Some((_, how)) = previous.ended else {
            return Some("started while the handler of another record of its key ran");
        };
        let failed = matches!(how, HandlerEnd::Failed | HandlerEnd::Panicked);
        match next.place.offset.cmp(&previous.place.offset) {
            Ordering::Less => Some("started after a later record of its key"),
            Ordering::Equal => (!failed).then_some("handled twice within one assignment"),
            Ordering::Greater => {
                let is_over =
                    self.letters.contains_key(&previous.place) || self.expired.contains_key(&previous.place);
                (failed && !is_over).then_some("started before a record of its key that was to be retried")
            }
        }
    }

    /// Judges overlaps between assignments, and counts the repetitions that are allowed.
    pub(super) fn judge(&self, evidence: &Evidence, verdict: &mut Verdict) {
        verdict.handlers = self.runs.len() as u64;
        self.count_repetitions(verdict);
        self.find_overlaps(evidence, verdict);
    }

    fn count_repetitions(&self, verdict: &mut Verdict) {
        let mut finals: Vec<&Run<'_>> = self.runs.iter().filter(|run| run.is_final()).collect();
        finals.sort_unstable_by_key(|run| (run.place, run.started));
        for pair in finals.windows(2) {
            let [first, again] = pair else { continue };
            if first.place == again.place && first.assignment != again.assignment {
                *match self.assignments[first.assignment] {
                    AssignmentEnd::Killed => &mut verdict.again_after_kill,
                    AssignmentEnd::Lost => &mut verdict.again_after_loss,
                    AssignmentEnd::GivenUp | AssignmentEnd::Kept => &mut verdict.again_after_revocation,
                } += 1;
            }
        }
    }

    fn find_overlaps(&self, evidence: &Evidence, verdict: &mut Verdict) {
        let gone = gone(evidence);
        let end = |run: &Run<'_>| match run.ended {
            Some((at, _)) => at,
            None => gone.get(run.service).copied().unwrap_or(run.started),
        };
        let mut by_key: Vec<&Run<'_>> = self.runs.iter().collect();
        by_key.sort_by_key(|run| (run.key, run.started));
        let mut longest: Option<&Run<'_>> = None;
        for run in by_key {
            if let Some(before) = longest.filter(|before| before.key == run.key) {
                if end(before) > run.started && before.assignment != run.assignment {
                    let ends = [before, run].map(|run| self.assignments[run.assignment]);
                    if ends.contains(&AssignmentEnd::Lost) || ends[0] == AssignmentEnd::Killed {
                        verdict.overlaps_after_loss += 1;
                    } else {
                        verdict.violations.push(Violation::Overlap {
                            service: run.service.to_owned(),
                            key: run.key.to_owned(),
                            place: run.place,
                        });
                    }
                }
                if end(before) >= end(run) {
                    continue;
                }
            }
            longest = Some(run);
        }
    }
}

impl Run<'_> {
    /// Whether the handler ended with a final answer.
    pub(super) fn is_final(&self) -> bool {
        matches!(self.ended, Some((_, HandlerEnd::Done | HandlerEnd::Refused)))
    }
}

/// By when each instance was gone.
fn gone(evidence: &Evidence) -> HashMap<&str, Moment> {
    let mut gone = HashMap::new();
    for (service, entries) in &evidence.services {
        let last = entries.iter().rev().find_map(|entry| match entry {
            ServiceEntry::Ended { at, .. } | ServiceEntry::Stopped { at } => Some(*at),
            _ => None,
        });
        gone.insert(service.as_str(), last.unwrap_or_default());
    }
    for entry in &evidence.run {
        if let RunEntry::InstanceKilled { at, name } = entry {
            gone.insert(name.as_str(), *at);
        }
    }
    gone
}

fn order(service: &str, key: &str, place: Place, why: &'static str) -> Violation {
    Violation::Order { service: service.to_owned(), key: key.to_owned(), place, why }
}
