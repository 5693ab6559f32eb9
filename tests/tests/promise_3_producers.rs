//! Promise 3, for the producers of batches. Their work is seen in metrics, which are global to a process.

use std::time::{Duration, Instant};

use futures_util::{FutureExt as _, StreamExt as _, future::join_all, poll, stream};
use kafka_rpc::{CallError, Client, Progress, Running, Tuning};
use rdkafka::{
    mocking::MockCluster,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use tests::{
    BOUND, Cluster,
    counted::{alone, counted},
    mocked::{Broker, caller_on, runs_here},
    orders::{OrderService, OrdersClient as _, REPLIES, order},
};

/// More records than a batch may have without a producer of batches.
const MANY: usize = 20;

/// How many producers for `purpose` were `made` or `replaced`.
fn producers(what: &str, purpose: &str) -> u64 {
    counted(&format!("kafka_rpc_producers_{what}_total"), &[("purpose", purpose)])
}

/// Sends one event, and many more while it is on its way.
async fn send_many(client: &Client) {
    let sent = (0..=MANY).map(|_| client.echo("sent".to_owned()).notify());
    for sent in join_all(sent).await {
        sent.expect("a broker that takes it");
    }
}

async fn send_until_made(client: &Client, purpose: &str) {
    let (began, before) = (Instant::now(), producers("made", purpose));
    while producers("made", purpose) == before {
        assert!(began.elapsed() < BOUND, "no producer of {purpose} is made");
        send_many(client).await;
    }
}

/// A caller so far from its broker that everything sent while the first record is on its way is gathered, and
/// goes through another producer.
async fn far_caller_on(broker: &Broker) -> Running {
    broker.broker_round_trip_time(1, Duration::from_millis(50)).expect("a delay");
    let running = caller_on(broker).await;
    send_until_made(&running.client(), "far_batches").await;
    running
}

/// Makes the producer of batches for `purpose` meet a fatal error, which only a producer that sends batches
/// meets: its calls end, and the next ones are sent.
async fn goes_on_after_a_fatal_error(broker: &Broker, client: &Client, purpose: &str) {
    let after_the_first = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
    ];
    let (began, within) = (Instant::now(), Duration::from_secs(2));
    let before = producers("replaced", purpose);
    // How many calls go with the first is a matter of timing: the loop ends once the calls after the first
    // are a batch.
    while producers("replaced", purpose) == before {
        assert!(began.elapsed() < BOUND, "no producer of batches has met the error");
        broker.clear_request_errors(RDKafkaApiKey::Produce);
        broker.request_errors(RDKafkaApiKey::Produce, &after_the_first);
        let called = Instant::now();
        let calls = (0..=MANY).map(|_| client.echo("lost".to_owned()).timeout(within));
        for ended in join_all(calls).await {
            // Calls that were not lost end at their deadline, because nobody answers them.
            let is_told = matches!(
                ended,
                Err(CallError::Undeliverable { .. }
                    | CallError::DeadlineExceeded { progress: Progress::Acknowledged, .. })
            );
            assert!(is_told, "{ended:?}");
        }
        let took = called.elapsed();
        assert!(took < within + Duration::from_secs(10), "they ended after {took:?}");
    }
    broker.clear_request_errors(RDKafkaApiKey::Produce);
    send_many(client).await;
    send_many(client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn near_a_broker_batches_have_a_producer_of_their_own_that_goes_on_after_a_fatal_error() {
    if !runs_here() {
        return;
    }
    let _alone = alone().await;
    let broker = MockCluster::new(1).expect("an embedded broker");
    let running = caller_on(&broker).await;
    let client = running.client();
    send_until_made(&client, "near_batches").await;
    goes_on_after_a_fatal_error(&broker, &client, "near_batches").await;
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fatal_error_of_the_producer_of_batches_ends_its_calls_and_the_next_ones_are_sent() {
    if !runs_here() {
        return;
    }
    let _alone = alone().await;
    let broker = MockCluster::new(1).expect("an embedded broker");
    let running = far_caller_on(&broker).await;
    goes_on_after_a_fatal_error(&broker, &running.client(), "far_batches").await;
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_sends_what_is_gathered_and_waits_until_the_broker_has_it() {
    if !runs_here() {
        return;
    }
    let _alone = alone().await;
    let broker = MockCluster::new(1).expect("an embedded broker");
    let running = far_caller_on(&broker).await;
    let client = running.client();
    // Longer than the rest of a shutdown takes.
    broker.broker_round_trip_time(1, Duration::from_secs(1)).expect("a delay");
    let mut sent: Vec<_> = (0..=MANY).map(|_| client.echo("sent".to_owned()).notify()).collect();
    for sent in &mut sent {
        assert!(poll!(sent).is_pending(), "the broker has it already");
    }
    running.shutdown().await.expect("a clean shutdown");
    for sent in sent {
        assert_eq!(sent.now_or_never(), Some(Ok(())), "the shutdown has not waited for it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_preset_each_of_many_calls_gets_its_own_reply_through_one_producer() {
    const CALLS: u64 = 300;
    let _alone = alone().await;
    let batches = || producers("made", "near_batches") + producers("made", "far_batches");
    let before = batches();
    for tuning in [Tuning::Throughput, Tuning::NearBroker] {
        let cluster = Cluster::start();
        let running = cluster.serve_orders(cluster.config().tuning(tuning), &OrderService::default()).await;
        let client = running.client();
        let calls = (0..CALLS).map(|number| {
            // Calls with a key of their own, and calls without.
            let (placed, text) =
                (client.place(order(&format!("a{}", number % 10), number)), number.to_string());
            let echoed = client.echo(text.clone());
            async move { assert_eq!(tokio::join!(placed, echoed), (Ok(number), Ok(text)), "{tuning:?}") }
        });
        stream::iter(calls).buffer_unordered(64).collect::<()>().await;
        running.shutdown().await.expect("a clean shutdown");
        let replies = cluster.peer().all(&cluster.name(REPLIES)).await;
        assert_eq!(replies.len() as u64, 2 * CALLS, "{tuning:?}");
    }
    assert_eq!(batches(), before, "a preset has no producer of batches");
}
