//! Copies what the runtime of a service logs into its ledger: assignments that come and go, and records that
//! expire.
//!
//! Events are observed on the threads that emit them. So an assignment is in the ledger before its first
//! record is taken, and an expired record before its offset can be committed.

use std::{fmt, sync::Arc};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{EnvFilter, Layer, filter::LevelFilter, layer::Context, prelude::*};

use super::ledger::{Moment, Place, ServiceEntry, Writer};

/// Sends the runtime's events to the ledger, and to stderr the events that `RUST_LOG` selects: by default
/// `info` and above.
pub(super) fn install(ledger: Option<Arc<Writer>>) {
    let shown = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| EnvFilter::new("info"));
    let noted = ledger.map(|ledger| Observer(ledger).with_filter(LevelFilter::DEBUG));
    tracing_subscriber::registry()
        .with(noted)
        .with(
            tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_filter(shown),
        )
        .init();
}

struct Observer(Arc<Writer>);

impl<S: Subscriber> Layer<S> for Observer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if !event.metadata().target().starts_with("kafka_rpc::server") {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Some(entry) = fields.entry(Moment::now())
            && let Err(error) = self.0.append(&entry)
        {
            // Without this entry the rest of the run could not be judged.
            tracing::error!(%error, "the ledger cannot be written");
            std::process::abort();
        }
    }
}

/// The fields of an event that the ledger needs.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    partitions: Vec<i32>,
    place: Place,
    lost: bool,
}

impl Fields {
    fn entry(self, at: Moment) -> Option<ServiceEntry> {
        let Self { message, partitions, place, lost } = self;
        match message.as_str() {
            "assigned" => Some(ServiceEntry::Assigned { at, partitions }),
            "revoked" => Some(ServiceEntry::Revoked { at, partitions, lost }),
            "expired" | "a reply expired before it could be delivered" => {
                Some(ServiceEntry::Expired { at, place })
            }
            message if message.starts_with("the last commit failed") => {
                Some(ServiceEntry::NotCommitted { at, partitions })
            }
            _ => None,
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            // A list of numbers looks the same in Rust's debug output and in JSON.
            "partitions" => self.partitions = serde_json::from_str(&format!("{value:?}")).unwrap_or_default(),
            _ => {}
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        match field.name() {
            "partition" => self.place.partition = i32::try_from(value).unwrap_or(-1),
            "offset" => self.place.offset = value,
            _ => {}
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "lost" {
            self.lost = value;
        }
    }
}
