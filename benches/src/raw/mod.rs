//! The plainest correct request-reply over librdkafka that a careful person would write by hand, on the same
//! properties and the same wire format as the framework.
//!
//! - [`wire`]: the records
//! - [`properties`]: what librdkafka is told
//! - [`caller`]: sends requests, and reads replies
//! - [`service`]: reads requests, and sends replies before it commits
//! - [`offsets`]: what may be committed
//! - [`sticky`]: which partition is filled just now

mod caller;
mod offsets;
pub(crate) mod properties;
pub(crate) mod service;
mod sticky;
pub(crate) mod wire;

use std::sync::Arc;

use tests::Cluster;

use self::{caller::Caller, service::Service, sticky::Sticky};
use crate::{
    contract::{COMMANDS, GROUP, Order, REPLIES},
    kafka::Topology,
};

/// A caller and a service. As in the framework they share a producer.
#[derive(Debug)]
pub(crate) struct Raw {
    caller: Caller,
    service: Service,
    _cluster: Cluster,
}

impl Raw {
    pub(crate) async fn start(topology: &Topology<'_>, sticky: bool) -> anyhow::Result<Self> {
        let cluster = topology.cluster();
        for topic in [COMMANDS, REPLIES] {
            cluster.create_topic(topic, topology.partitions).await;
        }
        let producer = Arc::new(properties::producer(&cluster).create()?);
        let sticky = sticky.then(|| Sticky::new(i32::from(topology.partitions)));
        let (commands, replies) = (cluster.name(COMMANDS), cluster.name(REPLIES));
        let service =
            Service::start(&cluster, commands.clone(), cluster.name(GROUP), Arc::clone(&producer), sticky)?;
        let caller = Caller::start(&cluster, commands, replies, topology.partitions, producer, sticky)?;
        Ok(Self { caller, service, _cluster: cluster })
    }

    pub(crate) async fn place(&self, order: &Order) -> anyhow::Result<Order> {
        self.caller.place(order).await
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.service.stop().await?;
        self.caller.stop().await
    }
}
