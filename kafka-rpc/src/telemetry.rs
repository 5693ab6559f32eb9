//! The metrics, through the [`metrics`] facade: install any recorder before the runtime starts.
//!
//! | metric | labels | what it counts |
//! | --- | --- | --- |
//! | `kafka_rpc_records_total` | `topic`, `group`, `outcome` | records whose outcome is final: `handled`, `replied` (also with an error), `expired`, `dead_lettered`, `discarded`, and `lost` if the broker refused even the dead letter for good |
//! | `kafka_rpc_failures_total` | `topic`, `group`, `status` | failed runs of records, whatever became of the record; a record that is retried counts once for each failed run |
//! | `kafka_rpc_retries_total` | `topic`, `group`, `through` | retries of failed records: in the `process`, or through the retry `topic` |
//! | `kafka_rpc_redelivered_total` | `topic`, `group` | records that will be redelivered after their partition was lost or given up: those from the first unfinished one on, and the offsets below it that no commit is known to cover. A process that is killed counts nothing |
//! | `kafka_rpc_handler_panics_total` | `topic`, `group` | handlers that panicked |
//! | `kafka_rpc_handler_timeouts_total` | `topic`, `group` | handlers that were stopped at their `timeout` |
//! | `kafka_rpc_handler_slow_total` | `topic`, `group` | handlers that were reported for running long, each once; `topic` is the topic that is read |
//! | `kafka_rpc_repeated_requests_total` | `topic`, `group` | requests that were answered with a stored answer (`dedupe`) |
//! | `kafka_rpc_replies_replaced_total` | `to` | replies that the broker refused for their size, and that were replaced by an error |
//! | `kafka_rpc_deliveries_refused_total` | `to` | attempts to deliver a reply, dead letter or retry to this topic that failed for now, and deliveries that were found not to be acknowledged within 15 s (not the replies that follow to the same partition; one that fails after that counts again) |
//! | `kafka_rpc_partitions_held` | `topic`, `group` | gauge: partitions that are held until a delivery works again |
//! | `kafka_rpc_partitions_paused` | `topic`, `group` | gauge: partitions that take no records, including those held |
//! | `kafka_rpc_partitions_assigned` | `topic`, `group` | gauge: partitions that this process reads; `topic` is the topic that is read |
//! | `kafka_rpc_rebalances_total` | `topic`, `group`, `kind` | times that partitions came or went: `assigned` (perhaps none), `revoked` (also at the end), and `lost` if other instances had them already; `topic` is the topic that is read |
//! | `kafka_rpc_consumers_ended_total` | `topic`, `group` | consumers that met an error after which consuming cannot continue: what they read is no longer served |
//! | `kafka_rpc_consumer_errors_total` | `topic`, `group`, `code` | errors after which a consumer continues, failed commits too; `topic` is the topic that is read, and `code` is rust-rdkafka's name for the error (`Unanswered` or `Panicked` for a commit without one): `TopicAuthorizationFailed` means that nothing is read until the right is granted. The codes that librdkafka reports only once are there from the start, at zero |
//! | `kafka_rpc_joins_refused_total` | `topic`, `group` | attempts to join a group whose members share no assignment strategy with this process, such as those of another client library; `topic` is the topic that is read |
//! | `kafka_rpc_calls_total` | `topic`, `outcome` | calls that have ended: `replied` (or acknowledged, with `notify`), `remote_error`, `deadline`, `undeliverable`, `overloaded`, `shutting_down`, `invalid` (awaited although `replies = none`; a call with a wrong payload, header or command ends earlier and is not counted), `decode`, and `dropped` by their caller |
//! | `kafka_rpc_replies_unreadable_total` | `topic` | replies whose data is not what their caller asks for: the types of the two sides differ. They also count as `replied` above |
//! | `kafka_rpc_calls_in_flight` | | gauge: calls that wait for a reply |
//! | `kafka_rpc_replies_dropped_total` | `reason` | records of reply topics that end no call: `not_waited_for` (late, repeated, or another instance's), `not_a_reply` |
//! | `kafka_rpc_reply_errors_total` | `code` | errors after which reading replies continues, with the same codes as above |
//! | `kafka_rpc_producers_made_total` | `purpose` | librdkafka producers beside the one for `single` records: for `near_batches` and `far_batches`, each created when there is a batch for it, and for records that go `alone` because brokers refuse whole batches, for their size or for one of their records |
//! | `kafka_rpc_producers_replaced_total` | `purpose` | producers that met a fatal error and were replaced |

