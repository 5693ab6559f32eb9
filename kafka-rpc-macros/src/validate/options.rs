//! The rules of the options of an item.

use proc_macro2::Span;
use syn::{Expr, Lit};

use super::generic;
use crate::{attr::ClientName, errors::Errors, model::Item, position::Position};

/// The longest topic name that Kafka accepts.
const LONGEST_TOPIC: usize = 249;

/// Checks the options of an item.
pub(crate) fn options(item: &Item, errors: &mut Errors) {
    if super::method(item).is_some() {
        // The options belong on the block around the method, which `item` reports.
        return;
    }
    let options = &item.options;
    if item.position() != Position::ContractImpl {
        let example = "#[kafka_handler(topic = \"..\", group = \"..\")]";
        if options.stated("dead_letters_of").is_some() {
            dead_letters(item, errors);
        } else if options.lacks("topic") && options.lacks("dead_letters_of") {
            let is_dead_letter = item.position() == Position::EveryRecord
                && item.handlers.iter().any(|handler| handler.dead_letter().is_some());
            let message = if is_dead_letter {
                "`dead_letters_of` is missing: say on which topic the records were that failed, as in \
                 `#[kafka_handler(dead_letters_of = \"..\", group = \"..\")]`"
                    .to_owned()
            } else {
                format!("`topic` is missing: say which topic the commands are on, as in `{example}`")
            };
            errors.push(syn::Error::new(Span::call_site(), message));
        }
        if options.lacks("group") {
            errors.push(syn::Error::new(
                Span::call_site(),
                format!("`group` is missing: say which consumer group handles them, as in `{example}`"),
            ));
        }
    }
    let others = [&options.topic, &options.retry_topic, &options.dead_letters_of].into_iter().flatten();
    for topic in others.chain(options.destinations()) {
        self::topic(topic, errors);
    }
    generic::subscription(item, errors);
    if let Some((literal, group)) = options.group.as_ref().and_then(literal)
        && group.is_empty()
    {
        errors.at(literal, "a consumer group has a name: this is empty");
    }
    if let Some(ClientName::Named(client)) = &options.client
        && item.name() == Some(client)
    {
        errors.at(client, "the client trait cannot have the name of the item itself: choose another one");
    }
}

/// Reports options that make no sense for a function that handles dead letters.
fn dead_letters(item: &Item, errors: &mut Errors) {
    if item.position() != Position::EveryRecord {
        // Reported where the option was read.
        return;
    }
    let reasons = [
        (
            "topic",
            "a function takes the records of `topic` or those that failed: keep `topic` or `dead_letters_of`",
        ),
        ("replies", "nobody waits for the answer to a dead letter: remove `replies`"),
        ("dead_letter", "a dead letter that cannot be handled stays where it is: remove `dead_letter`"),
        ("retry_topic", "a dead letter is retried in the process: remove `retry_topic`"),
        ("dialect", "a dead letter is read whoever wrote it: remove `dialect`"),
        ("dedupe", "a dead letter is not answered, so no answer can be kept: remove `dedupe`"),
        (
            "envelope",
            "the payload of this function is the `DeadLetter`, not that of an envelope: remove `envelope`",
        ),
        ("client", "nobody calls a handler of dead letters, so it has no client: remove `client`"),
    ];
    for (option, reason) in reasons {
        if let Some(name) = item.options.stated(option) {
            errors.at(name, reason);
        }
    }
}

fn topic(topic: &Expr, errors: &mut Errors) {
    let Some((literal, name)) = literal(topic) else {
        return;
    };
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    if name.is_empty() {
        errors.at(literal, "a topic has a name: this is empty");
    } else if name == "." || name == ".." {
        errors.at(literal, format!("Kafka refuses `{name}` as the name of a topic"));
    } else if let Some(letter) = name.chars().find(|letter| !is_allowed(*letter)) {
        errors.at(
            literal,
            format!("Kafka refuses {letter:?} in the name of a topic: use letters, digits, `.`, `_` and `-`"),
        );
    } else if name.len() > LONGEST_TOPIC {
        errors.at(
            literal,
            format!("Kafka refuses topics of more than {LONGEST_TOPIC} characters: this has {}", name.len()),
        );
    }
}

fn literal(expr: &Expr) -> Option<(&Lit, String)> {
    match expr {
        Expr::Lit(expr) => match &expr.lit {
            Lit::Str(text) => Some((&expr.lit, text.value())),
            _ => None,
        },
        _ => None,
    }
}
