//! A librdkafka producer that is replaced after a fatal error: from then on it accepts no records, and ends
//! those that it has with errors.

use std::{
    mem,
    sync::{Arc, Mutex, RwLock, Weak},
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
    events::{Events, InFlight},
    polled::PolledProducer,
    purpose::Purpose,
};
use crate::{Error, caught::caught, telemetry, unpoisoned::Unpoisoned as _};

/// How long a producer with a fatal error is kept, to learn what became of its records in flight.
const HEARS_FOR: Duration = Duration::from_secs(10);

/// How often such a producer is purged meanwhile of records that it would send again.
const PURGE_EVERY: Duration = Duration::from_millis(100);

/// How long a cluster may take that creates topics when asked, and answers before it has created one; and the
/// time between two queries.
const MADE_WITHIN: Duration = Duration::from_secs(1);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A replacement is not replaced in turn before this time. Otherwise, if each producer met a fatal error at
/// once, such as for a missing right, every call would connect and log in again.
const REPLACED_NOT_BEFORE: Duration = Duration::from_secs(1);

/// A record on its way into librdkafka.
type Record<'a> = BaseRecord<'a, [u8], [u8], Box<InFlight>>;

/// A librdkafka producer that is replaced when necessary.
pub(super) struct RenewableProducer {
    purpose: Purpose,
    properties: ClientConfig,
    events: Arc<Events>,
    current: RwLock<Current>,
    /// The producers that were replaced, as long as they have records whose outcome is not known.
    replaced: Mutex<Vec<Weak<PolledProducer>>>,
}

struct Current {
    handle: Arc<PolledProducer>,
    /// When the producer replaced another, if it did.
    since: Option<Instant>,
}

impl RenewableProducer {
    pub(super) fn make(
        purpose: Purpose,
        properties: ClientConfig,
        events: &Arc<Events>,
    ) -> Result<Self, Error> {
        let handle = Arc::new(PolledProducer::create(purpose, &properties, events)?);
        let current = RwLock::new(Current { handle, since: None });
        Ok(Self { purpose, properties, events: Arc::clone(events), current, replaced: Mutex::default() })
    }

    /// Returns the current producer.
    pub(super) fn handle(&self) -> Arc<PolledProducer> {
        Arc::clone(&self.current.read().unpoisoned().handle)
    }

    /// Asks the cluster for the partitions of a topic with their leaders; empty if the topic does not exist.
    /// Blocks.
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

    /// Like [`ask_partitions`](Self::ask_partitions), but waits for a topic that the cluster creates because
    /// of the query. Calls `missing` each time the topic is not there. Blocks.
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

    /// Gives a record to librdkafka, or returns it with the reason.
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
                            "a producer hit a fatal error, and its replacement could not be created"
                        );
                        Err((error, record))
                    }
                }
            }
            sent => sent,
        }
    }

    /// Replaces a producer that has met a fatal error; false if it is too soon for that.
    fn replace(&self, fatal: &Arc<PolledProducer>) -> Result<bool, Error> {
        let mut current = self.current.write().unpoisoned();
        // Many callers may meet the error at once; the first replaces the producer.
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
        // Caught, because a panic would lose the record that the caller is about to send through the new
        // producer.
        caught("logging a fatal error of a producer", || {
            tracing::error!(
                purpose = %self.purpose, error = ?old.client().fatal_error(),
                "a producer hit a fatal error, and was replaced"
            );
        });
        self.hear_out(old);
        Ok(true)
    }

    /// Waits for the outcome of a replaced producer's records, on a thread of its own: tokio would wait for one
    /// of its own before a process ends.
    fn hear_out(&self, old: Arc<PolledProducer>) {
        let mut replaced = self.replaced.lock().unpoisoned();
        replaced.retain(|old| old.strong_count() > 0);
        replaced.push(Arc::downgrade(&old));
        drop(replaced);
        let hearing = thread::Builder::new().name("kafka-rpc-replaced".to_owned());
        if let Err(error) = hearing.spawn(move || hear_out(&old)) {
            tracing::warn!(%error, "the records of a replaced producer may have arrived although they count as lost");
        }
    }

    /// Waits until everything is delivered or refused, also what replaced producers had. Blocks.
    pub(super) fn flush(&self, within: Duration) -> KafkaResult<()> {
        let until = Instant::now() + within;
        let replaced: Vec<_> = self.replaced.lock().unpoisoned().iter().filter_map(Weak::upgrade).collect();
        for producer in replaced.into_iter().chain([self.handle()]) {
            producer.flush(until.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
    }
}

/// Waits for the outcome of the records in flight from a producer with a fatal error: they may arrive, and if
/// they were reported as lost, they would be sent twice.
///
/// Records that brokers refuse for now meanwhile return to the producer's queue, and are never sent.
/// librdkafka purges that queue only once, when it meets the error, so this purges it again and again.
fn hear_out(old: &PolledProducer) {
    let until = Instant::now() + HEARS_FOR;
    loop {
        old.purge(PurgeConfig::default().queue());
        match old.flush(PURGE_EVERY) {
            Ok(()) => return,
            Err(error) if Instant::now() >= until => {
                return tracing::warn!(
                    %error,
                    "the records of a replaced producer were not all acknowledged; those may have arrived nevertheless"
                );
            }
            Err(_) => {}
        }
    }
}
