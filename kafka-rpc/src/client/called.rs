//! The topics that are called, and the counting of the calls to them.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, RwLock},
};

use super::turnstile::Turnstile;
use crate::{
    CallError,
    rename::{Rename, renamed},
    telemetry::CallMetrics,
    unpoisoned::Unpoisoned as _,
};

/// A topic that is called, or that is answered on.
pub(super) struct CalledTopic {
    /// As the cluster has it.
    pub(super) name: Arc<str>,
    /// Found with the first call: of a topic that only brings answers there is nothing to count.
    metrics: OnceLock<CallMetrics>,
    pub(super) turnstile: Arc<Turnstile>,
}

impl CalledTopic {
    fn metrics(&self) -> &CallMetrics {
        self.metrics.get_or_init(|| CallMetrics::new(&self.name))
    }
}

/// The topics that are called, each looked up once.
pub(crate) struct TopicNames {
    rename: Option<Rename>,
    known: RwLock<HashMap<String, Arc<CalledTopic>>>,
}

impl TopicNames {
    pub(crate) fn new(rename: Option<Rename>) -> Self {
        Self { rename, known: RwLock::default() }
    }

    pub(super) fn called(&self, contract: &str) -> Arc<CalledTopic> {
        if let Some(known) = self.known.read().unpoisoned().get(contract) {
            return Arc::clone(known);
        }
        let name = renamed(self.rename.as_ref(), contract);
        let topic = Arc::new(CalledTopic { name, metrics: OnceLock::new(), turnstile: Turnstile::new() });
        let mut known = self.known.write().unpoisoned();
        Arc::clone(known.entry(contract.to_owned()).or_insert(topic))
    }
}

/// A call that is counted however it ends, even when its caller drops it.
pub(super) struct Counted<'a> {
    topic: &'a CalledTopic,
    has_ended: bool,
}

impl<'a> Counted<'a> {
    pub(super) fn new(topic: &'a CalledTopic) -> Self {
        Self { topic, has_ended: false }
    }

    pub(super) fn ended<T>(mut self, result: Result<T, CallError>) -> Result<T, CallError> {
        self.has_ended = true;
        self.topic.metrics().ended(&result);
        result
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.topic.metrics().dropped();
        }
    }
}
