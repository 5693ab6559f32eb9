//! The options that each position takes, and the messages about all others.

/// What `#[kafka_handler]` is on, as far as it decides which options it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    Contract,
    ContractImpl,
    Commands,
    EveryRecord,
}

/// The options of `#[kafka_handler]`, as messages list them.
const OPTIONS: &[&str] = &[
    "topic",
    "group",
    "replies",
    "dead_letter",
    "retry_topic",
    "dialect",
    "ordering",
    "concurrency",
    "retry",
    "timeout",
    "dedupe",
    "client",
    "register",
    "crate",
    "envelope",
    "dead_letters_of",
];

impl Position {
    /// The options that this position takes.
    pub(crate) fn known(self) -> Vec<&'static str> {
        OPTIONS.iter().copied().filter(|option| self.takes(option)).collect()
    }

    pub(crate) fn takes(self, option: &str) -> bool {
        match option {
            "crate" => true,
            "register" => self != Self::Contract,
            "envelope" | "dead_letters_of" => self == Self::EveryRecord,
            option => self != Self::ContractImpl && OPTIONS.contains(&option),
        }
    }

    /// The name of this position in messages.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Contract => "a contract",
            Self::ContractImpl => "the impl of a contract",
            Self::Commands => "an item with commands",
            Self::EveryRecord => "a function that takes every record",
        }
    }

    /// Why an option that is known elsewhere is not allowed here.
    pub(crate) fn misplaced(self, option: &str) -> Option<String> {
        match (self, option) {
            (Self::ContractImpl, option) if Self::Contract.takes(option) => Some(format!(
                "the contract states `{option}`, not its impl: remove it here (an impl takes `register` and `crate`)"
            )),
            (Self::Contract, "register") => {
                Some("a contract registers nothing: write `register = false` on its impl".to_owned())
            }
            (_, "dead_letters_of") => Some(
                "`dead_letters_of` is for a free function without `#[command]`, whose payload is `DeadLetter`"
                    .to_owned(),
            ),
            (_, "envelope") => Some(
                "`envelope` is for a free function without `#[command]`: the payload of a command is always \
                 the envelope's, so remove it here"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// The message about an option that is none of the `known` ones.
pub(crate) fn unknown(name: &str, noun: &str, known: &[&str]) -> String {
    let list = known.iter().map(|option| format!("`{option}`")).collect::<Vec<_>>().join(", ");
    match nearest(name, known) {
        Some(option) => {
            format!("unknown option `{name}`, did you mean `{option}`? The options of {noun} are {list}")
        }
        None => format!("unknown option `{name}`: the options of {noun} are {list}"),
    }
}

/// The message about the value of an option that is none of the `known` ones.
pub(crate) fn unknown_value(option: &str, value: &str, known: &[&str]) -> String {
    let list = known.iter().map(|known| format!("`\"{known}\"`")).collect::<Vec<_>>().join(", ");
    match nearest(value, known) {
        Some(known) => format!("did you mean `{option} = \"{known}\"`? The values of `{option}` are {list}"),
        None => format!("the values of `{option}` are {list}"),
    }
}

/// What other frameworks call an option.
const ELSEWHERE: [(&str, &str); 11] = [
    ("group_id", "group"),
    ("groupId", "group"),
    ("consumer_group", "group"),
    ("reply_to", "replies"),
    ("reply_topic", "replies"),
    ("dlq", "dead_letter"),
    ("dead_letter_topic", "dead_letter"),
    ("max_retries", "max"),
    ("max_attempts", "max"),
    ("attempts", "max"),
    ("retries", "retry"),
];

/// The known word that was probably meant.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let elsewhere = ELSEWHERE.iter().find(|(other, _)| *other == word).map(|(_, ours)| *ours);
    if let Some(ours) = known.iter().find(|known| Some(**known) == elsewhere) {
        return Some(ours);
    }
    let near = known.iter().map(|known| (distance(word, known), *known));
    near.filter(|(distance, known)| *distance <= 2 && *distance < known.len()).min().map(|(_, known)| known)
}

/// The edit distance: how many letters must be changed, added or removed to turn one word into the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, letter) in from.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, other) in to.iter().enumerate() {
            let change = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_option_is_suggested() {
        let known = Position::Commands.known();
        assert!(unknown("topics", "it", &known).contains("did you mean `topic`"));
        assert!(unknown("deadletter", "it", &known).contains("did you mean `dead_letter`"));
        assert!(unknown("group_id", "it", &known).contains("did you mean `group`"));
        assert!(unknown("max_attempts", "it", &["max", "base"]).contains("did you mean `max`"));
        assert!(!unknown("partitions", "it", &known).contains("did you mean"));
    }

    #[test]
    fn the_nearest_value_is_suggested() {
        let known = ["nest", "spring"];
        assert_eq!(
            unknown_value("dialect", "sprng", &known),
            "did you mean `dialect = \"spring\"`? The values of `dialect` are `\"nest\"`, `\"spring\"`"
        );
        assert!(unknown_value("dialect", "avro", &known).starts_with("the values of"));
    }

    #[test]
    fn distance_counts_changes() {
        assert_eq!(distance("topic", "topic"), 0);
        assert_eq!(distance("tpic", "topic"), 1);
        assert_eq!(distance("", "key"), 3);
    }
}
