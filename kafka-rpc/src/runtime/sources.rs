//! Which topics are read and written for which purpose, and which records would reach a reader that they are
//! not meant for.

use std::{collections::BTreeMap, fmt, sync::Arc};

use crate::{Location, Problem, server::Served};

/// One reading of a topic: for the subscription itself, or for its retries.
#[derive(Clone, Copy)]
struct Reading<'a> {
    served: &'a Served,
    is_retry: bool,
}

impl fmt::Display for Reading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (self.is_retry, self.served.of_dead_letters) {
            (true, _) => "the retries of ",
            (false, true) => "the dead letters of ",
            (false, false) => "",
        };
        write!(f, "{what}`{}` in group `{}`", self.served.contract_topic, self.served.group)
    }
}

/// Finds the topics with two readings that break each other, and those that are written for two purposes.
/// Topics are compared by their names on the cluster.
///
/// Two groups may read one topic, and each gets all of it. A retry topic may have one reading only: a second
/// reading would get the retries of the first.
pub(super) fn check(served: &[Served], problems: &mut Vec<Problem>) {
    problems.extend(served.iter().flat_map(written_for_two));
    let mut topics: BTreeMap<&str, Vec<Reading<'_>>> = BTreeMap::new();
    for served in served {
        topics.entry(&served.topic).or_default().push(Reading { served, is_retry: false });
        if let Some(topic) = &served.retry_topic {
            topics.entry(topic).or_default().push(Reading { served, is_retry: true });
        }
    }
    for (topic, readings) in topics {
        if let Some(retries) = readings.iter().find(|reading| reading.is_retry) {
            problems.extend(written_by_others(topic, *retries, served));
            problems.extend(shared(
                topic,
                &readings,
                "each would handle what is meant for the others; give every `retry_topic` a name used for nothing else",
            ));
            continue;
        }
        let mut groups: BTreeMap<&str, Vec<Reading<'_>>> = BTreeMap::new();
        for reading in readings {
            groups.entry(&reading.served.group).or_default().push(reading);
        }
        problems.extend(groups.into_values().filter_map(|readings| {
            shared(
                topic,
                &readings,
                "each would get some of the others' records; give each a topic or a group of its own, and have \
                 `map_topics` and `map_groups` keep them apart",
            )
        }));
    }
}

/// Finds the subscriptions that write their replies or dead letters to the retry topic of another: that would take them
/// for its own retries.
fn written_by_others(topic: &str, retries: Reading<'_>, served: &[Served]) -> Vec<Problem> {
    let others = served.iter().filter(|other| !std::ptr::eq(*other, retries.served));
    let written = others.flat_map(|other| {
        let here = written(other).filter(|(_, written)| ***written == *topic);
        here.map(move |(option, _)| (other, option))
    });
    let problem = |(other, option): (&Served, &str)| Problem {
        message: format!(
            "`{topic}` is the `{option}` of `{}` in group `{}`, and would be read as {retries}; give every \
             `retry_topic` a name used for nothing else",
            other.contract_topic, other.group
        ),
        places: other.locations.iter().chain(&retries.served.locations).copied().collect(),
    };
    written.map(problem).collect()
}

/// The topics that others than the subscription read, each with its option.
fn written(served: &Served) -> impl Iterator<Item = (&'static str, &Arc<str>)> {
    let topics = [("replies", &served.reply_topic), ("dead_letter", &served.dead_letter_topic)];
    topics.into_iter().filter_map(|(option, topic)| Some((option, topic.as_ref()?)))
}

/// Finds the topics that a subscription uses for two purposes: a reader for one of them would get the records
/// of the other too.
fn written_for_two(served: &Served) -> Vec<Problem> {
    let retries = served.retry_topic.as_ref().map(|topic| ("retry_topic", topic));
    let written: Vec<_> = written(served).chain(retries).collect();
    let mut problems = Vec::new();
    for (index, (option, topic)) in written.iter().enumerate() {
        // A retry topic that is also the topic is reported as two readings.
        let own = (*option != "retry_topic").then_some(("topic", &served.topic));
        for (other, same) in own.into_iter().chain(written[..index].iter().copied()) {
            if same == *topic {
                problems.push(Problem {
                    message: format!(
                        "`{topic}` is both `{other}` and `{option}` of `{}` in group `{}`, and what is written there \
                         as one would be read as the other too; give each a topic of its own",
                        served.contract_topic, served.group
                    ),
                    places: served.locations.clone(),
                });
            }
        }
    }
    problems
}