use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::{Counter, Gauge, counter, gauge};

use crate::caught::caught;

/// Calls the user's recorder, which may panic; a panic there must not end anything of ours.
fn recorded<T>(ask: impl FnOnce() -> T) -> Option<T> {
    caught("the metrics recorder", ask)
}

/// A counter that is looked up once.
pub(crate) struct Count(Counter);

impl Count {
    fn of(find: impl FnOnce() -> Counter) -> Self {
        Self(recorded(find).unwrap_or_else(Counter::noop))
    }

    pub(crate) fn increment(&self, by: u64) {
        recorded(|| self.0.increment(by));
    }
}

/// Increments a counter that changes too seldom to be looked up once and kept.
fn count(find: impl FnOnce() -> Counter) {
    recorded(|| find().increment(1));
}

/// The counters of a subscription that change too seldom to be looked up once and kept. Each is registered at
/// the start, at zero: if a counter first appears with its first increment, nobody sees it grow.
const SELDOM: [&str; 4] = [PANICS, TIMEOUTS, REPEATED, CONSUMERS_ENDED];
/// The same, labelled with the topic that is read.
const SELDOM_OF_SOURCE: [&str; 2] = [SLOW, JOINS_REFUSED];
/// The codes of errors that librdkafka reports once, however long they last: registered at the start for the
/// same reason.
const REPORTED_ONCE: [&str; 3] =
    ["GroupAuthorizationFailed", TOPIC_AUTHORIZATION_FAILED, UNKNOWN_TOPIC_OR_PARTITION];
const TOPIC_AUTHORIZATION_FAILED: &str = "TopicAuthorizationFailed";
const UNKNOWN_TOPIC_OR_PARTITION: &str = "UnknownTopicOrPartition";
const PANICS: &str = "kafka_rpc_handler_panics_total";
const TIMEOUTS: &str = "kafka_rpc_handler_timeouts_total";
const SLOW: &str = "kafka_rpc_handler_slow_total";
const REPEATED: &str = "kafka_rpc_repeated_requests_total";
const CONSUMERS_ENDED: &str = "kafka_rpc_consumers_ended_total";
const JOINS_REFUSED: &str = "kafka_rpc_joins_refused_total";
const CONSUMER_ERRORS: &str = "kafka_rpc_consumer_errors_total";

/// The counters of a subscription, looked up once instead of for each record.
#[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "only a cluster has subscriptions"))]
pub(crate) struct SubscriptionMetrics {
    pub(crate) handled: Count,
    pub(crate) replied: Count,
    pub(crate) expired: Count,
    pub(crate) dead_lettered: Count,
    pub(crate) discarded: Count,
    pub(crate) lost: Count,
    pub(crate) retried: Count,
    pub(crate) retried_later: Count,
    pub(crate) redelivered: Count,
    pub(crate) assigns: Count,
    pub(crate) revokes: Count,
    pub(crate) losses: Count,
    pub(crate) assigned: Share,
    pub(crate) held: Share,
    pub(crate) paused: Share,
}

