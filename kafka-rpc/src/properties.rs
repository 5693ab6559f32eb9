//! The librdkafka properties that a user may pass on: which are refused, and which have secret values.

use std::{collections::BTreeMap, time::Duration};

use crate::Error;

/// The properties that the runtime's promises rest on, each with the reason or what to use instead.
const OWNED: [(&str, &str); 12] = [
    ("bootstrap.servers", "set the brokers with `Config::new` or KAFKA_BROKERS"),
    ("metadata.broker.list", "set the brokers with `Config::new` or KAFKA_BROKERS"),
    ("client.id", "use `Config::client_id` or KAFKA_CLIENT_ID"),
    ("group.id", "the group is stated in the handler's attribute, and `map_groups` renames it"),
    ("enable.auto.commit", "the runtime commits finished records, and nothing else"),
    ("enable.auto.offset.store", "the runtime commits finished records, and nothing else"),
    ("enable.idempotence", "without it a retried request can be stored twice and out of order"),
    ("acks", "with less than `all` an acknowledged record can be lost"),
    ("request.required.acks", "with less than `all` an acknowledged record can be lost"),
    (
        "delivery.report.only.error",
        "an acknowledgement that is not reported ends no call and commits no record",
    ),
    ("enable.partition.eof", "the end of a partition would be reported as an error; leave it out"),
    ("transactional.id", "the runtime does not send in transactions; leave it out"),
];

/// Aliases of properties that the runtime sets: the name that a user may use, and the runtime's.
const OTHER_NAMES: [(&str, &str); 3] = [
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("queue.buffering.max.ms", "linger.ms"),
];

/// Returns the runtime's name for a property, if `name` is an alias of it.
pub(crate) fn other_name(name: &str) -> Option<&'static str> {
    OTHER_NAMES.iter().find_map(|(other, ours)| (*other == name).then_some(*ours))
}

/// The properties that a group of the `consumer` protocol (KIP-848) does not accept.
const CLASSIC_ONLY: [&str; 3] =
    ["session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy"];

/// What a client of librdkafka is. Each warns of the other's properties in its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Consumer,
    Producer,
}

/// The properties of consumers alone, by librdkafka's `CONFIGURATION.md`.
const CONSUMERS: [&str; 26] = [
    "auto.commit.enable",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "check.crcs",
    "consume.callback.max.messages",
    "coordinator.query.interval.ms",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "group.instance.id",
    "group.protocol",
    "group.protocol.type",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "isolation.level",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "offset.store.method",
    "offset.store.path",
    "partition.assignment.strategy",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "session.timeout.ms",
];

/// The properties of producers alone.
const PRODUCERS: [&str; 21] = [
    "batch.num.messages",
    "batch.size",
    "compression.codec",
    "compression.level",
    "compression.type",
    "delivery.timeout.ms",
    "enable.gapless.guarantee",
    "linger.ms",
    "message.send.max.retries",
    "message.timeout.ms",
    "msg_order_cmp",
    "partitioner",
    "queue.buffering.backpressure.threshold",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "queuing.strategy",
    "request.timeout.ms",
    "retries",
    "sticky.partitioning.linger.ms",
    "transaction.timeout.ms",
];

/// Whether a property means something to a client of this role.
pub(crate) fn is_of(name: &str, role: Role) -> bool {
    match role {
        Role::Consumer => !PRODUCERS.contains(&name),
        Role::Producer => !CONSUMERS.contains(&name),
    }
}

/// librdkafka's default for `max.poll.interval.ms`.
const MAX_POLL_INTERVAL_MILLIS: u64 = 300_000;

/// Returns how long a consumer may go without a poll before it leaves its group. `None` if the value that is
/// set is not a number; librdkafka refuses such a value.
pub(crate) fn max_poll_interval(properties: &BTreeMap<String, String>) -> Option<Duration> {
    let set = properties.get("max.poll.interval.ms");
    let millis = set.map_or(Some(MAX_POLL_INTERVAL_MILLIS), |millis| millis.trim().parse().ok());
    millis.map(Duration::from_millis)
}

