//! Settings that cannot work, found without a broker.

use crate::{Config, Error, config::LAST_COMMIT_WITHIN, properties};

impl Config {
    /// Returns an error for each setting that cannot work, whatever the cluster.
    pub(crate) fn mistakes(&self) -> Vec<Error> {
        let mut mistakes = Vec::new();
        if self.brokers.split(',').all(|broker| broker.trim().is_empty()) {
            let reason = "it names no broker; give a list `host:port,host:port`";
            mistakes.push(Error::config("brokers", &self.brokers, reason));
        } else {
            mistakes.extend(self.brokers.split(',').filter_map(|broker| {
                // librdkafka accepts `ssl://host` too.
                let address = broker.trim().rsplit("://").next()?;
                let (_, port) = address.rsplit_once(':')?;
                let is_wrong = !port.ends_with(']') && port.parse::<u16>().is_err();
                let reason = format!("`{}` has no port from 0 to 65535 after its last `:`", broker.trim());
                is_wrong.then(|| Error::config("brokers", &self.brokers, reason))
            }));
        }
        let of_time = [
            ("connection_timeout", self.connection_timeout),
            ("call_timeout", self.call_timeout),
            ("drain_timeout", self.drain_timeout),
        ];
        mistakes.extend(
            of_time.into_iter().filter(|(_, value)| value.is_zero()).map(|(name, _)| {
                Error::config(name, "0s", "nothing can finish in no time; set more than zero")
            }),
        );
        let of_number = [
            ("max_uncommitted", self.max_uncommitted),
            ("max_buffered_bytes", self.max_buffered_bytes),
            ("max_calls_in_flight", self.max_calls_in_flight),
            ("max_headers", self.max_headers),
            ("max_header_bytes", self.max_header_bytes),
            ("max_value_bytes", self.max_value_bytes),
        ];
        mistakes.extend(
            of_number
                .into_iter()
                .filter(|(_, value)| *value == 0)
                .map(|(name, _)| Error::config(name, "0", "nothing could ever run; set more than zero")),
        );
        mistakes.extend(properties::mistakes(&self.properties));
        mistakes.extend(self.too_long_a_drain());
        mistakes
    }

    /// Returns an error if a drain may outlast `max.poll.interval.ms`: the thread that drains is the one that
    /// polls.
    fn too_long_a_drain(&self) -> Option<Error> {
        let interval = properties::max_poll_interval(&self.properties)?;
        let reason = format!(
            "a consumer does not poll while it drains and then commits for up to {LAST_COMMIT_WITHIN:?}, and it leaves \
             its group after `max.poll.interval.ms` ({interval:?}) without a poll; keep both together below that, or \
             raise that property"
        );
        let is_too_long = self.drain_timeout.saturating_add(LAST_COMMIT_WITHIN) >= interval;
        is_too_long.then(|| Error::config("drain_timeout", format!("{:?}", self.drain_timeout), reason))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_setting_that_cannot_work_is_named_with_its_value() {
        for (config, named) in [
            (Config::new("a:1").call_timeout(Duration::ZERO), "call_timeout` cannot be `0s"),
            (Config::new("a:1").max_uncommitted(0), "max_uncommitted` cannot be `0"),
            (Config::new("a:1").property("acks", "1"), "acks` cannot be `1"),
            (
                Config::new("a:1").drain_timeout(Duration::MAX),
                "drain_timeout` cannot be `18446744073709551615",
            ),
            (Config::new("a:1").drain_timeout(Duration::from_mins(5)), "drain_timeout` cannot be `300s"),
            (Config::new("a:1").property("max.poll.interval.ms", "20000"), "drain_timeout` cannot be `20s"),
        ] {
            let mistakes = config.mistakes();
            assert!(mistakes.len() == 1 && mistakes[0].to_string().contains(named), "{mistakes:?}");
        }
    }

    #[test]
    fn brokers_are_named_as_librdkafka_takes_them() {
        for brokers in ["a", "a:9092, b", "[::1]", "[::1]:9092", "ssl://a", "PLAINTEXT://[::1]:9092"] {
            assert_eq!(Config::new(brokers).mistakes().len(), 0, "{brokers}");
        }
        assert_eq!(Config::new("ssl://a:port").mistakes().len(), 1);
    }

    #[test]
    fn all_that_cannot_work_is_said_at_once() {
        let config = Config::new("a:port,b")
            .call_timeout(Duration::ZERO)
            .max_uncommitted(0)
            .property("acks", "1")
            .property("enable.auto.commit", "true");
        let mistakes: Vec<String> = config.mistakes().iter().map(ToString::to_string).collect();
        assert_eq!(mistakes.len(), 5, "{mistakes:?}");
    }

    #[test]
    fn a_drain_takes_less_than_its_consumer_may_go_without_a_poll() {
        let config = |drain| Config::new("a:1").drain_timeout(Duration::from_secs(drain));
        let is_right = |config: Config| config.mistakes().is_empty();
        assert!(is_right(config(296)), "less than the default of librdkafka");
        assert!(!is_right(config(297)), "and its last commit");
        assert!(is_right(config(300).property("max.poll.interval.ms", "303001")), "less than what is set");
        // librdkafka itself refuses this value of the property.
        assert!(is_right(config(300).property("max.poll.interval.ms", "soon")), "only librdkafka knows");
    }
}
