//! A producer of librdkafka's that is made anew once it has met a fatal error: after that it takes nothing any more, and
//! ends what it has with errors.

use std::{
    mem,
    sync::{Arc, RwLock},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig,
    error::{
        KafkaError, KafkaResult,
        RDKafkaErrorCode::{self, InvalidTopic, LeaderNotAvailable, UnknownTopic, UnknownTopicOrPartition},
    },
    metadata::MetadataTopic,
    producer::{BaseRecord, Producer as _, PurgeConfig},
};

use super::{
    distance::Purpose,
    events::{Events, InFlight},
    polled::PolledProducer,
};
use crate::{Error, caught::caught, telemetry, unpoisoned::Unpoisoned as _};

/// For how long one that has met a fatal error may still hear of what is on its way.
const HEARS_FOR: Duration = Duration::from_secs(10);

/// How often what it would send again is ended meanwhile.
const PURGE_EVERY: Duration = Duration::from_millis(100);

/// How long a cluster may take that makes topics when asked, and answers before it has made one; and after how long it is
/// asked again.
const MADE_WITHIN: Duration = Duration::from_secs(1);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A producer that was made anew is not replaced sooner than after this: where each meets a fatal error at once, such as for
/// a right that is missing, every call would connect and log in anew.
const REPLACED_NOT_BEFORE: Duration = Duration::from_secs(1);

/// A record on its way into librdkafka.
type Record<'a> = BaseRecord<'a, [u8], [u8], Box<InFlight>>;

/// A producer, whichever it is now.
pub(super) struct RenewableProducer {
    purpose: Purpose,
    properties: ClientConfig,
    events: Arc<Events>,
    current: RwLock<Current>,
    runtime: tokio::runtime::Handle,
}

struct Current {
    handle: Arc<PolledProducer>,
    /// When it took the place of another, if it has.
    since: Option<Instant>,
}

impl RenewableProducer {
    pub(super) fn make(
        purpose: Purpose,
        properties: ClientConfig,
        events: &Arc<Events>,
        runtime: &tokio::runtime::Handle,
    ) -> Result<Self, Error> {
        let handle = Arc::new(PolledProducer::create(purpose, &properties, events)?);
        let current = RwLock::new(Current { handle, since: None });
        Ok(Self { purpose, properties, events: Arc::clone(events), current, runtime: runtime.clone() })
    }

    /// The producer as it is now.
    pub(super) fn handle(&self) -> Arc<PolledProducer> {
        Arc::clone(&self.current.read().unpoisoned().handle)
    }

    /// The partitions of a topic with their leaders, asked of the cluster; none if there is no such topic. Blocks.
    pub(super) fn ask_partitions(&self, topic: &str, within: Duration) -> KafkaResult<Vec<(i32, i32)>> {
        let metadata = self.handle().client().fetch_metadata(Some(topic), within)?;
        let error = metadata.topics().iter().find_map(MetadataTopic::error).map(RDKafkaErrorCode::from);
        match error {
            None => {
                let partitions = metadata.topics().iter().flat_map(MetadataTopic::partitions);
                Ok(partitions.map(|partition| (partition.id(), partition.leader())).collect())
            }
            Some(UnknownTopicOrPartition | UnknownTopic | InvalidTopic) => Ok(Vec::new()),
            Some(error) => Err(KafkaError::MetadataFetch(error)),
        }
    }

    /// The same, and waits for a topic that the cluster makes since it was asked for it. Says where there was none.
    pub(super) fn ask_until_made(
        &self,
        topic: &str,
        within: Duration,
        mut missing: impl FnMut(),
    ) -> KafkaResult<Vec<(i32, i32)>> {
        let until = Instant::now() + within.min(MADE_WITHIN);
        loop {
            let asked = self.ask_partitions(topic, within);
            let is_being_made = match &asked {
                Ok(found) => found.is_empty(),
                Err(error) => error.rdkafka_error_code() == Some(LeaderNotAvailable),
            };
            if is_being_made {
                missing();
            }
            if !is_being_made || Instant::now() >= until {
                return asked;
            }
            thread::sleep(ASK_AGAIN_AFTER);
        }
    }

    /// Gives a record to librdkafka, or gives it back with the reason.
    #[expect(clippy::result_large_err, reason = "this is how rdkafka gives it back")]
    pub(super) fn send<'a>(&self, record: Record<'a>) -> Result<(), (KafkaError, Record<'a>)> {
        let handle = self.handle();
        match handle.send(record) {
            Err((error, record)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) => {
                match self.replace(&handle) {
                    Ok(true) => self.handle().send(record),
                    Ok(false) => Err((error, record)),
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

    /// Makes a producer in place of one that has met a fatal error; false where it is too soon for that.
    fn replace(&self, fatal: &Arc<PolledProducer>) -> Result<bool, Error> {
        let mut current = self.current.write().unpoisoned();
        // Many may meet the error at once; the first replaces it.
        if !Arc::ptr_eq(&current.handle, fatal) {
            return Ok(true);
        }
        if current.since.is_some_and(|since| since.elapsed() < REPLACED_NOT_BEFORE) {
            return Ok(false);
        }
        let handle = Arc::new(PolledProducer::create(self.purpose, &self.properties, &self.events)?);
        let old = mem::replace(&mut *current, Current { handle, since: Some(Instant::now()) }).handle;
        drop(current);
        telemetry::producer_replaced(self.purpose.name());
        // Caught, since what is to be sent through the new one is in the caller's hands.
        caught("logging a fatal error of a producer", || {
            tracing::error!(
                purpose = %self.purpose, error = ?old.client().fatal_error(),
                "a producer met a fatal error, and was made anew"
            );
        });
        self.runtime.spawn_blocking(move || hear_out(&old));
        Ok(true)
    }
}

/// Hears of what is on its way from a producer that has met a fatal error: that may arrive, and told of as lost, it would be
/// sent twice.
///
/// What brokers refuse for now meanwhile comes back into its queue, and it sends nothing any more: librdkafka has purged that
/// queue once, when it met the error.
fn hear_out(old: &PolledProducer) {
    let until = Instant::now() + HEARS_FOR;
    loop {
        old.purge(PurgeConfig::default().queue());
        match old.flush(PURGE_EVERY) {
            Ok(()) => return,
            Err(error) if Instant::now() >= until => {
                return tracing::warn!(%error, "records of the old producer may have arrived all the same");
            }
            Err(_) => {}
        }
    }
}