/// Returns the problem of readings that must not share a topic, if there are several.
fn shared(topic: &str, readings: &[Reading<'_>], why_not: &str) -> Option<Problem> {
    if readings.len() < 2 {
        return None;
    }
    let all: Vec<String> = readings.iter().map(|reading| format!("for {reading}")).collect();
    let mut places: Vec<Location> =
        readings.iter().flat_map(|reading| reading.served.locations.iter().copied()).collect();
    places.sort_unstable();
    places.dedup();
    Some(Problem { message: format!("`{topic}` would be read {}, and {why_not}", all.join(" and ")), places })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A subscription that is declared on this line.
    fn served(topic: &'static str, group: &str, retry_topic: Option<&str>, line: u32) -> Served {
        Served {
            topic: topic.into(),
            group: group.into(),
            contract_topic: topic,
            retry_topic: retry_topic.map(Into::into),
            locations: vec![Location { file: "a.rs", line }],
            ..Served::of_orders(true, false)
        }
    }

    fn letters(of: &'static str, topic: &'static str, group: &str, line: u32) -> Served {
        Served { contract_topic: of, of_dead_letters: true, ..served(topic, group, None, line) }
    }

    fn problems(served: &[Served]) -> Vec<Problem> {
        let mut problems = Vec::new();
        check(served, &mut problems);
        problems
    }

    #[test]
    fn a_topic_that_two_readings_would_break_for_each_other_is_named_with_both_and_their_places() {
        let renamed = Served { topic: "a".into(), ..served("b", "g", None, 2) };
        for (name, both, text) in [
            (
                "a retry topic of one group",
                [served("a", "g", Some("r"), 1), served("b", "g", Some("r"), 2)],
                "`r` would be read for the retries of `a` in group `g` and for the retries of `b` in group `g`, and",
            ),
            (
                "a retry topic of two groups",
                [served("a", "g", Some("r"), 1), served("a", "h", Some("r"), 2)],
                "`r` would be read for the retries of `a` in group `g` and for the retries of `a` in group `h`, and",
            ),
            (
                "a retry topic with a subscription to it",
                [served("a", "g", Some("b"), 1), served("b", "h", None, 2)],
                "`b` would be read for the retries of `a` in group `g` and for `b` in group `h`, and",
            ),
            (
                "a retry topic with dead letters on it",
                [served("a", "g", Some("a.dlq"), 1), letters("a", "a.dlq", "h", 2)],
                "for the retries of `a` in group `g` and for the dead letters of `a` in group `h`, and",
            ),
            (
                "two topics that are renamed to one",
                [served("a", "g", None, 1), renamed],
                "`a` would be read for `a` in group `g` and for `b` in group `g`, and",
            ),
            (
                "dead letters of two topics on one",
                [letters("a", "dlq", "g", 1), letters("b", "dlq", "g", 2)],
                "`dlq` would be read for the dead letters of `a` in group `g` and for the dead letters of `b` in group",
            ),
        ] {
            let found = problems(&both);
            let [problem] = &*found else { panic!("{name}: {found:?}") };
            assert!(problem.message.contains(text), "{name}: {problem}");
            assert_eq!(problem.places, [1, 2].map(|line| Location { file: "a.rs", line }), "{name}");
        }
    }

    #[test]
    fn what_one_subscription_writes_to_the_retry_topic_of_another_is_named_with_both() {
        let writes = |reply_topic: Option<&str>, dead_letter_topic: Option<&str>| {
            let [reply_topic, dead_letter_topic] =
                [reply_topic, dead_letter_topic].map(|topic| topic.map(Into::into));
            let other = Served { reply_topic, dead_letter_topic, ..served("a", "g", None, 1) };
            problems(&[other, served("b", "h", Some("x"), 2)])
        };
        assert_eq!(writes(Some("a-responses"), Some("a.dlq")), []);
        for (found, text) in [
            (
                writes(Some("x"), None),
                "`x` is the `replies` of `a` in group `g`, and would be read as the retries of `b`",
            ),
            (
                writes(None, Some("x")),
                "`x` is the `dead_letter` of `a` in group `g`, and would be read as the retries of",
            ),
        ] {
            let [problem] = &*found else { panic!("{text}: {found:?}") };
            assert!(problem.message.contains(text), "{text}: {problem}");
            assert_eq!(problem.places, [1, 2].map(|line| Location { file: "a.rs", line }));
        }
    }

    #[test]
    fn a_topic_that_is_its_own_retry_topic_is_named_once() {
        let found = problems(&[served("a", "g", Some("a"), 1)]);
        let [problem] = &*found else { panic!("{found:?}") };
        let text = "`a` would be read for `a` in group `g` and for the retries of `a` in group `g`, and";
        assert!(problem.message.contains(text), "{problem}");
        assert_eq!(problem.places, [Location { file: "a.rs", line: 1 }]);
    }

    #[test]
    fn topics_of_one_subscription_that_are_one_are_named_with_what_they_are_for() {
        let of = |replies: &str, dead_letter: &str, retry_topic: &str| {
            let own = served("a", "g", Some(retry_topic), 1);
            problems(&[Served {
                reply_topic: Some(replies.into()),
                dead_letter_topic: Some(dead_letter.into()),
                ..own
            }])
        };
        assert_eq!(of("a-responses", "a.dlq", "a.retry"), []);
        for (found, text) in [
            (of("a", "a.dlq", "a.retry"), "`a` is both `topic` and `replies` of `a` in group `g`, and"),
            (of("a-responses", "a", "a.retry"), "`a` is both `topic` and `dead_letter` of"),
            (of("x", "x", "a.retry"), "`x` is both `replies` and `dead_letter` of"),
            (of("x", "a.dlq", "x"), "`x` is both `replies` and `retry_topic` of"),
            (of("a-responses", "x", "x"), "`x` is both `dead_letter` and `retry_topic` of"),
        ] {
            let [problem] = &*found else { panic!("{text}: {found:?}") };
            assert!(problem.message.contains(text), "{text}: {problem}");
            assert_eq!(problem.places, [Location { file: "a.rs", line: 1 }]);
        }
    }

    #[test]
    fn groups_may_read_one_topic_and_its_dead_letters_each_with_retries_of_its_own() {
        let found = problems(&[
            served("a", "g", Some("a.retries-of-g"), 1),
            served("a", "h", Some("a.retries-of-h"), 2),
            served("a", "i", None, 3),
            served("b", "g", None, 4),
            letters("a", "a.dlq", "g", 5),
            letters("a", "a.dlq", "h", 6),
        ]);
        assert_eq!(found, []);
    }
}
