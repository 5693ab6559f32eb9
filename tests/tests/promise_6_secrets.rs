//! Promise 6: payloads and secrets are never logged.

use std::{sync::Arc, time::Duration};

use kafka_rpc::{CallError, Client, RpcError, RuntimeBuilder, State, kafka_handler};
use tests::{Cluster, Log, Record, cluster::started, until};
use tokio::sync::Notify;
use tracing::level_filters::LevelFilter;

/// The text that no line of the log may contain.
const SECRET: &str = "hunter2";

/// Lets the slow handler end.
#[derive(Clone, Default)]
struct Enough(Arc<Notify>);

#[kafka_handler(topic = "secret-commands", group = "secret", retry(max = 1, base = "1ms"), register = false)]
mod vault {
    use super::{Enough, RpcError, SECRET, State};

    #[command("KEEP")]
    pub(super) async fn keep(secret: String) -> Result<String, RpcError> {
        Ok(secret)
    }

    #[command("REFUSE")]
    pub(super) async fn refuse(secret: String) -> Result<(), RpcError> {
        Err(RpcError::unprocessable(secret).with_code(SECRET).with_details(SECRET.into()))
    }

    #[command("FAIL")]
    pub(super) async fn fail(secret: String) -> Result<(), RpcError> {
        Err(RpcError::unavailable(secret).with_source(SECRET))
    }

    /// Takes too long.
    #[command("HANG", timeout = "20ms")]
    pub(super) async fn hang(_: String) -> Result<(), RpcError> {
        std::future::pending().await
    }

    /// Takes long.
    #[command("BROOD")]
    pub(super) async fn brood(
        secret: String,
        State(Enough(enough)): State<Enough>,
    ) -> Result<String, RpcError> {
        enough.notified().await;
        Ok(secret)
    }

    /// Answers with more than a producer takes.
    #[command("REPEAT")]
    pub(super) async fn repeat(secret: String) -> Result<String, RpcError> {
        Ok(secret.repeat(3 << 20))
    }

    #[command("COUNT")]
    pub(super) async fn count(_: u64) -> Result<(), RpcError> {
        Ok(())
    }
}
use vault::VaultClient as _;

/// The contract of the same vault, as somebody misunderstands it.
#[kafka_handler(topic = "secret-commands", group = "secret")]
trait Misread {
    /// Expects a number as the answer, which is a text.
    #[command("KEEP")]
    async fn misread(&self, secret: String) -> Result<u64, RpcError>;

    /// Sends a text to a command that takes a number.
    #[command("COUNT")]
    async fn miscount(&self, secret: String) -> Result<(), RpcError>;
}

#[kafka_handler(
    topic = "later-commands",
    group = "later",
    retry_topic = "later-retries",
    retry(max = 1, base = "1ms"),
    register = false
)]
#[command("FAIL")]
async fn fail_later(secret: String) -> Result<(), RpcError> {
    Err(RpcError::unavailable(secret).with_source(SECRET))
}

#[kafka_handler(
    topic = "any-commands",
    group = "any",
    dialect = "any",
    retry = none,
    client = none,
    register = false
)]
async fn refuse_anyone(secret: String) -> Result<(), RpcError> {
    Err(RpcError::conflict(secret).with_code(SECRET))
}

/// Makes a call of every kind, and checks how each ends.
async fn calls(client: &Client, log: &Log, enough: &Enough) {
    let secret = || SECRET.to_owned();
    let call = client.keep(secret()).key(SECRET).header("x-own", SECRET).user_id(SECRET);
    assert_eq!(call.await, Ok(secret()));
    for (call, status) in [
        (client.refuse(secret()), 422),
        (client.fail(secret()), 503),
        (client.hang(secret()), 504),
        (client.miscount(secret()), 400),
        (client.fail_later(secret()), 503),
    ] {
        let ended = call.key(SECRET).await;
        let Err(CallError::Remote(error)) = ended else { panic!("it did not fail: {ended:?}") };
        assert_eq!(error.status().as_u16(), status);
    }
    let Err(CallError::Remote(error)) = client.repeat(secret()).await else { panic!("it was not too large") };
    assert_eq!(error.name(), "ReplyTooLarge");
    let ended = client.misread(secret()).await;
    let Err(error @ CallError::Decode { .. }) = ended else { panic!("it was read: {ended:?}") };
    assert!(!error.to_string().contains(SECRET), "{error}");

    let slow = tokio::spawn(client.brood(secret()));
    until("a slow handler is reported", || {
        log.lines_with(&["a handler has been running for a long time"]) > 0
    })
    .await;
    enough.0.notify_one();
    assert_eq!(slow.await.expect("no panic"), Ok(secret()));
}

