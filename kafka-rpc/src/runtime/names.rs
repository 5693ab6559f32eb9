//! The names that a cluster has for topics and groups: how a runtime renames them, and which ones Kafka
//! refuses.

use crate::{Problem, rename::Rename, server::Served};

/// The longest topic name that Kafka accepts (`Topic.MAX_NAME_LENGTH`).
const LONGEST: usize = 249;

/// How this runtime renames the topics and groups that the attributes name.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) topics: Option<&'a Rename>,
    pub(super) groups: Option<&'a Rename>,
}

/// Finds the names that Kafka refuses. The attribute checks the names that it states as literals; it cannot
/// check constants, and what `map_topics` and `map_groups` make of a name.
pub(super) fn check(served: &[Served], problems: &mut Vec<Problem>) {
    for served in served {
        let topics = [
            Some(&served.topic),
            served.reply_topic.as_ref(),
            served.dead_letter_topic.as_ref(),
            served.retry_topic.as_ref(),
        ];
        let mut found = |message| {
            problems.push(Problem { message, places: served.locations.clone() });
        };
        for topic in topics.into_iter().flatten() {
            if let Some(why) = refused(topic) {
                found(format!("Kafka refuses the topic `{topic}` of `{}`: {why}", served.contract_topic));
            }
        }
        if served.group.is_empty() {
            found(format!("the group of `{}` is empty; give it a name", served.contract_topic));
        }
    }
}

/// Why Kafka refuses a topic of this name, if it does.
fn refused(topic: &str) -> Option<String> {
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    match topic {
        "" => Some("it is empty; give it a name".to_owned()),
        "." | ".." => Some("it is the name of a folder; give it another".to_owned()),
        _ if topic.len() > LONGEST => Some(format!("it is longer than {LONGEST} bytes")),
        _ => {
            let letter = topic.chars().find(|letter| !is_allowed(*letter))?;
            Some(format!("it contains {letter:?}; use only ASCII letters, digits, `.`, `_` and `-`"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_kafka_refuses_is_told_with_why_and_the_others_are_not() {
        for (topic, why) in [
            ("", "empty"),
            ("..", "folder"),
            ("orders commands", "' '"),
            ("bestellungen-für-alle", "'ü'"),
            (&"x".repeat(250), "249"),
        ] {
            assert!(refused(topic).is_some_and(|refused| refused.contains(why)), "{topic}");
        }
        for topic in ["orders-commands", "a.b_C-9", &"x".repeat(249)] {
            assert_eq!(refused(topic), None);
        }
    }

    #[test]
    fn every_topic_of_a_subscription_and_its_group_are_looked_at() {
        let mut problems = Vec::new();
        check(&[Served::of_orders(true, true)], &mut problems);
        assert_eq!(problems, []);
        let wrong = Served {
            topic: "a b".into(),
            group: "".into(),
            reply_topic: Some("c d".into()),
            dead_letter_topic: Some("e f".into()),
            retry_topic: Some("g h".into()),
            ..Served::of_orders(true, true)
        };
        check(&[wrong], &mut problems);
        assert_eq!(problems.len(), 5, "{problems:?}");
    }
}
