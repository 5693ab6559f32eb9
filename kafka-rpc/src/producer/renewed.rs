//! A producer of librdkafka's that is made anew once it has met a fatal error: after that it takes nothing any more, and
//! ends what it has with errors.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    metadata::MetadataTopic,
    producer::{BaseRecord, Producer as _},
};

use super::{
    distance::Purpose,
    events::{Events, InFlight},
    handle::Handle,
};
use crate::{Error, telemetry};

/// For how long one that has met a fatal error may still hear of what is on its way.
const HEARS_FOR: Duration = Duration::from_secs(10);

/// A record on its way into librdkafka.
type Record<'a> = BaseRecord<'a, [u8], [u8], Box<InFlight>>;

/// A producer, whichever it is now.
pub(super) struct Renewed {
    purpose: Purpose,
    properties: ClientConfig,
    events: Arc<Events>,
    current: RwLock<Arc<Handle>>,
    runtime: tokio::runtime::Handle,
}

impl Renewed {
    pub(super) fn make(
        purpose: Purpose,
        properties: ClientConfig,
        events: &Arc<Events>,
        runtime: &tokio::runtime::Handle,
    ) -> Result<Self, Error> {
        let current = RwLock::new(Arc::new(Handle::create(purpose, &properties, events)?));
        Ok(Self { purpose, properties, events: Arc::clone(events), current, runtime: runtime.clone() })
    }

    /// The producer as it is now.
    pub(super) fn handle(&self) -> Arc<Handle> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The partitions of a topic with their leaders, asked of the cluster; none if there is no such topic. Blocks.
    pub(super) fn ask_partitions(&self, topic: &str, within: Duration) -> KafkaResult<Vec<(i32, i32)>> {
        let metadata = self.handle().client().fetch_metadata(Some(topic), within)?;
        let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
        Ok(partitions.map(|partition| (partition.id(), partition.leader())).collect())
    }

    /// Gives a record to librdkafka, or gives it back with the reason.
    #[expect(clippy::result_large_err, reason = "this is how rdkafka gives it back")]
    pub(super) fn send<'a>(&self, record: Record<'a>) -> Result<(), (KafkaError, Record<'a>)> {
        let handle = self.handle();
        match handle.send(record) {
            Err((error, record)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) => {
                match self.replace(&handle) {
                    Ok(()) => self.handle().send(record),
                    Err(made) => {
                        tracing::error!(
                            purpose = %self.purpose, error = %made,
                            "a producer met a fatal error, and none could be made anew"
                        );
                        Err((error, record))
                    }
                }
            }
            sent => sent,
        }
    }

    /// Makes a producer in place of one that has met a fatal error.
    fn replace(&self, fatal: &Arc<Handle>) -> Result<(), Error> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // Many may meet the error at once; the first replaces it.
        if !Arc::ptr_eq(&current, fatal) {
            return Ok(());
        }
        let new = Handle::create(self.purpose, &self.properties, &self.events)?;
        let old = std::mem::replace(&mut *current, Arc::new(new));
        drop(current);
        telemetry::producer_replaced(self.purpose.name());
        tracing::error!(
            purpose = %self.purpose, error = ?old.client().fatal_error(), "a producer met a fatal error, and was made anew"
        );
        // What is on its way may arrive: told of as lost, it would be sent twice.
        self.runtime.spawn_blocking(move || {
            if let Err(error) = old.flush(HEARS_FOR) {
                tracing::warn!(%error, "records of the old producer may have arrived all the same");
            }
        });
        Ok(())
    }
}
