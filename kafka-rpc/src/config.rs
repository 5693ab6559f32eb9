//! The settings of a runtime.

use std::{collections::BTreeMap, env, fmt, time::Duration};

use crate::{Error, Tuning, properties};

/// What a call does while [`max_calls_in_flight`](Config::max_calls_in_flight) calls already wait for
/// replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// The call ends at once with [`Overloaded`](crate::CallError::Overloaded). The default.
    #[default]
    Refuse,
    /// The call waits for a place, within its timeout.
    Wait,
}

/// The settings of a [`Runtime`](crate::Runtime): which cluster it uses, and the bounds of this process.
///
/// ```
/// use std::time::Duration;
/// use kafka_rpc::Config;
///
/// let config = Config::new("kafka-1:9092,kafka-2:9092")
///     .client_id("dashboard-service")
///     .call_timeout(Duration::from_secs(5))
///     .property("security.protocol", "ssl");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    pub(crate) brokers: String,
    pub(crate) client_id: String,
    pub(crate) connection_timeout: Duration,
    pub(crate) call_timeout: Duration,
    pub(crate) drain_timeout: Duration,
    pub(crate) clock_skew: Duration,
    pub(crate) max_uncommitted: usize,
    pub(crate) max_buffered_bytes: usize,
    pub(crate) max_calls_in_flight: usize,
    pub(crate) max_headers: usize,
    pub(crate) max_header_bytes: usize,
    pub(crate) max_value_bytes: usize,
    pub(crate) slow_handler: Duration,
    pub(crate) when_full: WhenFull,
    pub(crate) create_topics: bool,
    pub(crate) tuning: Tuning,
    pub(crate) properties: BTreeMap<String, String>,
}

/// How long the last commit may take after the drain. The consumer does not poll meanwhile, and the next
/// owner of the partitions waits for it.
pub(crate) const LAST_COMMIT_WITHIN: Duration = Duration::from_secs(3);

/// The default timeout of a call.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(30);

impl Config {
    /// Creates the settings for a cluster, with everything else at its default. `brokers` is a list
    /// `host:port,host:port`. Settings that cannot work are an error at `build()`.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            client_id: "kafka-rpc".to_owned(),
            connection_timeout: Duration::from_secs(10),
            call_timeout: CALL_TIMEOUT,
            drain_timeout: Duration::from_secs(20),
            clock_skew: Duration::from_secs(1),
            max_uncommitted: 10_000,
            max_buffered_bytes: 64 << 20,
            max_calls_in_flight: 65_536,
            max_headers: 256,
            max_header_bytes: 64 << 10,
            max_value_bytes: 16 << 20,
            slow_handler: Duration::from_mins(1),
            when_full: WhenFull::default(),
            create_topics: false,
            tuning: Tuning::default(),
            properties: BTreeMap::new(),
        }
    }

    /// Reads the settings from the environment:
    ///
    /// | variable | setting |
    /// | --- | --- |
    /// | `KAFKA_BROKERS` | the brokers, `host:port,host:port`; required |
    /// | `KAFKA_CLIENT_ID` | [`client_id`](Self::client_id) |
    /// | `KAFKA_CREATE_TOPICS` | [`create_topics`](Self::create_topics), `true` or `false` |
    ///
    /// Returns an error if `KAFKA_BROKERS` is missing, or if a value cannot work.
    pub fn from_env() -> Result<Self, Error> {
        Self::from_variables(|name| env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let Some(brokers) = variable("KAFKA_BROKERS") else {
            return Err(Error::missing("KAFKA_BROKERS", "set it to a list `host:port,host:port`"));
        };
        let mut config = Self::new(brokers);
        if let Some(client_id) = variable("KAFKA_CLIENT_ID") {
            config.client_id = client_id;
        }
        if let Some(create) = variable("KAFKA_CREATE_TOPICS") {
            config.create_topics = create.parse().map_err(|_not_a_bool| {
                Error::config("KAFKA_CREATE_TOPICS", &create, "it must be `true` or `false`")
            })?;
        }
        match config.mistakes().into_iter().next() {
            None => Ok(config),
            Some(mistake) => Err(mistake),
        }
    }

    /// Sets the name of this process in the brokers' logs and quotas: by default `kafka-rpc`.
    #[must_use]
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = client_id.into();
        self
    }

    /// Sets how long `start()` waits for a broker to answer: by default 10 s.
    #[must_use]
    pub fn connection_timeout(mut self, timeout: Duration) -> Self {
        self.connection_timeout = timeout;
        self
    }

    /// Sets how long a call waits for its reply, unless the call has a timeout of its own: by default 30 s.
    #[must_use]
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// Sets how long running handlers may take to finish at shutdown and when partitions move: by default
    /// 20 s.
    ///
    /// Together with the three seconds for the last commit, the drain timeout must be less than the
    /// consumer's `max.poll.interval.ms`, which is 5 minutes unless you set that
    /// [`property`](Self::property): a consumer does not poll while it drains, and would drop out of its
    /// group in the middle of the drain.
    #[must_use]
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Sets by how much a deadline may have passed on this host's clock before its record is dropped: by
    /// default 1 s.
    #[must_use]
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.clock_skew = skew;
        self
    }

    /// Sets how many records of a partition may lie behind the first unfinished one before the partition
    /// pauses: by default 10,000. If a process dies, at most that many records are redelivered, plus those
    /// that finished since the last commit (150 ms, and the time that a commit takes).
    #[must_use]
    pub fn max_uncommitted(mut self, records: usize) -> Self {
        self.max_uncommitted = records;
        self
    }

    /// Sets how many bytes of a partition's records may wait in memory before the partition pauses: by
    /// default 64 MiB. Small records are stored together, so one waiting record may keep up to about 30 KiB
    /// of finished ones in memory.
    #[must_use]
    pub fn max_buffered_bytes(mut self, bytes: usize) -> Self {
        self.max_buffered_bytes = bytes;
        self
    }

    /// Sets how many calls may wait for a reply at once: by default 65,536. One more is refused with
    /// [`Overloaded`](crate::CallError::Overloaded), unless [`when_full`](Self::when_full) lets it wait.
    #[must_use]
    pub fn max_calls_in_flight(mut self, calls: usize) -> Self {
        self.max_calls_in_flight = calls;
        self
    }

    /// Sets what a call does while `max_calls_in_flight` calls already wait: by default it is refused.
    #[must_use]
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// Sets how many headers a record may have before it is refused unread: by default 256.
    #[must_use]
    pub fn max_headers(mut self, headers: usize) -> Self {
        self.max_headers = headers;
        self
    }

    /// Sets how many bytes of headers a record may have before it is refused unread: by default 64 KiB.
    #[must_use]
    pub fn max_header_bytes(mut self, bytes: usize) -> Self {
        self.max_header_bytes = bytes;
        self
    }

    /// Sets how many bytes of value a record may have before it is refused unread: by default 16 MiB.
    #[must_use]
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = bytes;
        self
    }

    /// Sets after how long a running handler is reported by name: by default a minute. The report may come up
    /// to half a second later, and comes again whenever the handler has run for twice as long.
    #[must_use]
    pub fn slow_handler(mut self, after: Duration) -> Self {
        self.slow_handler = after;
        self
    }

    /// Creates the missing topics of what is served, if this client may create them, with 3 partitions (1 for
    /// dead letters that are not handled here) and the cluster's default replication. By default `false`.
    ///
    /// A topic of commands, or of dead letters that are handled here, that is still missing is an error at
    /// `start()`. A missing topic of replies, retries or other dead letters is a warning.
    #[must_use]
    pub fn create_topics(mut self, create: bool) -> Self {
        self.create_topics = create;
        self
    }

    /// Sets how the producer trades latency against throughput: by default [`Tuning::Latency`].
    #[must_use]
    pub fn tuning(mut self, tuning: Tuning) -> Self {
        self.tuning = tuning;
        self
    }

    /// Passes any property on to librdkafka, overriding the runtime's choice. A property that the runtime's
    /// promises rest on is an error at `build()`, and so is one that librdkafka does not know, or whose value
    /// it does not accept. Mistakes that librdkafka finds only when it creates a client, such as two
    /// properties that conflict, are an error at `start()`.
    #[must_use]
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }
}