/// Returns an error for each property that a user cannot set.
pub(crate) fn mistakes(properties: &BTreeMap<String, String>) -> Vec<Error> {
    let owned = OWNED.iter().filter_map(|(name, instead)| {
        let value = properties.get(*name)?;
        Some(Error::config(*name, shown(name, value), format!("only the runtime may set it; {instead}")))
    });
    let has_brokers_decide =
        properties.get("group.protocol").is_some_and(|protocol| protocol.eq_ignore_ascii_case("consumer"));
    let classic = CLASSIC_ONLY.iter().filter(|_| has_brokers_decide).filter_map(|name| {
        let reason = "with `group.protocol=consumer` the broker decides this; remove one of the two";
        Some(Error::config(*name, properties.get(*name)?, reason))
    });
    owned.chain(classic).collect()
}

/// Returns a property's value as it may be shown: a secret is redacted.
pub(crate) fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    // Matches parts of names, so that a secret under a misspelt name is not shown either.
    const SECRET: [&str; 10] =
        ["pass", "pwd", "secret", "token", "credential", "user", "key", "pem", "jaas", "oauthbearer.config"];
    let name = name.to_ascii_lowercase();
    if SECRET.iter().any(|part| name.contains(part)) { "[redacted]" } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(properties: &[(&str, &str)]) -> BTreeMap<String, String> {
        properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_property_that_the_promises_rest_on_is_refused_and_named_with_its_value() {
        for (name, _) in OWNED {
            let [mistake] = &*mistakes(&set(&[(name, "1")])) else { panic!("`{name}` is the runtime's") };
            let said = mistake.to_string();
            assert!(said.contains(&format!("`{name}` cannot be `1`: only the runtime may set it")), "{said}");
        }
    }

    #[test]
    fn a_property_of_consumers_or_of_producers_is_given_to_no_other() {
        for (names, own, other) in [
            (&CONSUMERS[..], Role::Consumer, Role::Producer),
            (&PRODUCERS[..], Role::Producer, Role::Consumer),
        ] {
            for name in names {
                assert!(is_of(name, own) && !is_of(name, other), "{name}");
            }
        }
        // librdkafka has the second for consumers, by its name, and uses it for all.
        for name in ["security.protocol", "allow.auto.create.topics", "retry.backoff.ms"] {
            assert!(is_of(name, Role::Consumer) && is_of(name, Role::Producer), "{name}");
        }
    }

    #[test]
    fn what_only_the_classic_protocol_has_is_refused_with_the_other() {
        let mut properties = set(&[("group.protocol", "CONSUMER"), ("session.timeout.ms", "6000")]);
        let [mistake] = &*mistakes(&properties) else { panic!("the broker decides") };
        assert!(mistake.to_string().contains("session.timeout.ms` cannot be `6000"), "{mistake}");
        properties.remove("group.protocol");
        assert!(mistakes(&properties).is_empty(), "with the classic protocol it is ours");
    }

    #[test]
    fn what_librdkafka_takes_for_sensitive_is_not_shown_nor_is_a_secret_whose_name_is_misspelt() {
        for name in [
            // Marked as sensitive in librdkafka's table of properties.
            "ssl.key.location",
            "ssl.key.password",
            "ssl.key.pem",
            "ssl_key",
            "ssl.ca.pem",
            "ssl.keystore.password",
            "sasl.username",
            "sasl.password",
            "sasl.oauthbearer.config",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.client.credentials.client.secret",
            "sasl.oauthbearer.assertion.private.key.file",
            "sasl.oauthbearer.assertion.private.key.passphrase",
            "sasl.oauthbearer.assertion.private.key.pem",
            // Unknown to librdkafka.
            "sasl.passwd",
            "sasl.pwd",
            "SASL.PASSWORD",
            "sasl.jaas.config",
            "sasl.user",
        ] {
            assert_eq!(shown(name, "hunter2"), "[redacted]", "{name}");
        }
        for name in ["security.protocol", "sasl.mechanisms", "ssl.ca.location", "linger.ms", "acks"] {
            assert_eq!(shown(name, "shown"), "shown", "{name}");
        }
    }
}
