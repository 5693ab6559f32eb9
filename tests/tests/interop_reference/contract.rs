//! What both sides serve and call.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use http::StatusCode;
use kafka_rpc::{CorrelationId, Headers, NoReply, RpcError, Running, State, UserId, kafka_handler};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tests::{Cluster, cluster::started};

pub(crate) const TOPIC: &str = "interop-commands";
pub(crate) const REPLIES: &str = "interop-responses";
pub(crate) const DEAD_LETTERS: &str = "interop-commands.dlq";
pub(crate) const EVENTS: &str = "interop-events";
pub(crate) const GROUP: &str = "interop";

/// The commands of our service; the reference's service has the first three too.
#[kafka_handler(topic = TOPIC, group = GROUP, retry(max = 2, base = "20ms"))]
pub(crate) trait Ours {
    #[command("ECHO")]
    async fn echo(&self, value: Value) -> Result<Value, RpcError>;
    #[command("NOTHING")]
    async fn nothing(&self) -> Result<(), RpcError>;
    #[command("ABOUT")]
    async fn about(&self) -> Result<About, RpcError>;
    #[command("FAIL")]
    async fn fail(&self, failure: Failure) -> Result<(), RpcError>;
    #[command("SILENT")]
    async fn silent(&self) -> Result<NoReply, RpcError>;
}

/// The commands that only the reference's service has.
#[kafka_handler(topic = TOPIC, group = GROUP)]
pub(crate) trait Theirs {
    /// Throws an `RpcException` of the given value.
    #[command("RPC_EXCEPTION")]
    async fn rpc_exception(&self, given: Value) -> Result<(), RpcError>;
    /// Throws an `RpcException` without any of the fields.
    #[command("MISSING")]
    async fn missing(&self) -> Result<(), RpcError>;
    /// Throws an error of the given class, with the given fields.
    #[command("ERROR")]
    async fn error(&self, error: Value) -> Result<(), RpcError>;
    /// Throws a value that is not an error.
    #[command("NO_ERROR")]
    async fn no_error(&self, thrown: Value) -> Result<(), RpcError>;
    /// Does not answer until it is released.
    #[command("HOLD")]
    async fn hold(&self) -> Result<(), RpcError>;
    /// A command that the service does not have.
    #[command("UNHEARD_OF")]
    async fn unheard_of(&self) -> Result<(), RpcError>;
}

/// What a handler receives beside the payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct About {
    pub(crate) user_id: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
}

/// An error with everything that an error can carry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) status: u16,
    pub(crate) name: String,
    pub(crate) message: String,
    pub(crate) code: Option<String>,
    pub(crate) details: Option<Value>,
}

/// A handled value, and the headers of its record.
pub(crate) type Handled = (Value, BTreeMap<String, String>);

/// Our service. Clones share their notes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Service(Arc<Mutex<Vec<Handled>>>);

impl Service {
    /// Everything that the service has handled, in order, including each failed attempt, and events.
    pub(crate) fn handled(&self) -> Vec<Handled> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves commands and events on a cluster.
    pub(crate) async fn serve(&self, cluster: &Cluster) -> Running {
        let runtime = cluster.runtime(cluster.config()).provide(self.clone());
        started(runtime.handlers(<Self as Ours>::handlers()).handlers(on_event_handlers())).await
    }

    fn note(&self, value: Value, headers: &Headers) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((value, in_text(headers)));
    }
}

#[kafka_handler]
impl Ours for Service {
    async fn echo(&self, value: Value, headers: Headers) -> Result<Value, RpcError> {
        self.note(value.clone(), &headers);
        Ok(value)
    }

    async fn nothing(&self) -> Result<(), RpcError> {
        Ok(())
    }

    async fn about(
        &self,
        _: (),
        user: Option<UserId>,
        id: CorrelationId,
        headers: Headers,
    ) -> Result<About, RpcError> {
        assert_eq!(headers.get("correlation-id"), Some(&*id.0));
        Ok(About { user_id: user.map(|user| user.0), headers: in_text(&headers) })
    }

    async fn fail(&self, failure: Failure, headers: Headers) -> Result<(), RpcError> {
        self.note(serde_json::json!(failure), &headers);
        let status = StatusCode::from_u16(failure.status).unwrap_or_default();
        let mut error = RpcError::new(status, failure.name, failure.message);
        if let Some(code) = failure.code {
            error = error.with_code(code);
        }
        if let Some(details) = failure.details {
            error = error.with_details(details);
        }
        Err(error)
    }

    async fn silent(&self) -> Result<NoReply, RpcError> {
        Ok(NoReply)
    }
}

/// Handles every event, whatever it is.
#[kafka_handler(topic = EVENTS, group = GROUP, replies = none, register = false)]
pub(crate) async fn on_event(
    event: Value,
    State(service): State<Service>,
    headers: Headers,
) -> Result<(), RpcError> {
    service.note(event, &headers);
    Ok(())
}

fn in_text(headers: &Headers) -> BTreeMap<String, String> {
    let text = |(name, value): (&str, Option<&[u8]>)| {
        (name.to_owned(), value.map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default())
    };
    headers.iter().map(text).collect()
}
