//! The plainest correct request-reply over librdkafka that a careful person would write by hand, on the same
//! properties and the same wire format as the framework.
//!
//! - [`wire`]: the records
//! - [`properties`]: the properties of librdkafka
//! - [`caller`]: sends requests and reads replies
//! - [`service`]: reads requests, and sends replies before it commits
//! - [`offsets`]: the offsets that may be committed
//! - [`events`]: reads events and stores their offsets
//! - [`sticky`]: the partition that records go to at the moment

mod caller;
pub(crate) mod events;
mod offsets;
pub(crate) mod properties;
pub(crate) mod service;
mod sticky;
pub(crate) mod wire;

use std::sync::Arc;

use ::tests::Cluster;

use self::{caller::Caller, service::Service, sticky::Sticky};
use crate::{
    contract::{COMMANDS, GROUP, Order},
    kafka::{Topology, delete_topics},
};

/// A caller and a service, which share a producer, as in the framework.
#[derive(Debug)]
pub(crate) struct Raw {
    caller: Caller,
    service: Service,
    cluster: Cluster,
}

impl Raw {
    pub(crate) async fn start(topology: &Topology<'_>, sticky: bool) -> anyhow::Result<Self> {
        let cluster = topology.with_topics().await;
        let producer = Arc::new(properties::producer(&cluster).create()?);
        let sticky = sticky.then(|| Sticky::new(i32::from(topology.partitions)));
        let (topic, group) = (cluster.name(COMMANDS), cluster.name(GROUP));
        let service = Service::start(&cluster, &topic, &group, Arc::clone(&producer), sticky)?;
        let caller = Caller::start(&cluster, topology.partitions, producer, sticky).await?;
        Ok(Self { caller, service, cluster })
    }

    pub(crate) async fn place(&self, order: &Order) -> anyhow::Result<Order> {
        self.caller.place(order).await
    }

    pub(crate) async fn placed(&self, order: &Order) -> anyhow::Result<()> {
        self.caller.placed(order).await
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.service.stop().await?;
        self.caller.stop().await?;
        delete_topics(&self.cluster).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        contract::{BenchClient as _, COMMANDS, Payload, REPLIES},
        framework::served,
    };

    async fn cluster() -> Cluster {
        let cluster = Cluster::embedded();
        for topic in [COMMANDS, REPLIES] {
            cluster.create_topic(topic, 3).await;
        }
        cluster
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_framework_answers_the_plain_caller() {
        let cluster = cluster().await;
        let runtime = served(cluster.runtime(cluster.config())).build().expect("a runtime");
        let running = runtime.start().await.expect("a start");
        let producer = Arc::new(properties::producer(&cluster).create().expect("a producer"));
        let caller = Caller::start(&cluster, 3, producer, None).await.expect("a caller");
        let order = Payload::Of(256).order(7);
        assert_eq!(caller.place(&order).await.expect("an answer"), order);
        caller.stop().await.expect("an end");
        running.shutdown().await.expect("a shutdown");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_plain_service_answers_the_framework_and_commits() {
        let cluster = cluster().await;
        let producer = Arc::new(properties::producer(&cluster).create().expect("a producer"));
        let (topic, group) = (cluster.name(COMMANDS), cluster.name(GROUP));
        let service = Service::start(&cluster, &topic, &group, producer, None).expect("a service");
        let runtime = cluster.runtime(cluster.config()).build().expect("a runtime");
        let running = runtime.start().await.expect("a start");
        let order = Payload::Of(256).order(7);
        assert_eq!(running.client().place(order.clone()).await.expect("an answer"), order);
        running.shutdown().await.expect("a shutdown");
        service.stop().await.expect("an end");
        assert_eq!(cluster.committed_sum(GROUP, COMMANDS, 3), 1);
    }
}