#[tokio::test(flavor = "multi_thread")]
async fn payloads_keys_headers_errors_and_passwords_are_in_no_line_of_the_log() {
    let log = Log::kept(LevelFilter::TRACE);
    let cluster = Cluster::start();
    for topic in ["secret-commands", "later-commands", "later-retries", "any-commands", "any-responses"] {
        cluster.create_topic(topic, 1).await;
    }
    let (peer, topic) = (cluster.peer(), cluster.name("secret-commands"));
    let config = cluster.config().clock_skew(Duration::ZERO).property("sasl.password", SECRET);
    let enough = Enough::default();
    let runtime = cluster.runtime(config.slow_handler(Duration::from_millis(50))).provide(enough.clone());
    let handlers = [vault::handlers(), fail_later_handlers(), refuse_anyone_handlers()];
    let running = started(handlers.into_iter().fold(runtime, RuntimeBuilder::handlers)).await;
    calls(&running.client(), log, &enough).await;

    let keep = || Record::new(format!(r#"{{"type":"KEEP","payload":"{SECRET}"}}"#));
    for record in [
        keep().header("deadline", "1"),
        Record::new(SECRET),
        Record::new(format!(r#"{{"type":"{SECRET}"}}"#)),
        keep().answered_to(SECRET, SECRET),
    ] {
        peer.send(&topic, &record.key(SECRET).header("x-own", SECRET)).await;
    }
    let (any, replies) = (cluster.name("any-commands"), cluster.name("any-responses"));
    let asks = || Record::new(format!(r#""{SECRET}""#)).key(SECRET).header("kafka_correlationId", SECRET);
    let nest = asks().header("kafka_replyTopic", &replies).header("kafka_replyPartition", "0");
    let spring = asks().header("kafka_replyTopic", &replies).header("kafka_replyPartition", [0; 4]);
    for record in [nest, spring, asks().header("kafka_replyTopic", SECRET)] {
        peer.send(&any, &record.header("x-own", SECRET)).await;
    }
    for (group, topic, records) in
        [("secret", "secret-commands", 12), ("later", "later-retries", 1), ("any", "any-commands", 3)]
    {
        // More if a rebalance made a record fail twice.
        until("all are final", || cluster.committed_sum(group, topic, 1) >= records).await;
    }
    running.shutdown().await.expect("a clean shutdown");

    for line in [
        &["serving"][..],
        &["expired"],
        &["a record failed for good", "status=400", "UnknownCommand"],
        &["a record failed for good", "status=403", "secret-commands"],
        &["a record failed for good", "status=403", "any-commands"],
        &["a record failed for good", "status=504", "HandlerTimeout"],
        &["a record failed for good", "status=503", "later-retries"],
        &["is retried in the process"],
        &["is retried through the retry topic"],
        &["answered with a client error", "status=400", "secret-commands"],
        &["answered with a client error", "status=409", "any-commands", "offset=0"],
        &["answered with a client error", "status=409", "any-commands", "offset=1"],
        &["a reply is larger than the broker accepts"],
        &["shut down"],
    ] {
        assert!(log.lines_with(line) > 0, "{line:?} was not logged, so nothing is shown");
    }
    let text = log.text();
    let told: Vec<&str> = text.lines().filter(|line| line.contains(SECRET)).collect();
    assert!(told.is_empty(), "{told:#?}");
}
