//! The topics that are called, and the counting of the calls to them.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use super::turnstile::Turnstile;
use crate::{
    CallError,
    rename::{Rename, renamed},
    telemetry::CallMetrics,
    unpoisoned::Unpoisoned as _,
};

/// A topic that is called.
pub(super) struct CalledTopic {
    /// As the cluster has it.
    pub(super) name: Arc<str>,
    metrics: CallMetrics,
    pub(super) turnstile: Arc<Turnstile>,
}

/// What the cluster calls topics, and the topics that are called, each looked up once.
pub(crate) struct CalledTopics {
    rename: Option<Rename>,
    names: RwLock<HashMap<String, Arc<str>>>,
    called: RwLock<HashMap<String, Arc<CalledTopic>>>,
}

impl CalledTopics {
    pub(crate) fn new(rename: Option<Rename>) -> Self {
        Self { rename, names: RwLock::default(), called: RwLock::default() }
    }

    /// What the cluster calls a topic of a contract.
    pub(super) fn renamed(&self, contract: &str) -> Arc<str> {
        known_or_made(&self.names, contract, || renamed(self.rename.as_ref(), contract))
    }

    /// A topic of a contract that is called.
    pub(super) fn called(&self, contract: &str) -> Arc<CalledTopic> {
        known_or_made(&self.called, contract, || {
            let name = self.renamed(contract);
            let (metrics, turnstile) = (CallMetrics::new(&name), Turnstile::new());
            Arc::new(CalledTopic { name, metrics, turnstile })
        })
    }
}

fn known_or_made<T: ?Sized>(
    known: &RwLock<HashMap<String, Arc<T>>>,
    contract: &str,
    make: impl FnOnce() -> Arc<T>,
) -> Arc<T> {
    if let Some(known) = known.read().unpoisoned().get(contract) {
        return Arc::clone(known);
    }
    // Not with the map locked: it may be a user's closure that renames.
    let new = make();
    Arc::clone(known.write().unpoisoned().entry(contract.to_owned()).or_insert(new))
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
        self.topic.metrics.ended(&result);
        result
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.topic.metrics.dropped();
        }
    }
}
