//! The embedded broker: a Kafka in the process, for tests.

use std::fmt;

use rdkafka::{
    ClientConfig,
    bindings::{rd_kafka_handle_mock_cluster, rd_kafka_mock_group_initial_rebalance_delay_ms},
    producer::{BaseProducer, Producer as _},
};

use crate::{Config, Error};

/// librdkafka's mock cluster: the wire protocol of real brokers, in the process, started in milliseconds.
///
/// The mock cluster supports groups, headers and transactions. It keeps 5 MB of each partition, supports no
/// admin requests, and does not deduplicate. Topics are created on first use, with 4 partitions.
///
/// Bind the broker to a variable: the cluster ends when the broker is dropped.
///
/// ```no_run
/// # use kafka_rpc::{Runtime, testing::EmbeddedBroker};
/// # async fn test() -> Result<(), kafka_rpc::Error> {
/// let broker = EmbeddedBroker::start()?;
/// let running = Runtime::builder().config(broker.config()).build()?.start().await?;
/// let client = running.client();
/// # Ok(())
/// # }
/// ```
#[must_use = "the cluster ends when this is dropped"]
pub struct EmbeddedBroker {
    /// The mock cluster lives in the client that created it.
    host: BaseProducer,
    brokers: String,
}

impl EmbeddedBroker {
    /// Starts a cluster of one broker. Returns an error if librdkafka cannot create it, such as for want of
    /// ports.
    pub fn start() -> Result<Self, Error> {
        Self::with_brokers(1)
    }

    /// Starts a cluster of `count` brokers. Returns an error if librdkafka cannot create it, such as for want
    /// of ports.
    pub fn with_brokers(count: u8) -> Result<Self, Error> {
        let failed =
            |reason: String| Error::Kafka { action: "starting the embedded broker".to_owned(), reason };
        let host: BaseProducer = ClientConfig::new()
            .set("test.mock.num.brokers", count.to_string())
            // Errors only: librdkafka would log that the bootstrap list is replaced, which is the point.
            .set("log_level", "3")
            .create()
            .map_err(|error| failed(error.to_string()))?;
        join_at_once(&host);
        let brokers = host
            .client()
            .mock_cluster()
            .map(|cluster| cluster.bootstrap_servers())
            .ok_or_else(|| failed("librdkafka created no mock cluster".to_owned()))?;
        Ok(Self { host, brokers })
    }

    /// The bootstrap list, for other Kafka clients.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// The settings of a runtime on this cluster: a session timeout of 2 s, and fetches that do not wait. Use
    /// them with no other cluster.
    pub fn config(&self) -> Config {
        Config::new(&self.brokers)
            // The mock cluster holds an empty fetch for the whole wait, whatever arrives meanwhile. Never set
            // this for a real broker: it would keep the broker busy.
            .property("fetch.wait.max.ms", "1")
            // At each rebalance after the first, the mock cluster waits a second less than this for the
            // members of the group: 44 s by default.
            .property("session.timeout.ms", "2000")
            .property("heartbeat.interval.ms", "200")
    }

    /// Creates a topic with this number of partitions, for tests that depend on the number. Returns an error
    /// if the topic exists already.
    pub fn create_topic(&self, topic: &str, partitions: u16) -> Result<(), Error> {
        let made = self
            .host
            .client()
            .mock_cluster()
            .map_or(Ok(()), |cluster| cluster.create_topic(topic, i32::from(partitions), 1));
        made.map_err(|error| Error::Kafka {
            action: format!("creating the topic `{topic}`"),
            reason: error.to_string(),
        })
    }
}

impl fmt::Debug for EmbeddedBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedBroker").field("brokers", &self.brokers).finish_non_exhaustive()
    }
}

/// Lets a group's first member join at once: by default the mock cluster has it wait 3 s for others.
/// rust-rdkafka has no name for the setting.
fn join_at_once(host: &BaseProducer) {
    #[expect(unsafe_code, reason = "the one setting of the mock cluster that rust-rdkafka does not wrap")]
    // SAFETY: the pointers belong to `host`, which outlives the calls; librdkafka returns null for a client
    // that has no mock cluster, which is checked, and locks the cluster for the write.
    unsafe {
        let cluster = rd_kafka_handle_mock_cluster(host.client().native_ptr());
        if !cluster.is_null() {
            rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0);
        }
    }
}
