//! Hand-written ledgers: each violation is found, and what is allowed is not reported as one.

mod ledgers;

use self::ledgers::{Ledgers, SECOND, place, work};
use super::super::{
    contract::Task,
    ledger::{CallerEntry, HandlerEnd, LogEntry, Moment, Outcome, Reached, RunEntry, ServiceEntry},
};

#[test]
fn a_run_in_which_all_is_well_has_no_violation() {
    let verdict = Ledgers::well().verdict();
    assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
    assert_eq!((verdict.commands, verdict.stored, verdict.handlers), (3, 3, 3));
    assert_eq!(verdict.outcomes["answered"], 3);
}

#[test]
fn a_command_that_the_broker_has_and_nobody_handled_is_lost() {
    let acknowledged = || Outcome::Deadline { progress: Reached::Acknowledged };
    let mut ledgers = Ledgers::well();
    ledgers.sent(4, Task::Quick);
    ledgers.saw(4, acknowledged());
    assert_eq!(ledgers.violation(), Some("lost"));

    let mut ledgers = Ledgers::well();
    ledgers.sent(4, Task::Quick);
    ledgers.started("a", 4, 4);
    ledgers.saw(4, acknowledged());
    assert_eq!(ledgers.violation(), Some("lost"), "a handler that did not end is not enough");

    let mut ledgers = Ledgers::well();
    ledgers.sent(4, Task::Quick);
    ledgers.saw(4, Outcome::Undeliverable { progress: Reached::Unknown, reason: String::new() });
    assert_eq!(ledgers.violation(), Some("lost"), "the broker has it, whether its caller knows or not");
}

#[test]
fn a_command_that_was_acknowledged_and_is_not_in_the_log_is_lost() {
    let mut ledgers = Ledgers::well();
    ledgers.not_stored(4, Task::Quick, true);
    ledgers.saw(4, Outcome::Taken);
    assert_eq!(ledgers.violation(), Some("lost"));
}

#[test]
fn a_command_that_never_reached_the_broker_is_not_lost() {
    let mut ledgers = Ledgers::well();
    ledgers.not_stored(4, Task::Quick, false);
    ledgers.saw(4, Outcome::Deadline { progress: Reached::Unknown });
    assert_eq!(ledgers.violation(), None);
}

#[test]
fn a_command_that_failed_is_lost_without_its_dead_letter() {
    for (lettered, violation) in [(true, None), (false, Some("lost"))] {
        let mut ledgers = Ledgers::well();
        ledgers.sent(4, Task::Fail);
        for _ in 0..3 {
            ledgers.started("a", 4, 4);
            ledgers.ended("a", 4, 4, HandlerEnd::Failed);
        }
        let code = Some(work(4, Task::Fail).code());
        ledgers.saw(4, Outcome::Remote { status: 503, name: "Failed".to_owned(), code });
        ledgers.replied(4);
        if lettered {
            ledgers.letter(4);
        }
        assert_eq!(ledgers.violation(), violation);
    }
}

#[test]
fn a_dead_letter_of_another_command_or_of_one_that_does_not_fail_is_wrong() {
    let mut ledgers = Ledgers::well();
    ledgers.sent(4, Task::Fail);
    ledgers.letter_of(4, 3);
    ledgers.replied(4);
    ledgers.saw(4, Outcome::Deadline { progress: Reached::Acknowledged });
    assert_eq!(ledgers.violation(), Some("wrong answers"));

    let mut ledgers = Ledgers::well();
    ledgers.letter(3);
    assert_eq!(ledgers.violation(), Some("wrong answers"));
}

#[test]
fn a_reply_that_is_in_no_topic_is_lost_unless_it_expired() {
    for (expired, violation) in [(false, Some("replies lost")), (true, None)] {
        let mut ledgers = Ledgers::well();
        ledgers.sent(4, Task::Quick);
        ledgers.handled("a", 4, 4);
        let at = ledgers.deadline();
        if expired {
            ledgers.service("a", ServiceEntry::Expired { at, place: place(4) });
        }
        ledgers.saw(4, Outcome::Deadline { progress: Reached::Acknowledged });
        assert_eq!(ledgers.violation(), violation);
    }
}

#[test]
fn a_reply_that_its_caller_has_read_on_beyond_is_lost() {
    for (offset, violation) in [(4, Some("replies lost")), (6, None)] {
        let mut ledgers = Ledgers::well();
        for number in [4, 5] {
            ledgers.sent(number, Task::Quick);
            ledgers.handled("a", number, i64::try_from(number).expect("a small number"));
        }
        ledgers.replied_at(4, offset);
        ledgers.answered(5);
        ledgers.saw(4, Outcome::Deadline { progress: Reached::Acknowledged });
        assert_eq!(ledgers.violation(), violation, "its offset is {offset}, and that of the next is 5");
    }
}

#[test]
fn a_reply_that_answers_no_command_is_wrong() {
    let mut ledgers = Ledgers::well();
    ledgers.evidence.log.push(LogEntry::Reply { place: place(9), id: None });
    assert_eq!(ledgers.violation(), Some("wrong answers"));
}

