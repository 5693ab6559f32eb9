//! What became of every command.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{
    super::{
        contract::{FAILED, PANICKED, REFUSED, Task, Work},
        ledger::{CallerEntry, Evidence, HandlerEnd, LogEntry, Moment, Outcome, Place, Reached},
    },
    Verdict, Violation,
    handling::{Handling, Letter},
    replies::Replies,
};

/// How far past its deadline a call may end, because the machine is busy.
const LATE: Duration = Duration::from_secs(3);

/// How early an event may appear by the clock of another process on this machine.
const EARLY: Duration = Duration::from_millis(50);

/// The status of a command whose deadline passed before it could be retried.
const TOO_LATE: u16 = 504;

/// The commands of a run, by id.
pub(super) struct Calls<'a>(HashMap<u64, Call<'a>>);

#[derive(Debug)]
struct Call<'a> {
    /// The index of the caller that sent the command.
    caller: usize,
    work: &'a Work,
    at: Moment,
    deadline: Moment,
    notify: bool,
    ended: Option<(Moment, &'a Outcome)>,
    places: Vec<Place>,
    /// Whether a handler has succeeded with the command, and whether one has refused it.
    done: bool,
    refused: bool,
}

impl<'a> Calls<'a> {
    pub(super) fn of(evidence: &'a Evidence, verdict: &mut Verdict) -> Self {
        let mut calls = HashMap::new();
        let entries = evidence.callers.values().enumerate();
        for (caller, entry) in entries.flat_map(|(caller, all)| all.iter().map(move |entry| (caller, entry)))
        {
            match entry {
                CallerEntry::Sent { at, deadline, notify, work } => {
                    let (at, deadline, notify) = (*at, *deadline, *notify);
                    let call = Call {
                        caller,
                        work,
                        at,
                        deadline,
                        notify,
                        ended: None,
                        places: Vec::new(),
                        done: false,
                        refused: false,
                    };
                    calls.insert(work.id, call);
                }
                CallerEntry::Ended { at, id, outcome } => {
                    if let Some(call) = calls.get_mut(id) {
                        call.ended = Some((*at, outcome));
                    }
                }
                CallerEntry::Stopped { .. } => {}
            }
        }
        for entry in &evidence.log {
            let LogEntry::Command { place, id } = entry else { continue };
            match calls.get_mut(id) {
                Some(call) => call.places.push(*place),
                None => verdict.violations.push(wrong(*id, "is in the log, and nobody sent it")),
            }
        }
        Self(calls)
    }

    pub(super) fn judge(mut self, handling: &Handling<'_>, mut replies: Replies, verdict: &mut Verdict) {
        for run in &handling.runs {
            let Some(call) = self.0.get_mut(&run.id) else {
                verdict.violations.push(wrong(run.id, "was handled, and nobody sent it"));
                continue;
            };
            if (run.key, run.number) != (call.work.key.as_str(), call.work.number) {
                verdict.violations.push(wrong(run.id, "its handler was given another command's key"));
            }
            match run.ended {
                Some((_, HandlerEnd::Done)) => call.done = true,
                Some((_, HandlerEnd::Refused)) => call.refused = true,
                _ => {}
            }
        }
        verdict.commands = self.0.len() as u64;
        verdict.dead_lettered = handling.letters.len() as u64;
        verdict.expired = handling.expired.len() as u64;
        verdict.replies = replies.count();
        for call in self.0.values() {
            if let Some((at, Outcome::Answered { .. } | Outcome::Remote { .. })) = call.ended {
                replies.seen(call.caller, call.work.id, at);
            }
        }
        replies.all_seen();
        self.judge_stored_order(verdict);
        let mut answered = Vec::new();
        let mut ids: Vec<u64> = self.0.keys().copied().collect();
        ids.sort_unstable();
        for call in ids.iter().map(|id| &self.0[id]) {
            call.count(verdict);
            call.judge_end(verdict);
            call.judge_handling(handling, verdict);
            call.judge_reply(handling, &replies, verdict);
            if let Some((at, Outcome::Answered { .. })) = call.ended {
                answered.push(at.since(call.at));
            }
        }
        answered.sort_unstable();
        let of_hundred = |part: usize| answered.get(answered.len() * part / 100).copied().unwrap_or_default();
        verdict.median_call = of_hundred(50);
        verdict.slow_call = of_hundred(99);
        verdict.longest_answered = answered.last().copied().unwrap_or_default();
    }

