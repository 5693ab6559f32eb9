//! The topics that a runtime needs: checks that they exist, and creates those that are missing.

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

use crate::{Config, Error, kafka, producer::Producer, properties::Role, server::Served};

/// Timeout of one request to the brokers. Nothing cancels a request that is under way, and a process that
/// shuts down waits for it.
const ASK_FOR: Duration = Duration::from_secs(3);

/// The longest timeout that librdkafka accepts for an admin operation. Elsewhere it counts milliseconds in
/// 32 bits.
const MOST: Duration = Duration::from_hours(1);

/// The beginning of the cluster id of librdkafka's mock cluster.
const EMBEDDED: &str = "mockCluster";

/// The partitions of a topic that is created: the number in the catalogue of the reference deployment.
const PARTITIONS: i32 = 3;
const DEAD_LETTER_PARTITIONS: i32 = 1;

/// Waits for a broker, checks that every topic exists, and creates the missing ones if the config says so.
pub(crate) async fn ensure(
    config: &Config,
    producer: &Arc<Producer>,
    served: &[Served],
) -> Result<(), Error> {
    let known = connect(config, producer).await?;
    let began = Instant::now();
    let unlisted: Vec<_> =
        needed(served).into_iter().filter(|(topic, _)| !known.contains(&**topic)).collect();
    // Creates topics before asking for them: a cluster that creates a topic when asked for it creates one
    // with another number of partitions.
    let unlisted = if config.create_topics { create(config, producer, unlisted).await? } else { unlisted };
    // All at once, because asking for a missing topic takes a while.
    let found = join_all(unlisted.iter().map(|(topic, _)| look_for(config, producer, topic))).await;
    let (mut missing, mut hidden) = (Vec::new(), Vec::new());
    for ((topic, _), found) in unlisted.into_iter().zip(found) {
        match found? {
            Found::There => {}
            Found::Missing => missing.push(topic),
            Found::Hidden => hidden.push(topic),
        }
    }
    tracing::info!(
        elapsed = ?began.elapsed(), missing = missing.len(), hidden = hidden.len(),
        "looked for the topics that are needed"
    );
    // Without its command topic a subscription can do nothing. The other topics may appear later, or never be
    // used.
    let is_fatal = |topic: &Arc<str>| served.iter().any(|served| served.topic == *topic);
    let (fatal, later): (Vec<_>, Vec<_>) = hidden.into_iter().partition(is_fatal);
    if !later.is_empty() {
        tracing::warn!(
            topics = ?later,
            "this client lacks the right to describe topics of replies, retries or dead letters; records sent there \
             wait until it is granted"
        );
    }
    if !fatal.is_empty() {
        return Err(Error::Kafka {
            action: format!("looking up {}", fatal.join(", ")),
            reason: "topic authorization failed; grant this client the right to describe and read it"
                .to_owned(),
        });
    }
    let (fatal, later): (Vec<_>, Vec<_>) = missing.into_iter().partition(is_fatal);
    if !later.is_empty() {
        tracing::warn!(
            topics = ?later,
            "topics of replies, retries or dead letters are missing; records sent there wait until these are created"
        );
    }
    if fatal.is_empty() {
        return Ok(());
    }
    if config.create_topics {
        return Err(Error::Kafka {
            action: format!("creating {}", fatal.join(", ")),
            reason: "this client may not create topics; create what is missing, or grant it the right"
                .to_owned(),
        });
    }
    Err(Error::MissingTopics { topics: fatal.iter().map(ToString::to_string).collect() })
}

/// Every topic that is read or written, with the number of partitions it gets if it must be created.
fn needed(served: &[Served]) -> BTreeMap<Arc<str>, i32> {
    let mut needed = BTreeMap::new();
    for served in served {
        needed
            .extend(served.dead_letter_topic.iter().map(|topic| (Arc::clone(topic), DEAD_LETTER_PARTITIONS)));
    }
    // After the dead-letter topics: one that is also read gets the partitions of a topic that is read.
    for served in served {
        needed.insert(Arc::clone(&served.topic), PARTITIONS);
        needed.extend(served.retry_topic.iter().map(|topic| (Arc::clone(topic), PARTITIONS)));
        needed.extend(served.reply_topic.iter().map(|topic| (Arc::clone(topic), PARTITIONS)));
    }
    needed
}

