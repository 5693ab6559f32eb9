//! Both directions with the reference, `@makebelieve21213-packages/kafka-client` 1.1.3: the published NestJS
//! package whose protocol is our default, run by the programs in `tests/interop/reference`. Needs a real
//! Kafka.

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
    cluster::real_kafka,
    interop::{Program, node_project},
};

use crate::contract::{DEAD_LETTERS, EVENTS, GROUP, REPLIES, TOPIC};

/// The reference, on a cluster with the topics of the contract.
struct Reference {
    cluster: Cluster,
    folder: PathBuf,
}

impl Reference {
    /// Returns `None`, after printing why, if the tests cannot run here.
    async fn start() -> Option<Self> {
        let (cluster, folder) = (real_kafka()?, node_project("reference")?);
        for topic in [TOPIC, REPLIES, EVENTS] {
            cluster.create_topic(topic, 3).await;
        }
        Some(Self { cluster, folder })
    }

    /// Starts the reference's service, which handles the commands and events.
    async fn service(&self) -> Program {
        for topic in [TOPIC, EVENTS] {
            self.read_from_the_beginning(&self.cluster.name(GROUP), topic);
        }
        self.service_that_goes_on().await
    }

    /// Starts the reference's service in place of an earlier service, from where that one stopped.
    async fn service_that_goes_on(&self) -> Program {
        let topics = [self.cluster.name(TOPIC), self.cluster.name(EVENTS)];
        let group = self.cluster.name(GROUP);
        self.program("service.js", json!({"clientId": "its-service", "group": group, "topics": topics})).await
    }

    /// Starts the reference's caller.
    async fn caller(&self) -> Program {
        self.read_from_the_beginning(&self.cluster.name("its-caller-request-reply"), REPLIES);
        let given =
            json!({"clientId": self.cluster.name("its-caller"), "replies": self.cluster.name(REPLIES)});
        self.program("caller.js", given).await
    }

    /// Starts the reference's core as a caller.
    async fn core(&self) -> Program {
        self.read_from_the_beginning(&self.cluster.name("its-core-request-reply"), REPLIES);
        self.core_with(json!({"replies": self.cluster.name(REPLIES)})).await
    }

    /// Starts the reference's core as a reader of our dead letters.
    async fn core_for_letters(&self) -> Program {
        self.read_from_the_beginning(&self.cluster.name("its-core-letters"), DEAD_LETTERS);
        self.core_with(json!({"letters": [self.cluster.name(DEAD_LETTERS)]})).await
    }

    /// Starts the reference's core as a service whose handlers of a topic all fail, with `retries` immediate
    /// retries and with dead letters.
    async fn core_that_fails(&self, topic: &str, retries: u32) -> Program {
        let group = self.cluster.name("its-retries");
        self.read_from_the_beginning(&group, topic);
        let core = self.core_with(json!({"retry": {"maxRetries": retries, "baseDelay": 1}})).await;
        let topic = self.cluster.name(topic);
        let question = json!({"ask": "fail", "topic": topic, "group": group, "error": "not today"});
        core.ask(question).await.expect("it reads the topic");
        core
    }

    async fn core_with(&self, mut given: Value) -> Program {
        given["clientId"] = json!(self.cluster.name("its-core"));
        self.program("core.js", given).await
    }

    async fn program(&self, program: &str, mut given: Value) -> Program {
        given["brokers"] = self.cluster.brokers().split(',').collect();
        Program::node(&self.folder, program, &given).await
    }

    /// Makes a group of the package start at the beginning of a topic. The package subscribes from the end,
    /// so its groups would miss what is sent before their first fetch, and nothing reports that fetch.
    fn read_from_the_beginning(&self, group: &str, topic: &str) {
        self.cluster.commit_beginning(group, &self.cluster.name(topic));
    }
}