    /// Checks that the commands of one key are stored in the order in which they were sent.
    fn judge_stored_order(&self, verdict: &mut Verdict) {
        let mut last: HashMap<(&str, i32), u64> = HashMap::new();
        let stored =
            self.0.values().flat_map(|call| call.places.iter().map(move |place| (*place, call.work)));
        for (place, work) in stored.collect::<BTreeMap<_, _>>() {
            let before = last.insert((&work.key, place.partition), work.number);
            if before.is_some_and(|before| before > work.number) {
                verdict.violations.push(Violation::Misplaced { id: work.id, place });
            }
        }
    }
}

impl Call<'_> {
    fn count(&self, verdict: &mut Verdict) {
        verdict.stored += u64::from(!self.places.is_empty());
        verdict.stored_unknown += u64::from(!self.places.is_empty() && !self.is_acknowledged());
        let Some((at, outcome)) = self.ended else { return };
        verdict.longest_call = verdict.longest_call.max(at.since(self.at));
        *verdict.outcomes.entry(kind(outcome)).or_default() += 1;
    }

    /// Whether the caller knows that the broker has the command.
    fn is_acknowledged(&self) -> bool {
        let acknowledged = |outcome: &Outcome| {
            matches!(
                outcome,
                Outcome::Answered { .. }
                    | Outcome::Taken
                    | Outcome::Remote { .. }
                    | Outcome::Decode { .. }
                    | Outcome::Deadline { progress: Reached::Acknowledged }
                    | Outcome::Undeliverable { progress: Reached::Acknowledged, .. }
            )
        };
        self.ended.is_some_and(|(_, outcome)| acknowledged(outcome))
    }

    /// Whether the call ended with the statement that the command was never sent.
    fn was_told_of_nothing_sent(&self) -> bool {
        let not_sent = |outcome: &Outcome| {
            matches!(
                outcome,
                Outcome::Overloaded
                    | Outcome::Deadline { progress: Reached::NotSent }
                    | Outcome::Undeliverable { progress: Reached::NotSent, .. }
            )
        };
        self.ended.is_some_and(|(_, outcome)| not_sent(outcome))
    }

    /// Judges what the caller saw.
    fn judge_end(&self, verdict: &mut Verdict) {
        let id = self.work.id;
        let Some((at, outcome)) = self.ended else {
            verdict.violations.push(Violation::Hung { id, late: None });
            return;
        };
        let late = at.since(self.deadline);
        if late > LATE {
            verdict.violations.push(Violation::Hung { id, late: Some(late) });
        }
        if self.was_told_of_nothing_sent() && !self.places.is_empty() {
            verdict
                .violations
                .push(wrong(id, "its caller was told that it was not sent, and the broker has it"));
        }
        if matches!(outcome, Outcome::Deadline { .. }) && self.is_early(at) {
            verdict.violations.push(wrong(id, "it ended at its deadline before that"));
        }
        if let Some(why) = self.wrong(outcome) {
            verdict.violations.push(wrong(id, why));
        }
    }

    /// Whether `at` is before the call's deadline, by more than clocks may differ.
    fn is_early(&self, at: Moment) -> bool {
        self.deadline.since(at) > EARLY
    }

    fn wrong(&self, outcome: &Outcome) -> Option<String> {
        let task = self.work.task;
        match outcome {
            Outcome::Answered { sum } if *sum != self.work.answer() => {
                Some("it was answered with the answer to another".to_owned())
            }
            Outcome::Answered { .. } if !self.done => {
                Some(format!("it was answered, and no handler of it ({task:?}) has worked"))
            }
            Outcome::Remote { status, name, code } => {
                let own = Some(self.work.code());
                let expected = match task {
                    Task::Refuse => (REFUSED, own),
                    Task::Fail | Task::Flaky => (FAILED, own),
                    Task::Panic => (PANICKED, None),
                    Task::Quick | Task::Slow { .. } => {
                        return Some(format!("it failed with {status} {name}"));
                    }
                };
                ((*status, code) != (expected.0, &expected.1))
                    .then(|| format!("it ({task:?}) failed with {status} {name}, code {code:?}"))
            }
            Outcome::Decode { reason } => Some(format!("its reply cannot be read: {reason}")),
            Outcome::Invalid { reason } => Some(format!("it was refused on the caller's side: {reason}")),
            Outcome::ShuttingDown => Some("it was ended by a shutdown, and there was none".to_owned()),
            _ => None,
        }
    }

    /// Judges what the services did with the command.
    fn judge_handling(&self, handling: &Handling<'_>, verdict: &mut Verdict) {
        let id = self.work.id;
        let mut lost = |place, why| verdict.violations.push(Violation::Lost { id, place, why });
        match self.places.as_slice() {
            [] if self.is_acknowledged() => {
                lost(None, "the broker has acknowledged it, and does not have it");
            }
            [] => {}
            [place] => {
                let expired = handling.expired.get(place);
                if expired.is_some() && self.notify {
                    lost(Some(*place), "it expired, and it has no deadline");
                } else if expired.is_some_and(|at| self.is_early(*at)) {
                    lost(Some(*place), "it expired before its deadline");
                }
                let letter = handling.letters.get(place);
                // Without a caller that waits, a refusal is dead-lettered too.
                let is_handled = self.done || (self.refused && !self.notify);
                if !(letter.is_some() || is_handled || expired.is_some()) {
                    lost(Some(*place), "it was neither handled to its end, nor dead-lettered, nor expired");
                }
                if let Some(why) = letter.and_then(|letter| self.wrong_letter(letter)) {
                    verdict.violations.push(wrong(id, why));
                }
            }
            places => verdict.violations.push(Violation::StoredTwice { id, places: places.to_vec() }),
        }
    }

    /// Returns why a dead letter cannot belong to this command.
    fn wrong_letter(&self, letter: &Letter<'_>) -> Option<String> {
        if letter.id != self.work.id {
            return Some(format!("its dead letter is of command {}", letter.id));
        }
        let expected: &[u16] = match self.work.task {
            Task::Fail | Task::Flaky => &[FAILED, TOO_LATE],
            Task::Panic => &[PANICKED, TOO_LATE],
            Task::Refuse if self.notify => &[REFUSED],
            Task::Quick | Task::Slow { .. } | Task::Refuse => &[],
        };
        let is_expected = letter.status.parse().is_ok_and(|status| expected.contains(&status));
        (!is_expected)
            .then(|| format!("it ({:?}) is a dead letter of status {}", self.work.task, letter.status))
    }

    /// Judges what became of the reply.
    fn judge_reply(&self, handling: &Handling<'_>, replies: &Replies, verdict: &mut Verdict) {
        let id = self.work.id;
        let [place] = self.places.as_slice() else { return };
        let is_told = self.done || self.refused || handling.letters.contains_key(place);
        if is_told && !self.notify && !replies.is_answered(id) && !handling.expired.contains_key(place) {
            verdict.violations.push(Violation::ReplyLost { id, why: "there is none, and it did not expire" });
        }
        if matches!(self.ended, Some((_, Outcome::Deadline { .. })))
            && replies.was_passed_over(self.caller, id, self.deadline)
        {
            let why = "its caller has read on beyond it, and called it late";
            verdict.violations.push(Violation::ReplyLost { id, why });
        }
    }
}

fn wrong(id: u64, why: impl Into<String>) -> Violation {
    Violation::Wrong { id, why: why.into() }
}

fn reached(progress: Reached) -> &'static str {
    match progress {
        Reached::NotSent => "not sent",
        Reached::Acknowledged => "acknowledged",
        Reached::Unknown => "not acknowledged",
    }
}

/// The kind of an outcome, as the report counts it.
fn kind(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered { .. } => "answered".to_owned(),
        Outcome::Taken => "taken (`notify`)".to_owned(),
        Outcome::Remote { status, name, .. } => format!("error {status} {name}"),
        Outcome::Deadline { progress } => format!("error DeadlineExceeded, {}", reached(*progress)),
        Outcome::Undeliverable { progress, .. } => format!("error Undeliverable, {}", reached(*progress)),
        Outcome::Overloaded => "error Overloaded".to_owned(),
        Outcome::ShuttingDown => "error ShuttingDown".to_owned(),
        Outcome::Invalid { .. } => "error Invalid".to_owned(),
        Outcome::Decode { .. } => "error Decode".to_owned(),
    }
}
