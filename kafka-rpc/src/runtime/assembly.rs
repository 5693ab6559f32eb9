//! Merges registrations into subscriptions with their dispatch tables, and finds everything that is wrong
//! with them.

use std::{
    any::TypeId,
    collections::{BTreeMap, BTreeSet, HashMap, btree_map, hash_map},
    sync::Arc,
    time::Duration,
};

use super::{
    names::{self, Names},
    sources,
};
use crate::{
    Location, Problem,
    handler::{Destination, Handler, Handlers, Ordering, Requirements, Subscription},
    rename::renamed,
    server::{Served, handling::dispatch::Dispatch},
};

/// How many handlers of a subscription run at once by default.
const DEFAULT_CONCURRENCY: usize = 256;

/// The provided values by their type, each with the type's name and every place that provides it.
pub(super) type Provisions = HashMap<TypeId, (&'static str, Vec<Location>)>;

/// The groups that are served, as the attributes name them.
pub(super) struct Groups {
    pub(super) names: Vec<String>,
    pub(super) stated_at: Location,
}

/// Keeps the handlers of these groups, and reports the groups that have none.
pub(super) fn keep_groups(registered: &mut Vec<Handlers>, groups: &Groups) -> Vec<Problem> {
    let Groups { names: groups, stated_at } = groups;
    let unknown =
        |group: &&String| !registered.iter().any(|handlers| handlers.subscription.group == group.as_str());
    let problems = groups.iter().filter(unknown).map(|group| {
        let message = format!(
            "`serve_groups` names `{group}`, but no handler is in that group; is its crate linked \
             (`use handlers as _;`)?"
        );
        Problem { message, places: vec![*stated_at] }
    });
    let problems = problems.collect();
    registered.retain(|handlers| groups.iter().any(|group| group == handlers.subscription.group));
    problems
}

/// Where the groups of each topic keep their dead letters; `None` is the default topic.
pub(super) type DeadLetters = HashMap<&'static str, Vec<Option<Destination>>>;

/// Collects where the groups of each topic keep their dead letters.
pub(super) fn dead_letters(registered: &[Handlers]) -> DeadLetters {
    let mut of_groups: BTreeMap<(&str, &str), Option<Destination>> = BTreeMap::new();
    for Handlers { subscription: own, .. } in
        registered.iter().filter(|own| !own.subscription.of_dead_letters)
    {
        let stated = of_groups.entry((own.topic, own.group)).or_default();
        *stated = stated.or(own.dead_letter);
    }
    let mut of_topics = DeadLetters::new();
    for ((topic, _group), stated) in of_groups {
        of_topics.entry(topic).or_default().push(stated);
    }
    of_topics
}

/// Merges registrations into subscriptions, in the order of topic and group.
///
/// `dead_letters` covers all registrations, including those that this process does not serve: a process may
/// serve the dead letters of what another process serves.
pub(super) fn assemble(
    registered: Vec<Handlers>,
    dead_letters: &DeadLetters,
    names: Names<'_>,
    provided: &Provisions,
    drain_timeout: Duration,
    problems: &mut Vec<Problem>,
) -> Vec<Served> {
    let mut missing = MissingStates::default();
    let mut merged: BTreeMap<(&str, &str, bool), Merged> = BTreeMap::new();
    for Handlers { subscription, handlers } in registered {
        let key = (subscription.topic, subscription.group, subscription.of_dead_letters);
        let merged = match merged.entry(key) {
            btree_map::Entry::Vacant(entry) => entry.insert(Merged::new(subscription)),
            btree_map::Entry::Occupied(entry) => entry.into_mut(),
        };
        merged.options.push(subscription);
        for handler in handlers {
            missing.look(&handler, provided);
            merged.add(handler, problems);
        }
    }
    problems.extend(missing.problems(provided));
    let mut served: Vec<Served> = Vec::new();
    for merged in merged.into_values() {
        if !merged.of_dead_letters {
            served.push(merged.serve(names, drain_timeout, problems));
            continue;
        }
        // If nothing of the topic is registered, its dead letters lie in the default topic.
        let stated = dead_letters.get(merged.topic).map_or(&[None][..], Vec::as_slice);
        // Compared by their names on the cluster: several of the stated topics may be one there.
        let topics: BTreeSet<_> =
            stated.iter().filter_map(|stated| dead_letter_topic(*stated, merged.topic, names)).collect();
        if topics.is_empty() {
            problems.push(Problem {
                message: format!(
                    "`{}` keeps no dead letters (`dead_letter = none`), so there are none to handle",
                    merged.topic
                ),
                places: places(&merged.options),
            });
            continue;
        }
        let handled = merged.serve(names, drain_timeout, problems);
        // A dead letter that cannot be handled stays in its topic: there is no dead letter of a dead letter.
        let of = |topic| Served { topic, reply_topic: None, dead_letter_topic: None, ..handled.clone() };
        served.extend(topics.into_iter().map(of));
    }
    names::check(&served, problems);
    sources::check(&served, problems);
    served
}

/// The topic of the dead letters of a topic, if they are kept.
fn dead_letter_topic(stated: Option<Destination>, topic: &str, names: Names<'_>) -> Option<Arc<str>> {
    match stated {
        Some(Destination::None) => None,
        Some(Destination::Topic(stated)) => Some(renamed(names.topics, stated)),
        None => Some(renamed(names.topics, &format!("{topic}.dlq"))),
    }
}

/// The registrations of one topic and group.
struct Merged {
    topic: &'static str,
    group: &'static str,
    of_dead_letters: bool,
    options: Vec<Subscription>,
    dispatch: Dispatch,
}

impl Merged {
    fn new(first: Subscription) -> Self {
        Self {
            topic: first.topic,
            group: first.group,
            of_dead_letters: first.of_dead_letters,
            options: Vec::new(),
            dispatch: Dispatch::default(),
        }
    }

    fn add(&mut self, handler: Handler, problems: &mut Vec<Problem>) {
        let Some(name) = handler.command else {
            match &self.dispatch.fallback {
                None => self.dispatch.fallback = Some(handler),
                Some(other) => problems.push(Problem {
                    message: format!(
                        "two handlers take every record of `{}` in group `{}`; give one of them a `#[command]`",
                        self.topic, self.group
                    ),
                    places: vec![other.location, handler.location],
                }),
            }
            return;
        };
        let name = match name() {
            Ok(name) => name,
            Err(error) => {
                let places = vec![handler.location];
                return problems.push(Problem { message: error.to_string(), places });
            }
        };
        match self.dispatch.commands.entry(name) {
            hash_map::Entry::Vacant(entry) => {
                entry.insert(handler);
            }
            hash_map::Entry::Occupied(entry) => problems.push(Problem {
                message: format!(
                    "two handlers answer the command `{}` of `{}` in group `{}`; remove one, or give it a group of its own",
                    entry.key(),
                    self.topic,
                    self.group
                ),
                places: vec![entry.get().location, handler.location],
            }),
        }
    }

    /// Reports retry delays in the process that are longer than the runtime drains for: every shutdown and
    /// every rebalance would cut such a wait off.
    fn check_delays(&self, drain_timeout: Duration, problems: &mut Vec<Problem>) {
        for handler in self.dispatch.commands.values().chain(&self.dispatch.fallback) {
            if let Some(longest) = handler.retry.longest_delay()
                && longest > drain_timeout
            {
                problems.push(Problem {
                    message: format!(
                        "a retry would wait {longest:?} in the process, longer than a drain may take (`drain_timeout`, \
                         {drain_timeout:?}); give `{}` a `retry_topic`, or a smaller `max_delay`",
                        self.topic
                    ),
                    places: vec![handler.location],
                });
            }
        }
    }

    fn serve(self, names: Names<'_>, drain_timeout: Duration, problems: &mut Vec<Problem>) -> Served {
        let retry_topic =
            self.agreed("retry_topic", problems, |own| own.retry_topic, |topic| format!("\"{topic}\""));
        if retry_topic.is_none() {
            self.check_delays(drain_timeout, problems);
        } else if self.of_dead_letters {
            // The retry count of a letter's record says nothing about the letter, which would be retried for
            // ever.
            let message = format!(
                "the dead letters of `{}` have a `retry_topic`; remove it: a dead letter is retried in the process",
                self.topic
            );
            problems.push(Problem { message, places: places(&self.options) });
        }
        // An unstated dialect is the default, which the callers of that item go by, so unstated dialects must
        // agree too.
        let dialect =
            self.agreed("dialect", problems, |own| Some(own.dialect), |value| format!("\"{value}\""));
        let dialect = dialect.unwrap_or_default();
        // The same holds for the reply topic. It is derived with the agreed dialect, so that a disagreement
        // about the dialect is not reported twice.
        let effective = |own: &Subscription| Some(own.dialect(dialect).reply_topic());
        let shown =
            |topic: &Option<String>| topic.as_ref().map_or("none".to_owned(), |topic| format!("\"{topic}\""));
        let reply_topic = self.agreed("replies", problems, effective, shown).flatten();
        let dead_letter = self.agreed("dead_letter", problems, |own| own.dead_letter, shown_topic);
        let ordering = self.agreed("ordering", problems, |own| own.ordering, |value| format!("\"{value}\""));
        let concurrency = self.agreed("concurrency", problems, |own| own.concurrency, ToString::to_string);
        if concurrency == Some(0) {
            let message =
                format!("`concurrency = 0` on `{}`: no handler could ever run; set 1 or more", self.topic);
            problems.push(Problem { message, places: places(&self.options) });
        }
        let reply_topic = reply_topic.map(|topic| renamed(names.topics, &topic));
        let dead_letter_topic = dead_letter_topic(dead_letter, self.topic, names);
        Served {
            topic: renamed(names.topics, self.topic),
            group: renamed(names.groups, self.group),
            contract_topic: self.topic,
            reply_topic,
            dead_letter_topic,
            retry_topic: retry_topic.map(|topic| renamed(names.topics, topic)),
            dialect,
            of_dead_letters: self.of_dead_letters,
            ordering: ordering.unwrap_or(Ordering::Key),
            concurrency: concurrency.unwrap_or(DEFAULT_CONCURRENCY),
            dispatch: Arc::new(self.dispatch),
            locations: self.options.iter().map(|own| own.location).collect(),
        }
    }

    /// The value of an option that all the registrations that state it must agree on.
    fn agreed<T: PartialEq>(
        &self,
        option: &str,
        problems: &mut Vec<Problem>,
        stated: impl Fn(&Subscription) -> Option<T>,
        shown: impl Fn(&T) -> String,
    ) -> Option<T> {
        let stating: Vec<(T, Location)> =
            self.options.iter().filter_map(|own| Some((stated(own)?, own.location))).collect();
        if stating.iter().any(|(value, _)| *value != stating[0].0) {
            let values: Vec<String> = stating.iter().map(|(value, _)| shown(value)).collect();
            problems.push(Problem {
                message: format!(
                    "the handlers of `{}` in group `{}` do not agree on `{option}` ({}); state it once, or with the \
                     same value everywhere",
                    self.topic,
                    self.group,
                    values.join(", ")
                ),
                places: stating.iter().map(|(_, place)| *place).collect(),
            });
        }
        stating.into_iter().next().map(|(value, _)| value)
    }
}

fn shown_topic(topic: &Destination) -> String {
    match topic {
        Destination::Topic(topic) => format!("\"{topic}\""),
        Destination::None => "none".to_owned(),
    }
}

fn places(options: &[Subscription]) -> Vec<Location> {
    options.iter().map(|own| own.location).collect()
}

/// The types that handlers require and nobody provided, each with the handlers that require it.
#[derive(Default)]
struct MissingStates {
    handlers: BTreeMap<&'static str, Vec<Location>>,
}

impl MissingStates {
    fn look(&mut self, handler: &Handler, provided: &Provisions) {
        let mut requirements = Requirements::default();
        (handler.requires)(&mut requirements);
        for (id, name) in requirements.types {
            if !provided.contains_key(&id) {
                self.handlers.entry(name).or_default().push(handler.location);
            }
        }
    }

    fn problems(self, provided: &Provisions) -> impl Iterator<Item = Problem> {
        let mut names: Vec<&str> = provided.values().map(|(name, _)| *name).collect();
        names.sort_unstable();
        self.handlers.into_iter().map(move |(name, mut handlers)| {
            handlers.sort_unstable();
            handlers.dedup();
            Problem { message: nobody_provided(name, &names), places: handlers }
        })
    }
}

/// Says that a type was not provided, and what to do. `provided` are the names of the types that were.
fn nobody_provided(name: &str, provided: &[&str]) -> String {
    const ARC: &str = "alloc::sync::Arc<";
    let inner = name.strip_prefix(ARC).and_then(|inner| inner.strip_suffix('>'));
    let instead = if let Some(inner) = inner.filter(|inner| provided.contains(inner)) {
        return format!(
            "no `{name}` was provided, but a `{inner}` was: call `.provide(Arc::new(..))`, or take `State<{inner}>`, if that is \
             `Clone`"
        );
    } else if provided.contains(&&*format!("{ARC}{name}>")) {
        return format!(
            "no `{name}` was provided, but an `Arc` of it was: call `.provide_shared(..)` with that instead of `.provide(..)`"
        );
    } else if inner.is_some() {
        "call `.provide(..)` with one"
    } else {
        "call `.provide(..)` with one, or `.provide_shared(..)` with an `Arc` of it"
    };
    let list: Vec<String> = provided.iter().map(|name| format!("`{name}`")).collect();
    let list = if list.is_empty() { String::new() } else { format!("; provided were {}", list.join(", ")) };
    format!("no `{name}` was provided; {instead}{list}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_provided_is_named_with_what_comes_close_to_it() {
        let said = nobody_provided("alloc::sync::Arc<a::Db>", &["a::Db"]);
        assert!(said.contains("call `.provide(Arc::new(..))`, or take `State<a::Db>`"), "{said}");
        let said = nobody_provided("a::Db", &["alloc::sync::Arc<a::Db>"]);
        assert!(said.contains("`.provide_shared(..)` with that"), "{said}");
        let said = nobody_provided("u32", &["i64", "str"]);
        assert!(said.ends_with("with an `Arc` of it; provided were `i64`, `str`"), "{said}");
        let said = nobody_provided("alloc::sync::Arc<str>", &[]);
        assert!(said.ends_with("was provided; call `.provide(..)` with one"), "{said}");
    }
}