#[test]
fn a_command_that_is_said_not_to_be_sent_and_is_in_the_log_is_wrong() {
    let undeliverable = Outcome::Undeliverable { progress: Reached::NotSent, reason: String::new() };
    for outcome in [Outcome::Overloaded, Outcome::Deadline { progress: Reached::NotSent }, undeliverable] {
        let mut ledgers = Ledgers::well();
        ledgers.sent(4, Task::Quick);
        ledgers.handled("a", 4, 4);
        ledgers.replied(4);
        ledgers.saw(4, outcome);
        assert_eq!(ledgers.violation(), Some("wrong answers"));
    }
}

#[test]
fn a_command_without_a_deadline_that_expires_is_lost() {
    let mut ledgers = Ledgers::well();
    ledgers.not_stored(4, Task::Quick, true);
    ledgers.evidence.log.push(LogEntry::Command { place: place(4), id: 4 });
    let at = ledgers.deadline();
    ledgers.service("a", ServiceEntry::Expired { at, place: place(4) });
    ledgers.saw(4, Outcome::Taken);
    assert_eq!(ledgers.violation(), Some("lost"));
}

#[test]
fn an_expired_command_is_not_lost() {
    let mut ledgers = Ledgers::well();
    ledgers.sent(4, Task::Quick);
    let at = ledgers.deadline();
    ledgers.service("a", ServiceEntry::Expired { at, place: place(4) });
    ledgers.saw(4, Outcome::Deadline { progress: Reached::Acknowledged });
    assert_eq!(ledgers.violation(), None);
}

#[test]
fn a_command_that_expires_before_its_deadline_is_lost() {
    let mut ledgers = Ledgers::well();
    ledgers.sent(4, Task::Quick);
    let at = ledgers.at();
    ledgers.service("a", ServiceEntry::Expired { at, place: place(4) });
    ledgers.saw(4, Outcome::Deadline { progress: Reached::Acknowledged });
    assert_eq!(ledgers.violation(), Some("lost"));
}

#[test]
fn a_call_that_ends_at_its_deadline_before_that_is_wrong() {
    let mut ledgers = Ledgers::well();
    ledgers.sent(4, Task::Quick);
    ledgers.handled("a", 4, 4);
    ledgers.replied(4);
    let at = ledgers.at();
    let outcome = Outcome::Deadline { progress: Reached::Acknowledged };
    ledgers.caller(CallerEntry::Ended { at, id: 4, outcome });
    assert_eq!(ledgers.violation(), Some("wrong answers"));
}

#[test]
fn a_call_that_ends_long_after_its_deadline_or_never_has_hung() {
    let mut ledgers = Ledgers::well();
    ledgers.sent(4, Task::Quick);
    ledgers.handled("a", 4, 4);
    ledgers.replied(4);
    assert_eq!(ledgers.violation(), Some("hung"), "it never ended");

    for (late, violation) in [(1, None), (10, Some("hung"))] {
        let mut ledgers = Ledgers::well();
        ledgers.sent(4, Task::Quick);
        ledgers.handled("a", 4, 4);
        ledgers.replied(4);
        ledgers.clock += late * SECOND;
        ledgers.saw(4, Outcome::Deadline { progress: Reached::Acknowledged });
        assert_eq!(ledgers.violation(), violation, "{late} s late");
    }
}

#[test]
fn the_answer_to_another_command_is_wrong() {
    let mut ledgers = Ledgers::well();
    ledgers.sent(4, Task::Quick);
    ledgers.handled("a", 4, 4);
    ledgers.replied(4);
    ledgers.saw(4, Outcome::Answered { sum: work(3, Task::Quick).answer() });
    assert_eq!(ledgers.violation(), Some("wrong answers"));
}

#[test]
fn an_error_that_the_command_does_not_have_is_wrong() {
    let mut ledgers = Ledgers::well();
    ledgers.sent(4, Task::Quick);
    ledgers.handled("a", 4, 4);
    ledgers.replied(4);
    ledgers.saw(4, Outcome::Remote { status: 500, name: "InternalServerError".to_owned(), code: None });
    assert_eq!(ledgers.violation(), Some("wrong answers"));
}

#[test]
fn an_answer_before_any_handler_has_worked_is_wrong() {
    let mut ledgers = Ledgers::well();
    ledgers.sent(4, Task::Quick);
    let at = ledgers.deadline();
    ledgers.service("a", ServiceEntry::Expired { at, place: place(4) });
    ledgers.answered(4);
    assert_eq!(ledgers.violation(), Some("wrong answers"));
}

