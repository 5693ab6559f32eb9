//! The topics that calls go to, and the metrics of those calls.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
};

use uuid::Uuid;

use super::turnstile::Turnstile;
use crate::{
    CallError, Progress,
    caught::caught,
    rename::{Rename, renamed},
    telemetry::CallMetrics,
    unpoisoned::Unpoisoned as _,
};

/// A topic that calls go to.
pub(super) struct CalledTopic {
    /// The cluster's name for the topic.
    pub(super) name: Arc<str>,
    metrics: CallMetrics,
    pub(super) turnstile: Arc<Turnstile>,
}

/// The cluster's names for topics, and the topics that calls go to, each looked up once.
pub(crate) struct CalledTopics {
    rename: Option<Rename>,
    names: RwLock<HashMap<String, Arc<str>>>,
    called: RwLock<HashMap<String, Arc<CalledTopic>>>,
}

impl CalledTopics {
    pub(crate) fn new(rename: Option<Rename>) -> Self {
        Self { rename, names: RwLock::default(), called: RwLock::default() }
    }

    /// Returns the cluster's name for a topic of a contract.
    pub(super) fn renamed(&self, contract: &str) -> Arc<str> {
        known_or_made(&self.names, contract, || renamed(self.rename.as_ref(), contract))
    }

    /// Returns what is kept for a topic of a contract, created at the first call.
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
    // Outside the lock: renaming may run a user's closure.
    let new = make();
    Arc::clone(known.write().unpoisoned().entry(contract.to_owned()).or_insert(new))
}

/// Counts a call however it ends, even if its caller drops it.
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

/// Logs a call that ended without a reply although its request may be on its way, so that the request can be
/// found at the other side.
pub(super) fn log_unanswered(topic: &str, id: Uuid, error: &CallError) {
    let Some(progress) = error.progress().filter(|progress| *progress != Progress::NotSent) else { return };
    // Logging may panic, and the caller must have its error.
    caught("logging a call", || {
        tracing::debug!(
            topic, correlation_id = %id, %progress, "a call ended without a reply"
        );
    });
}
