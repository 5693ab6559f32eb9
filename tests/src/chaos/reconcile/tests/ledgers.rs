//! The hand-written ledgers of a run.

use super::super::{
    super::{
        contract::{Task, Work},
        ledger::{
            CallerEntry, Evidence, HandlerEnd, LogEntry, Moment, Outcome, Place, RunEntry, ServiceEntry,
        },
    },
    Verdict, Violation, reconcile,
};

const KEY: &str = "k";
pub(super) const SECOND: u64 = 1_000_000;

/// A run in which one caller sends commands of one key to one partition.
#[derive(Default)]
pub(super) struct Ledgers {
    pub(super) evidence: Evidence,
    pub(super) clock: u64,
    pub(super) committed: i64,
}

pub(super) fn work(number: u64, task: Task) -> Work {
    Work { id: number, key: KEY.to_owned(), number, task }
}

pub(super) fn place(offset: i64) -> Place {
    Place { partition: 0, offset }
}

impl Ledgers {
    /// The next moment: each entry is a microsecond after the one before.
    pub(super) fn at(&mut self) -> Moment {
        self.clock += 1;
        Moment(self.clock)
    }

    /// A moment at which a command sent just now is past its deadline; the clock does not advance to it.
    pub(super) fn deadline(&mut self) -> Moment {
        Moment(self.at().0 + 30 * SECOND)
    }

    pub(super) fn caller(&mut self, entry: CallerEntry) {
        self.evidence.callers.entry("caller-0".to_owned()).or_default().push(entry);
    }

    pub(super) fn service(&mut self, name: &str, entry: ServiceEntry) {
        self.evidence.services.entry(name.to_owned()).or_default().push(entry);
    }

    /// Notes a command as sent and stored. Its number is also its id and its offset.
    pub(super) fn sent(&mut self, number: u64, task: Task) {
        self.sent_to(number, task, i64::try_from(number).expect("a small number"));
    }

    pub(super) fn sent_to(&mut self, number: u64, task: Task, offset: i64) {
        self.not_stored(number, task, false);
        self.evidence.log.push(LogEntry::Command { place: place(offset), id: number });
    }

    pub(super) fn not_stored(&mut self, number: u64, task: Task, notify: bool) {
        let at = self.at();
        let deadline = Moment(at.0 + 30 * SECOND);
        self.caller(CallerEntry::Sent { at, deadline, notify, work: work(number, task) });
    }

    pub(super) fn saw(&mut self, number: u64, outcome: Outcome) {
        let at = if matches!(outcome, Outcome::Deadline { .. }) { self.deadline() } else { self.at() };
        self.caller(CallerEntry::Ended { at, id: number, outcome });
    }

    /// Notes the reply to a command as stored, at the offset of its number.
    pub(super) fn replied(&mut self, number: u64) {
        self.replied_at(number, i64::try_from(number).expect("a small number"));
    }

    pub(super) fn replied_at(&mut self, number: u64, offset: i64) {
        self.evidence.log.push(LogEntry::Reply { place: place(offset), id: Some(number) });
    }

    pub(super) fn answered(&mut self, number: u64) {
        self.replied(number);
        self.saw(number, Outcome::Answered { sum: work(number, Task::Quick).answer() });
    }

    pub(super) fn assigned(&mut self, service: &str) {
        let at = self.at();
        self.service(service, ServiceEntry::Assigned { at, partitions: vec![0] });
    }

    pub(super) fn revoked(&mut self, service: &str, lost: bool) {
        let at = self.at();
        self.service(service, ServiceEntry::Revoked { at, partitions: vec![0], lost });
    }

    pub(super) fn started(&mut self, service: &str, number: u64, offset: i64) {
        let (at, key) = (self.at(), KEY.to_owned());
        self.service(service, ServiceEntry::Started { at, place: place(offset), id: number, key, number });
    }

    pub(super) fn ended(&mut self, service: &str, number: u64, offset: i64, how: HandlerEnd) {
        let at = self.at();
        self.service(service, ServiceEntry::Ended { at, place: place(offset), id: number, how });
    }

    pub(super) fn handled(&mut self, service: &str, number: u64, offset: i64) {
        self.started(service, number, offset);
        self.ended(service, number, offset, HandlerEnd::Done);
    }

    pub(super) fn letter(&mut self, number: u64) {
        self.letter_of(number, number);
    }

    /// Notes a dead letter that names the place of command `number`, and contains command `id`.
    pub(super) fn letter_of(&mut self, number: u64, id: u64) {
        let place = place(i64::try_from(number).expect("a small number"));
        self.evidence.log.push(LogEntry::DeadLetter { place, id, status: "503".to_owned() });
    }

    pub(super) fn killed(&mut self, service: &str) {
        let (at, name) = (self.at(), service.to_owned());
        self.evidence.run.push(RunEntry::InstanceKilled { at, name });
    }

    pub(super) fn verdict(mut self) -> Verdict {
        let at = self.at();
        self.caller(CallerEntry::Stopped { at });
        self.evidence.run.push(RunEntry::Over { at });
        let committed = self.committed;
        self.evidence.log.push(LogEntry::Committed { partition: 0, committed, end: 0 });
        reconcile(&self.evidence)
    }

    /// The kind of the only violation, if there is one.
    pub(super) fn violation(self) -> Option<&'static str> {
        let verdict = self.verdict();
        assert!(verdict.violations.len() <= 1, "{:?}", verdict.violations);
        verdict.violations.first().map(Violation::kind)
    }

    /// A run of three commands of one key, all answered.
    pub(super) fn well() -> Self {
        let mut ledgers = Self::default();
        ledgers.assigned("a");
        for number in 1..=3 {
            ledgers.sent(number, Task::Quick);
            ledgers.handled("a", number, i64::try_from(number).expect("a small number"));
            ledgers.answered(number);
        }
        ledgers
    }
}