#[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "only a cluster has subscriptions"))]
impl SubscriptionMetrics {
    /// `source` is the topic that is read: the subscription's topic, or its retry topic.
    pub(crate) fn new(topic: &str, source: &str, group: &str) -> Self {
        let (labels, of_source) = (of_subscription(topic, group), of_subscription(source, group));
        for seldom in SELDOM {
            Count::of(|| counter!(seldom, &labels));
        }
        for seldom in SELDOM_OF_SOURCE {
            Count::of(|| counter!(seldom, &of_source));
        }
        for code in REPORTED_ONCE {
            Count::of(|| counter!(CONSUMER_ERRORS, &with(&of_source, "code", code)));
        }
        let outcome = |outcome: &'static str| {
            Count::of(|| counter!("kafka_rpc_records_total", &with(&labels, "outcome", outcome)))
        };
        let retried = |through: &'static str| {
            Count::of(|| counter!("kafka_rpc_retries_total", &with(&labels, "through", through)))
        };
        let rebalanced = |kind: &'static str| {
            Count::of(|| counter!("kafka_rpc_rebalances_total", &with(&of_source, "kind", kind)))
        };
        Self {
            handled: outcome("handled"),
            replied: outcome("replied"),
            expired: outcome("expired"),
            dead_lettered: outcome("dead_lettered"),
            discarded: outcome("discarded"),
            lost: outcome("lost"),
            retried: retried("process"),
            retried_later: retried("topic"),
            redelivered: Count::of(|| counter!("kafka_rpc_redelivered_total", &labels)),
            assigns: rebalanced("assigned"),
            revokes: rebalanced("revoked"),
            losses: rebalanced("lost"),
            assigned: Share::of(|| gauge!("kafka_rpc_partitions_assigned", &of_source)),
            held: Share::of(|| gauge!("kafka_rpc_partitions_held", &labels)),
            paused: Share::of(|| gauge!("kafka_rpc_partitions_paused", &labels)),
        }
    }
}

/// What one of several readers adds to a gauge: a topic and its retry topic are read separately, but counted
/// as one subscription. Dropping a share takes back what it added.
pub(crate) struct Share {
    gauge: Gauge,
    told: AtomicUsize,
}

impl Share {
    fn of(find: impl FnOnce() -> Gauge) -> Self {
        Self { gauge: recorded(find).unwrap_or_else(Gauge::noop), told: AtomicUsize::new(0) }
    }

