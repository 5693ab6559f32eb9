//! The Kafka to measure on.

use std::{env, fmt};

use anyhow::ensure;
use tests::{
    Cluster,
    cluster::{Brokers, Extras},
};

use crate::{contract::TOPICS, proxied::Proxy};

/// Where the brokers run.
#[derive(Debug)]
pub(crate) enum Kafka {
    /// In this process.
    Embedded,
    /// At the addresses in `KAFKA_BROKERS`.
    Given(String),
    /// Started by this run, and reached directly or through a proxy that delays.
    Own { brokers: Brokers, count: usize, proxy: Option<Proxy> },
}

/// The Kafka and topics that a side runs on.
#[derive(Debug)]
pub(crate) struct Topology<'a> {
    pub(crate) kafka: &'a Kafka,
    pub(crate) partitions: u16,
    pub(crate) round_trip_millis: u64,
}

impl Kafka {
    /// Returns the given Kafka or the embedded broker, if either was requested.
    pub(crate) fn found(embedded: bool) -> anyhow::Result<Option<Self>> {
        let given = env::var("KAFKA_BROKERS").ok();
        ensure!(!embedded || given.is_none(), "--embedded and KAFKA_BROKERS ask for two things; unset one");
        Ok(given.map(Self::Given).or(embedded.then_some(Self::Embedded)))
    }

    /// Starts `count` brokers, behind a proxy if a round trip is given, which adds that time to each round
    /// trip.
    pub(crate) fn start(count: usize, round_trip_millis: Option<u64>) -> anyhow::Result<Self> {
        let mut proxy = round_trip_millis.map(|millis| Proxy::start(count, millis / 2)).transpose()?;
        let extras = Extras {
            properties: vec![
                // Deletes old records during the run: the disk has room for this much of each partition, not
                // for all of it.
                ("log.retention.bytes", (256 << 20).to_string()),
                ("log.segment.bytes", (64 << 20).to_string()),
                ("log.retention.check.interval.ms", "5000".to_owned()),
                ("log.segment.delete.delay.ms", "1000".to_owned()),
            ],
            proxies: proxy.as_ref().map(|proxy| proxy.ports().to_vec()).unwrap_or_default(),
            ..Extras::default()
        };
        let brokers = Brokers::start_with(count, &extras)?;
        if let Some(proxy) = &mut proxy {
            proxy.forward_to(&brokers.proxied())?;
        }
        Ok(Self::Own { brokers, count, proxy })
    }

    pub(crate) fn brokers(&self) -> usize {
        match self {
            Self::Embedded | Self::Given(_) => 1,
            Self::Own { count, .. } => *count,
        }
    }

    /// Returns the proxy in front of the brokers, if there is one.
    pub(crate) fn proxy(&mut self) -> Option<&mut Proxy> {
        match self {
            Self::Own { proxy, .. } => proxy.as_mut(),
            Self::Embedded | Self::Given(_) => None,
        }
    }

    /// Returns a cluster whose topics and groups nobody else uses, reached directly or through the proxy.
    pub(crate) fn cluster(&self, through_proxy: bool) -> Cluster {
        match self {
            Self::Embedded => Cluster::embedded(),
            Self::Given(brokers) => Cluster::at(brokers),
            Self::Own { brokers, proxy, .. } => match proxy.as_ref().filter(|_| through_proxy) {
                Some(proxy) => Cluster::at(&proxy.addresses()),
                None => Cluster::at(&brokers.addresses()),
            },
        }
    }
}

impl Topology<'_> {
    /// Creates topics for a side, which nobody else uses.
    pub(crate) async fn with_topics(&self) -> Cluster {
        let cluster = self.kafka.cluster(self.round_trip_millis > 0);
        for topic in TOPICS {
            cluster.create_topic(topic, self.partitions).await;
        }
        cluster
    }
}

/// Deletes a side's topics.
pub(crate) async fn delete_topics(cluster: &Cluster) {
    for topic in TOPICS {
        cluster.delete_topic(topic).await;
    }
}

impl fmt::Display for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("the embedded broker"),
            Self::Given(brokers) => write!(f, "the Kafka at {brokers}"),
            Self::Own { count: 1, .. } => f.write_str("one broker"),
            Self::Own { count, .. } => write!(f, "{count} brokers, as many replicas"),
        }
    }
}