/// Waits until any broker answers, and returns the topics that it lists.
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
            // The error itself only says that no answer came. The cause, such as a wrong password, was
            // reported before it.
            Ok(Err(error)) => producer.trouble().unwrap_or_else(|| error.to_string()),
            Err(ended) => ended.to_string(),
        };
        if started.elapsed() >= config.connection_timeout {
            break reason;
        }
    };
    Err(Error::Unreachable { brokers: config.brokers.clone(), waited: started.elapsed(), reason })
}

/// Whether this is an embedded broker, which supports no admin requests and creates every topic it is asked
/// for.
async fn is_embedded(producer: &Arc<Producer>) -> bool {
    let asking = Arc::clone(producer);
    let asked = task::spawn_blocking(move || asking.ask_cluster_id(ASK_FOR)).await;
    asked.is_ok_and(|id| id.is_some_and(|id| id.starts_with(EMBEDDED)))
}

/// The state of a topic that the cluster did not list.
enum Found {
    There,
    Missing,
    /// The right to describe the topic is missing.
    Hidden,
}

/// Asks for a topic that was not listed, which creates it on clusters that create topics when asked.
async fn look_for(config: &Config, producer: &Arc<Producer>, topic: &Arc<str>) -> Result<Found, Error> {
    let failed = |reason: String| Error::Kafka { action: format!("looking up the topic `{topic}`"), reason };
    let started = Instant::now();
    loop {
        let left = config.connection_timeout.saturating_sub(started.elapsed());
        let (asking, topic, within) = (Arc::clone(producer), Arc::clone(topic), left.min(ASK_FOR));
        let asked = task::spawn_blocking(move || asking.ask_until_made(&topic, within, || {}));
        let error = match asked.await.map_err(|ended| failed(ended.to_string()))? {
            Ok(partitions) if partitions.is_empty() => return Ok(Found::Missing),
            Ok(_) => return Ok(Found::There),
            Err(error) => error,
        };
        match error.rdkafka_error_code() {
            // The topic exists, or is just being created.
            Some(RDKafkaErrorCode::LeaderNotAvailable) => return Ok(Found::There),
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => return Ok(Found::Hidden),
            Some(RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::BrokerTransportFailure)
                if started.elapsed() < config.connection_timeout => {}
            _ => return Err(failed(error.to_string())),
        }
    }
}

/// Creates topics with the given numbers of partitions, and returns those that were not created.
async fn create(
    config: &Config,
    producer: &Arc<Producer>,
    missing: Vec<(Arc<str>, i32)>,
) -> Result<Vec<(Arc<str>, i32)>, Error> {
    if missing.is_empty() || is_embedded(producer).await {
        return Ok(missing);
    }
    let admin: AdminClient<DefaultClientContext> =
        kafka::with_user_properties(kafka::client_config(config), config, Role::Producer)
            .create()
            .map_err(|error| kafka::creation_error("the admin client", &error))?;
    // -1: as many replicas as the cluster's default.
    let topics: Vec<NewTopic<'_>> = missing
        .iter()
        .map(|(topic, partitions)| NewTopic::new(topic, *partitions, TopicReplication::Fixed(-1)))
        .collect();
    let failed = |reason: String| Error::Kafka { action: "creating the missing topics".to_owned(), reason };
    let within = Some(config.connection_timeout.min(MOST));
    // Without a request timeout, librdkafka gives up after `socket.timeout.ms`, whatever the operation
    // timeout.
    let options = AdminOptions::new().request_timeout(within).operation_timeout(within);
    let created = admin.create_topics(&topics, &options).await.map_err(|error| failed(error.to_string()))?;
    let mut refused = Vec::new();
    for (result, topic) in created.into_iter().zip(missing) {
        match result {
            Ok(topic) => tracing::info!(topic, "created"),
            // Another instance was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            // The topic may exist all the same, hidden from this client.
            Err((
                _,
                RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed,
            )) => {
                tracing::warn!(topic = %topic.0, "this client may not create the topic");
                refused.push(topic);
            }
            Err((topic, code)) => return Err(failed(format!("{topic}: {code}"))),
        }
    }
    Ok(refused)
}
