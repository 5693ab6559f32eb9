//! The framework's side: a generated client and the handler that it calls.

use kafka_rpc::{Client, NoReply, RpcError, Running, RuntimeBuilder, Tuning, kafka_handler};
use tests::Cluster;

use crate::{
    contract::{Bench, BenchClient as _, BenchEventsClient as _, COMMANDS, FORGET, GROUP, Order, REPLIES},
    kafka::{Topology, delete_topics},
};

/// The service with the measured handler.
#[derive(Debug)]
struct Service;

#[kafka_handler(register = false)]
impl Bench for Service {
    async fn place(&self, order: Order) -> Result<Order, RpcError> {
        Ok(order)
    }
}

#[kafka_handler(topic = COMMANDS, group = GROUP, replies = REPLIES, client = none)]
#[command(FORGET)]
async fn forget(order: Order) -> Result<NoReply, RpcError> {
    drop(order);
    Ok(NoReply)
}

/// Adds the measured handlers and their state, without any other handler linked into this binary.
pub(crate) fn served(builder: RuntimeBuilder) -> RuntimeBuilder {
    builder
        .without_registry()
        .provide(Service)
        .handlers(<Service as Bench>::handlers())
        .handlers(forget_handlers())
}

/// A runtime that serves and calls.
#[derive(Debug)]
pub(crate) struct Framework {
    running: Running,
    client: Client,
    cluster: Cluster,
}

impl Framework {
    pub(crate) async fn start(topology: &Topology<'_>, tuning: Tuning) -> anyhow::Result<Self> {
        let cluster = topology.with_topics().await;
        let running = served(cluster.runtime(cluster.config().tuning(tuning))).build()?.start().await?;
        Ok(Self { client: running.client(), running, cluster })
    }

    /// Returns a client of the runtime.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    pub(crate) async fn place(&self, order: Order) -> anyhow::Result<Order> {
        Ok(self.client.place(order).await?)
    }

    pub(crate) async fn placed(&self, order: Order) -> anyhow::Result<()> {
        Ok(self.client.placed(order).notify().await?)
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.running.shutdown().await?;
        delete_topics(&self.cluster).await;
        Ok(())
    }
}
