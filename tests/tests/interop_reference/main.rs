//! Both directions with `@makebelieve21213-packages/kafka-client` 1.1.3, the published NestJS package whose protocol this
//! is: it runs in the programs of `tests/interop/reference`. On a real Kafka only.

mod contract;
mod keys;
mod letters;
mod moving;
mod their_caller;
mod their_service;

use std::path::PathBuf;

use serde_json::{Value, json};
use tests::{
    Cluster,
    interop::{Program, node_project, real_cluster},
};
use uuid::Uuid;

use crate::contract::{EVENTS, GROUP, REPLIES, TOPIC};

/// The package, on a cluster with the topics of the contract.
struct Reference {
    cluster: Cluster,
    folder: PathBuf,
}

impl Reference {
    /// `None` where it cannot be here: then it has been said why.
    async fn start() -> Option<Self> {
        let (cluster, folder) = (real_cluster()?, node_project("reference")?);
        for topic in [TOPIC, REPLIES, EVENTS] {
            cluster.create_topic(topic, 3).await;
        }
        Some(Self { cluster, folder })
    }

    /// Its service, which handles the commands and events.
    async fn service(&self) -> Program {
        self.service_with(json!({})).await
    }

    /// Its service, in the place of one that was there before: it goes on where that one stopped.
    async fn service_that_goes_on(&self) -> Program {
        self.service_with(json!({"goesOn": true})).await
    }

    async fn service_with(&self, more: Value) -> Program {
        let topics = [self.cluster.name(TOPIC), self.cluster.name(EVENTS)];
        let group = json!({"group": self.cluster.name(GROUP), "topics": topics});
        self.program("service.js", &[group, more]).await
    }

    /// Its caller.
    async fn caller(&self) -> Program {
        self.program("caller.js", &[json!({"replies": self.cluster.name(REPLIES)})]).await
    }

    /// Its core as a caller.
    async fn core(&self) -> Program {
        self.core_with(json!({"replies": self.cluster.name(REPLIES)})).await
    }

    async fn core_with(&self, more: Value) -> Program {
        self.program("core.js", &[more]).await
    }

    async fn program(&self, program: &str, more: &[Value]) -> Program {
        let brokers: Vec<&str> = self.cluster.brokers().split(',').collect();
        let mut given = json!({"brokers": brokers, "clientId": Uuid::new_v4().to_string()});
        for more in more {
            for (name, value) in more.as_object().into_iter().flatten() {
                given[name] = value.clone();
            }
        }
        Program::node(&self.folder, program, &given).await
    }
}
