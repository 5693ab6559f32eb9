//! The topics that a runtime needs: whether they are there, and making those that are not.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::RDKafkaErrorCode,
};
use tokio::task;

use crate::{Config, Error, kafka, producer::Producer, server::Served};

/// How long it is waited for brokers at a time. Nothing ends a question that is under way, and a process that is told to end
/// waits for it.
const ASK_FOR: Duration = Duration::from_secs(3);

/// librdkafka takes no longer for an operation of an administrator, and counts milliseconds in 32 bits elsewhere.
const MOST: Duration = Duration::from_hours(1);

/// How many partitions a topic that is made gets: what the catalogue of the reference deployment has.
const PARTITIONS: i32 = 3;
const DEAD_LETTER_PARTITIONS: i32 = 1;

/// Waits for a broker, checks that every topic is there, and makes what is missing if the config says so.
pub(crate) async fn ensure(
    config: &Config,
    producer: &Arc<Producer>,
    served: &[Served],
) -> Result<(), Error> {
    let known = connect(config, producer).await?;
    let began = Instant::now();
    let mut missing = BTreeMap::new();
    let unlisted: Vec<_> =
        needed(served).into_iter().filter(|(topic, _)| !known.contains(&**topic)).collect();
    // All at once: asking for one that is not there takes a while.
    let there = join_all(unlisted.iter().map(|(topic, _)| exists(config, producer, topic))).await;
    for ((topic, partitions), there) in unlisted.into_iter().zip(there) {
        if !there? {
            missing.insert(topic, partitions);
        }
    }
    tracing::info!(elapsed = ?began.elapsed(), missing = missing.len(), "looked for the topics that are needed");
    if missing.is_empty() {
        return Ok(());
    }
    if config.create_topics {
        return create(config, &missing).await;
    }
    // Without its command topic a subscription can do nothing; the others may be made later, or never be used.
    let commands = |topic: &Arc<str>| served.iter().any(|served| served.topic == *topic);
    let (fatal, later): (Vec<Arc<str>>, Vec<Arc<str>>) = missing.into_keys().partition(commands);
    if !later.is_empty() {
        tracing::warn!(topics = ?later, "topics of replies, retries or dead letters are missing; what is sent there will have to wait");
    }
    if fatal.is_empty() {
        return Ok(());
    }
    Err(Error::MissingTopics { topics: fatal.iter().map(ToString::to_string).collect() })
}

/// Every topic that is read or written, with the partitions it gets if it must be made.
fn needed(served: &[Served]) -> BTreeMap<Arc<str>, i32> {
    let mut needed = BTreeMap::new();
    for served in served {
        needed
            .extend(served.dead_letter_topic.iter().map(|topic| (Arc::clone(topic), DEAD_LETTER_PARTITIONS)));
    }
    // After the others: a topic that is also read gets what it needs for that.
    for served in served {
        needed.insert(Arc::clone(&served.topic), PARTITIONS);
        needed.extend(served.retry_topic.iter().map(|topic| (Arc::clone(topic), PARTITIONS)));
        needed.extend(served.reply_topic.iter().map(|topic| (Arc::clone(topic), PARTITIONS)));
    }
    needed
}

/// Waits until any broker answers; gives the topics that it knows.
async fn connect(config: &Config, producer: &Arc<Producer>) -> Result<HashSet<String>, Error> {
    let started = Instant::now();
    let reason = loop {
        let left = config.connection_timeout.saturating_sub(started.elapsed());
        let (asking, within) = (Arc::clone(producer), left.min(ASK_FOR));
        let reason = match task::spawn_blocking(move || asking.ask_topics(within)).await {
            Ok(Ok(known)) => {
                tracing::info!(elapsed = ?started.elapsed(), brokers = %config.brokers, "connected");
                return Ok(known);
            }
            // The error itself only says that nothing came: that a password is wrong, say, was told before.
            Ok(Err(error)) => producer.trouble().unwrap_or_else(|| error.to_string()),
            Err(ended) => ended.to_string(),
        };
        if started.elapsed() >= config.connection_timeout {
            break reason;
        }
    };
    Err(Error::Unreachable { brokers: config.brokers.clone(), waited: started.elapsed(), reason })
}

/// Whether a topic that was not listed is there after all. Asking creates it on clusters that create topics when asked.
async fn exists(config: &Config, producer: &Arc<Producer>, topic: &Arc<str>) -> Result<bool, Error> {
    let failed = |reason: String| Error::Kafka { action: format!("asking for the topic `{topic}`"), reason };
    let (asking, topic, within) =
        (Arc::clone(producer), Arc::clone(topic), config.connection_timeout.min(MOST));
    // Where it is made by us in the end, the cluster need not be waited for.
    let waits = !config.create_topics;
    let asked = task::spawn_blocking(move || {
        let found =
            if waits { asking.ask_until_made(&topic, within) } else { asking.ask_partitions(&topic, within) };
        match found {
            // It is there, or is just being made.
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::LeaderNotAvailable) => {
                Ok(true)
            }
            found => found.map(|found| !found.is_empty()),
        }
    });
    asked.await.map_err(|ended| failed(ended.to_string()))?.map_err(|error| failed(error.to_string()))
}

async fn create(config: &Config, missing: &BTreeMap<Arc<str>, i32>) -> Result<(), Error> {
    let admin: AdminClient<DefaultClientContext> =
        kafka::with_user_properties(kafka::client_config(config), config)
            .create()
            .map_err(|error| kafka::creation_error("the admin client", &error))?;
    // -1: as many replicas as the cluster's default.
    let topics: Vec<NewTopic<'_>> = missing
        .iter()
        .map(|(topic, partitions)| NewTopic::new(topic, *partitions, TopicReplication::Fixed(-1)))
        .collect();
    let failed =
        |reason: String| Error::Kafka { action: "creating the topics that are missing".to_owned(), reason };
    let options = AdminOptions::new().operation_timeout(Some(config.connection_timeout.min(MOST)));
    let created = admin.create_topics(&topics, &options).await.map_err(|error| failed(error.to_string()))?;
    for result in created {
        match result {
            Ok(topic) => tracing::info!(topic, "created"),
            // Another instance was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(failed(format!("{topic}: {code}"))),
        }
    }
    Ok(())
}
