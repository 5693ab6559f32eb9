//! The sides that are compared.

use anyhow::Context as _;
use kafka_rpc::Tuning;

use crate::{args::SideName, contract::Order, framework::Framework, kafka::Topology, raw::Raw};

/// The operation that a side repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// A command, complete when its reply arrives.
    Call,
    /// An event, complete when the broker has it. Nobody consumes it.
    Event,
}

/// A running caller and service.
#[derive(Debug)]
pub(crate) struct Side {
    name: SideName,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Raw(Raw),
    Framework(Framework),
}

impl Side {
    /// Starts caller and service on topics of their own, and waits for a first reply.
    pub(crate) async fn start(name: SideName, topology: &Topology<'_>) -> anyhow::Result<Self> {
        let kind = match name {
            SideName::Raw => Kind::Raw(Raw::start(topology, false).await?),
            SideName::RawSticky => Kind::Raw(Raw::start(topology, true).await?),
            SideName::Framework => Kind::framework(Tuning::Latency, topology).await?,
            SideName::Throughput => Kind::framework(Tuning::Throughput, topology).await?,
            SideName::NearBroker => Kind::framework(Tuning::NearBroker, topology).await?,
        };
        let side = Self { name, kind };
        let first =
            side.act(Act::Call, Order { number: 0, account: String::new(), note: String::new() }).await;
        first.with_context(|| format!("the first call of {}", name.label()))?;
        Ok(side)
    }

    pub(crate) fn name(&self) -> SideName {
        self.name
    }

    /// Performs one operation. Returns the reply of a call.
    pub(crate) async fn act(&self, act: Act, order: Order) -> anyhow::Result<Option<Order>> {
        match (&self.kind, act) {
            (Kind::Raw(raw), Act::Call) => raw.place(&order).await.map(Some),
            (Kind::Raw(raw), Act::Event) => raw.placed(&order).await.map(|()| None),
            (Kind::Framework(framework), Act::Call) => framework.place(order).await.map(Some),
            (Kind::Framework(framework), Act::Event) => framework.placed(order).await.map(|()| None),
        }
    }

    /// Stops the caller and the service.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        match self.kind {
            Kind::Raw(raw) => raw.stop().await,
            Kind::Framework(framework) => framework.stop().await,
        }
    }
}

impl Kind {
    async fn framework(tuning: Tuning, topology: &Topology<'_>) -> anyhow::Result<Self> {
        Ok(Self::Framework(Framework::start(topology, tuning).await?))
    }
}