    pub(crate) fn set(&self, value: usize) {
        let told = self.told.swap(value, Ordering::Relaxed);
        // A gauge is a float; 2^53 partitions or calls are more than there will be.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        let change = value as f64 - told as f64;
        recorded(|| self.gauge.increment(change));
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

fn with(
    labels: &[(&'static str, String); 2],
    name: &'static str,
    value: &str,
) -> Vec<(&'static str, String)> {
    labels.iter().cloned().chain([(name, value.to_owned())]).collect()
}

fn of_subscription(topic: &str, group: &str) -> [(&'static str, String); 2] {
    [("topic", topic.to_owned()), ("group", group.to_owned())]
}

pub(crate) fn panicked(topic: &str, group: &str) {
    count(|| counter!(PANICS, &of_subscription(topic, group)));
}

pub(crate) fn timed_out(topic: &str, group: &str) {
    count(|| counter!(TIMEOUTS, &of_subscription(topic, group)));
}

pub(crate) fn repeated(topic: &str, group: &str) {
    count(|| counter!(REPEATED, &of_subscription(topic, group)));
}

/// Metrics that need a cluster.
#[cfg(feature = "kafka")]
mod of_cluster {
    use std::fmt;

    use http::StatusCode;
    use metrics::{counter, gauge};

    use super::{
        CONSUMER_ERRORS, CONSUMERS_ENDED, Count, JOINS_REFUSED, SLOW, Share, TOPIC_AUTHORIZATION_FAILED,
        UNKNOWN_TOPIC_OR_PARTITION, count, of_subscription, with,
    };
    use crate::CallError;

    const REPLY_ERRORS: &str = "kafka_rpc_reply_errors_total";

    pub(crate) fn failed(topic: &str, group: &str, status: StatusCode) {
        let labels = with(&of_subscription(topic, group), "status", status.as_str());
        count(|| counter!("kafka_rpc_failures_total", &labels));
    }

    pub(crate) fn slow(topic: &str, group: &str) {
        count(|| counter!(SLOW, &of_subscription(topic, group)));
    }

    pub(crate) fn reply_replaced(topic: &str) {
        count(|| counter!("kafka_rpc_replies_replaced_total", "to" => topic.to_owned()));
    }

    pub(crate) fn delivery_refused(topic: &str) {
        count(|| counter!("kafka_rpc_deliveries_refused_total", "to" => topic.to_owned()));
    }

    pub(crate) fn join_refused(topic: &str, group: &str) {
        count(|| counter!(JOINS_REFUSED, &of_subscription(topic, group)));
    }

    pub(crate) fn consumer_ended(topic: &str, group: &str) {
        count(|| counter!(CONSUMERS_ENDED, &of_subscription(topic, group)));
    }

    pub(crate) fn consuming_failed(topic: &str, group: &str, code: &str) {
        let labels = with(&of_subscription(topic, group), "code", code);
        count(|| counter!(CONSUMER_ERRORS, &labels));
    }

    /// Registers the errors that librdkafka reports once, at zero, when the reading of replies starts.
    pub(crate) fn reading_replies_starts() {
        for code in [TOPIC_AUTHORIZATION_FAILED, UNKNOWN_TOPIC_OR_PARTITION] {
            Count::of(|| counter!(REPLY_ERRORS, "code" => code));
        }
    }

    pub(crate) fn reading_replies_failed(code: &str) {
        count(|| counter!(REPLY_ERRORS, "code" => code.to_owned()));
    }

    pub(crate) fn producer_made(purpose: &'static str) {
        count(|| counter!("kafka_rpc_producers_made_total", "purpose" => purpose));
    }

    pub(crate) fn producer_replaced(purpose: &'static str) {
        count(|| counter!("kafka_rpc_producers_replaced_total", "purpose" => purpose));
    }

    /// A share of the gauge of waiting calls, looked up once. A process may have several runtimes, and so
    /// several shares.
    pub(crate) struct CallsInFlight(Share);

    impl Default for CallsInFlight {
        fn default() -> Self {
            Self(Share::of(|| gauge!("kafka_rpc_calls_in_flight")))
        }
    }

    impl CallsInFlight {
        pub(crate) fn set(&self, calls: usize) {
            self.0.set(calls);
        }
    }

    impl fmt::Debug for CallsInFlight {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("CallsInFlight")
        }
    }

    pub(crate) fn reply_unreadable(topic: &str) {
        count(|| counter!("kafka_rpc_replies_unreadable_total", "topic" => topic.to_owned()));
    }

    pub(crate) fn reply_dropped(reason: &'static str) {
        count(|| counter!("kafka_rpc_replies_dropped_total", "reason" => reason));
    }

    /// The counters of the calls to a topic, looked up once instead of for each call.
    pub(crate) struct CallMetrics {
        replied: Count,
        remote_error: Count,
        deadline: Count,
        undeliverable: Count,
        overloaded: Count,
        shutting_down: Count,
        invalid: Count,
        decode: Count,
        dropped: Count,
    }

    impl CallMetrics {
        pub(crate) fn new(topic: &str) -> Self {
            let outcome = |outcome: &'static str| {
                Count::of(
                    || counter!("kafka_rpc_calls_total", "topic" => topic.to_owned(), "outcome" => outcome),
                )
            };
            Self {
                replied: outcome("replied"),
                remote_error: outcome("remote_error"),
                deadline: outcome("deadline"),
                undeliverable: outcome("undeliverable"),
                overloaded: outcome("overloaded"),
                shutting_down: outcome("shutting_down"),
                invalid: outcome("invalid"),
                decode: outcome("decode"),
                dropped: outcome("dropped"),
            }
        }

        pub(crate) fn ended<T>(&self, ended: &Result<T, CallError>) {
            let outcome = match ended {
                Ok(_) => &self.replied,
                Err(CallError::Remote(_)) => &self.remote_error,
                Err(CallError::DeadlineExceeded { .. }) => &self.deadline,
                Err(CallError::Undeliverable { .. }) => &self.undeliverable,
                Err(CallError::Overloaded { .. }) => &self.overloaded,
                Err(CallError::ShuttingDown { .. }) => &self.shutting_down,
                Err(CallError::Invalid { .. }) => &self.invalid,
                Err(CallError::Decode { .. }) => &self.decode,
            };
            outcome.increment(1);
        }

        pub(crate) fn dropped(&self) {
            self.dropped.increment(1);
        }
    }
}

#[cfg(feature = "kafka")]
pub(crate) use of_cluster::{
    CallMetrics, CallsInFlight, consumer_ended, consuming_failed, delivery_refused, failed, join_refused,
    producer_made, producer_replaced, reading_replies_failed, reading_replies_starts, reply_dropped,
    reply_replaced, reply_unreadable, slow,
};