#[test]
fn handlers_of_one_key_out_of_order_within_an_assignment_are_found() {
    const ORDER: Option<&str> = Some("order violations within an assignment");
    let two = || {
        let mut ledgers = Ledgers::well();
        for number in [4, 5] {
            ledgers.sent(number, Task::Quick);
            ledgers.saw(number, Outcome::Deadline { progress: Reached::Acknowledged });
            ledgers.replied(number);
        }
        ledgers
    };
    let mut ledgers = two();
    ledgers.handled("a", 5, 5);
    ledgers.handled("a", 4, 4);
    assert_eq!(ledgers.violation(), ORDER, "a later one first");

    let mut ledgers = two();
    ledgers.started("a", 4, 4);
    ledgers.handled("a", 5, 5);
    ledgers.ended("a", 4, 4, HandlerEnd::Done);
    assert_eq!(ledgers.violation(), ORDER, "at once");

    let mut ledgers = two();
    ledgers.handled("a", 4, 4);
    ledgers.handled("a", 4, 4);
    ledgers.handled("a", 5, 5);
    assert_eq!(ledgers.violation(), ORDER, "one of them twice");

    let mut ledgers = two();
    ledgers.handled("a", 4, 4);
    ledgers.handled("a", 5, 5);
    assert_eq!(ledgers.violation(), None);
}

#[test]
fn a_record_that_overtakes_one_that_is_to_be_retried_is_found() {
    let mut ledgers = Ledgers::well();
    ledgers.sent(4, Task::Flaky);
    ledgers.sent(5, Task::Quick);
    ledgers.started("a", 4, 4);
    ledgers.ended("a", 4, 4, HandlerEnd::Failed);
    ledgers.handled("a", 5, 5);
    ledgers.answered(5);
    ledgers.assigned("b");
    ledgers.handled("b", 4, 4);
    ledgers.answered(4);
    assert_eq!(ledgers.violation(), Some("order violations within an assignment"));
}

#[test]
fn commands_that_are_stored_in_another_order_than_they_were_sent_in_are_found() {
    let mut ledgers = Ledgers::well();
    ledgers.sent_to(5, Task::Quick, 4);
    ledgers.sent_to(4, Task::Quick, 5);
    ledgers.handled("a", 5, 4);
    ledgers.handled("a", 4, 5);
    ledgers.answered(4);
    ledgers.answered(5);
    assert_eq!(ledgers.violation(), Some("stored out of order"));
}

#[test]
fn a_new_assignment_begins_again_and_repetitions_are_counted_by_how_the_last_one_ended() {
    for (lost, counts) in [(None, (3, 0, 0)), (Some(true), (0, 3, 0)), (Some(false), (0, 0, 3))] {
        let mut ledgers = Ledgers::well();
        match lost {
            Some(lost) => ledgers.revoked("a", lost),
            None => ledgers.killed("a"),
        }
        ledgers.assigned("b");
        for number in 1..=3 {
            ledgers.handled("b", number, i64::try_from(number).expect("a small number"));
        }
        let verdict = ledgers.verdict();
        assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
        let counted = (verdict.again_after_kill, verdict.again_after_loss, verdict.again_after_revocation);
        assert_eq!(counted, counts);
    }
}

#[test]
fn a_key_that_runs_in_two_instances_at_once_is_counted_after_a_loss_and_else_a_violation() {
    for (lost, kind, count) in
        [(true, None, 1), (false, Some("overlaps of assignments that were given up"), 0)]
    {
        let mut ledgers = Ledgers::well();
        ledgers.sent(4, Task::Quick);
        ledgers.started("a", 4, 4);
        ledgers.revoked("a", lost);
        ledgers.assigned("b");
        ledgers.handled("b", 4, 4);
        ledgers.revoked("b", false);
        ledgers.ended("a", 4, 4, HandlerEnd::Done);
        ledgers.answered(4);
        let verdict = ledgers.verdict();
        assert_eq!(verdict.violations.first().map(super::Violation::kind), kind);
        assert_eq!(verdict.overlaps_after_loss, count);
    }
}

#[test]
fn what_a_killed_instance_had_begun_ends_with_it() {
    let mut ledgers = Ledgers::well();
    ledgers.sent(4, Task::Quick);
    ledgers.started("a", 4, 4);
    ledgers.killed("a");
    ledgers.assigned("b");
    ledgers.handled("b", 4, 4);
    ledgers.answered(4);
    let verdict = ledgers.verdict();
    assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
    assert_eq!(verdict.overlaps_after_loss, 0);
}

#[test]
fn a_command_that_is_stored_twice_is_found() {
    let mut ledgers = Ledgers::well();
    ledgers.evidence.log.push(LogEntry::Command { place: place(9), id: 3 });
    assert_eq!(ledgers.violation(), Some("stored twice"));
}

#[test]
fn a_partition_that_is_not_committed_to_its_end_is_found() {
    let ledgers = Ledgers { committed: -1, ..Ledgers::well() };
    assert_eq!(ledgers.violation(), Some("partitions not committed to their end"));
}

#[test]
fn a_process_that_died_is_found() {
    let mut ledgers = Ledgers::well();
    let (name, how) = ("service-000".to_owned(), "exit status: 1".to_owned());
    ledgers.evidence.run.push(RunEntry::InstanceDied { at: Moment(1), name, how });
    assert_eq!(ledgers.violation(), Some("processes that died by themselves"));

    let mut ledgers = Ledgers::well();
    ledgers.evidence.callers.insert("caller-1".to_owned(), Vec::new());
    assert_eq!(ledgers.violation(), Some("processes that died by themselves"));
}