/// Redacts secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let properties: BTreeMap<&str, &str> =
            self.properties.iter().map(|(name, value)| (&**name, properties::shown(name, value))).collect();
        f.debug_struct("Config")
            .field("brokers", &self.brokers)
            .field("client_id", &self.client_id)
            .field("connection_timeout", &self.connection_timeout)
            .field("call_timeout", &self.call_timeout)
            .field("drain_timeout", &self.drain_timeout)
            .field("clock_skew", &self.clock_skew)
            .field("max_uncommitted", &self.max_uncommitted)
            .field("max_buffered_bytes", &self.max_buffered_bytes)
            .field("max_calls_in_flight", &self.max_calls_in_flight)
            .field("max_headers", &self.max_headers)
            .field("max_header_bytes", &self.max_header_bytes)
            .field("max_value_bytes", &self.max_value_bytes)
            .field("slow_handler", &self.slow_handler)
            .field("when_full", &self.when_full)
            .field("create_topics", &self.create_topics)
            .field("tuning", &self.tuning)
            .field("properties", &properties)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Config, Error> {
        Config::from_variables(|name| {
            variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_is_read_and_what_is_missing_or_wrong_is_named() {
        let config =
            from(&[("KAFKA_BROKERS", "a:1,b:2"), ("KAFKA_CLIENT_ID", "me"), ("KAFKA_CREATE_TOPICS", "true")])
                .expect("a whole environment");
        assert_eq!(config, Config::new("a:1,b:2").client_id("me").create_topics(true));
        for (variables, named) in [
            (&[][..], "`KAFKA_BROKERS` is not set"),
            (
                &[("KAFKA_BROKERS", "a:1"), ("KAFKA_CREATE_TOPICS", "perhaps")],
                "KAFKA_CREATE_TOPICS` cannot be `perhaps",
            ),
            (&[("KAFKA_BROKERS", " , ")], "brokers"),
            (&[("KAFKA_BROKERS", "a:port")], "a:port"),
        ] {
            let error = from(variables).expect_err("a wrong environment").to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn debug_redacts_secrets() {
        let config =
            Config::new("a:1").property("sasl.password", "hunter2").property("ssl.key.password", "hunter2");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
