//! Promise 3, for calls that cannot be sent yet: they are bounded, ended and answered like those that wait
//! for a reply.

use std::time::{Duration, Instant};

use futures_util::{future::join_all, poll};
use kafka_rpc::{CallError, Config, Progress, Running, Runtime, WhenFull};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tests::{
    BOUND, Peer, Record,
    cluster::Topics,
    counted::{self, counted},
    eventually,
    mocked::{Broker, broker_with, caller_on, runs_here},
    orders::{OrdersClient as _, REPLIES, TOPIC},
    until,
};

/// How long a far broker takes to answer. Until then, requests to it are sent and have no answer.
const FAR: Duration = Duration::from_secs(30);

/// A broker with the topic that is called, and a reply topic with `partitions` partitions.
fn broker(partitions: i32) -> Broker {
    broker_with(&[(TOPIC, 1), (REPLIES, partitions)])
}

async fn caller(broker: &Broker, config: impl FnOnce(Config) -> Config) -> Running {
    let config = config(Config::new(broker.bootstrap_servers()));
    let runtime = Runtime::builder().config(config).without_registry().client_only().build();
    runtime.expect("nothing is wrong").start().await.expect("the broker is there")
}

/// A caller that has asked for its reply topic, and has no answer yet.
async fn far_caller(broker: &Broker, config: impl FnOnce(Config) -> Config) -> Running {
    let running = caller(broker, config).await;
    broker.broker_round_trip_time(1, FAR).expect("a delay");
    running
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_not_polled_keeps_no_other_from_being_sent() {
    if !runs_here() {
        return;
    }
    let (broker, mut sent) = (broker(1), 0);
    for when_full in [WhenFull::Refuse, WhenFull::Wait] {
        let running = caller(&broker, |config| config.when_full(when_full)).await;
        let client = running.client();
        // The first call to a topic waits for its reply topic.
        let mut lazy = client.echo("lazy".to_owned());
        assert!(poll!(&mut lazy).is_pending());
        let mut lazy_event = client.echo("lazy".to_owned()).notify();
        assert!(poll!(&mut lazy_event).is_pending());
        let next = tokio::spawn(client.echo("next".to_owned()).timeout(2 * BOUND));
        sent += 3;
        let requests = Peer::new(&broker.bootstrap_servers()).read(TOPIC, sent).await;
        assert_eq!(requests.last().map(|request| request.json()["payload"].clone()), Some("next".into()));
        // Nobody polls the first call, and its answer is taken before that of the last.
        let peer = Peer::new(&broker.bootstrap_servers());
        for request in [&requests[requests.len() - 3], &requests[requests.len() - 1]] {
            let id = request.text("correlation-id").expect("an id");
            let reply = Record::new(r#"{"success":true,"data":"answer"}"#).header("correlation-id", id);
            peer.send(REPLIES, &reply).await;
        }
        assert_eq!(next.await.expect("no panic"), Ok("answer".to_owned()));
        assert_eq!(lazy.await, Ok("answer".to_owned()));
        running.shutdown().await.expect("a clean shutdown");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_dropped_before_it_is_sent_is_never_sent() {
    if !runs_here() {
        return;
    }
    for when_full in [WhenFull::Refuse, WhenFull::Wait] {
        let broker = broker(1);
        broker
            .topic_error(REPLIES, RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
            .expect("an error");
        let running = caller(&broker, |config| config.when_full(when_full)).await;
        let client = running.client();
        let mut dropped = client.echo("dropped".to_owned()).timeout(BOUND);
        assert!(poll!(&mut dropped).is_pending(), "it waits for its reply topic");
        drop(dropped);
        let next = tokio::spawn(client.echo("next".to_owned()).timeout(BOUND));
        broker.topic_error(REPLIES, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).expect("no error");
        let requests = Peer::new(&broker.bootstrap_servers()).read(TOPIC, 1).await;
        assert_eq!(requests[0].json()["payload"], "next");
        answer(&broker, 1, 0).await;
        assert_eq!(next.await.expect("no panic"), Ok("answer".to_owned()));
        assert_eq!(Topics::of(&broker.bootstrap_servers()).end(TOPIC, 0), 1, "and no other");
        running.shutdown().await.expect("a clean shutdown");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_for_acknowledgements_is_never_sent_once_it_is_dropped_or_late() {
    if !runs_here() {
        return;
    }
    let broker = broker_with(&[]);
    let running = caller_on(&broker).await;
    let client = running.client();
    broker.broker_round_trip_time(1, Duration::from_secs(1)).expect("a delay");
    let mut in_flight = client.echo("in flight".to_owned()).timeout(BOUND);
    assert!(poll!(&mut in_flight).is_pending());
    let mut dropped = client.echo("dropped".to_owned()).timeout(BOUND);
    assert!(poll!(&mut dropped).is_pending(), "it waits until the other is acknowledged");
    drop(dropped);
    // Nobody polls it when its deadline passes.
    let mut not_polled = client.echo("not polled".to_owned()).timeout(Duration::from_millis(50));
    assert!(poll!(&mut not_polled).is_pending());
    let late = client.echo("late".to_owned()).timeout(Duration::from_millis(50)).await;
    assert!(
        matches!(late, Err(CallError::DeadlineExceeded { progress: Progress::NotSent, .. })),
        "it can be made again: {late:?}"
    );
    let mut next = client.echo("next".to_owned()).timeout(BOUND);
    assert!(poll!(&mut next).is_pending());
    client.echo("event".to_owned()).notify().await.expect("it comes behind all of them");
    broker.broker_round_trip_time(1, Duration::ZERO).expect("no delay");
    assert_eq!(Topics::of(&broker.bootstrap_servers()).end(TOPIC, 0), 4, "and no other");
    let sent = Peer::new(&broker.bootstrap_servers()).read(TOPIC, 4).await;
    let payloads: Vec<_> = sent.iter().map(|request| request.json()["payload"].clone()).collect();
    assert_eq!(payloads, ["first", "in flight", "next", "event"]);
    let not_polled = not_polled.await;
    assert!(
        matches!(not_polled, Err(CallError::DeadlineExceeded { progress: Progress::NotSent, .. })),
        "{not_polled:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_wait_for_their_reply_topic_are_in_flight_and_bounded() {
    if !runs_here() {
        return;
    }
    let broker = broker(1);
    let running =
        far_caller(&broker, |config| config.max_calls_in_flight(2).when_full(WhenFull::Refuse)).await;
    let client = running.client();
    let mut waiting = [(); 2].map(|()| client.echo("hi".to_owned()).timeout(BOUND));
    for call in &mut waiting {
        assert!(poll!(call).is_pending());
    }
    let third = client.echo("hi".to_owned()).timeout(BOUND).await;
    assert!(matches!(third, Err(CallError::Overloaded { .. })), "{third:?}");
    drop(waiting);
    let mut next = client.echo("hi".to_owned()).timeout(BOUND);
    assert!(poll!(&mut next).is_pending(), "their places are free");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_calls_that_wait_for_their_reply_topic() {
    if !runs_here() {
        return;
    }
    let broker = broker(1);
    let running = far_caller(&broker, |config| config).await;
    let client = running.client();
    let mut waiting = [(); 3].map(|()| client.echo("hi".to_owned()).timeout(BOUND));
    for call in &mut waiting {
        assert!(poll!(call).is_pending());
    }
    let shutdown = tokio::spawn(running.shutdown());
    let began = Instant::now();
    for call in waiting {
        assert_eq!(call.await, Err(CallError::ShuttingDown { progress: Progress::NotSent }));
    }
    assert!(began.elapsed() < FAR, "they have not waited for the answer");
    drop(shutdown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_calls_that_wait_for_a_place() {
    if !runs_here() {
        return;
    }
    let broker = broker(1);
    let running = caller(&broker, |config| config.max_calls_in_flight(1).when_full(WhenFull::Wait)).await;
    let client = running.client();
    let calls = [(); 2].map(|()| tokio::spawn(client.echo("hi".to_owned()).timeout(BOUND)));
    assert_eq!(Peer::new(&broker.bootstrap_servers()).read(TOPIC, 1).await.len(), 1, "one has the place");
    let third = client.echo("hi".to_owned()).timeout(Duration::from_millis(50)).await;
    assert!(
        matches!(third, Err(CallError::DeadlineExceeded { progress: Progress::NotSent, .. })),
        "behind the second, which waits: {third:?}"
    );
    let shutdown = tokio::spawn(running.shutdown());
    let began = Instant::now();
    for call in calls {
        let ended = call.await.expect("no panic");
        assert!(matches!(ended, Err(CallError::ShuttingDown { .. })), "{ended:?}");
    }
    assert!(began.elapsed() < FAR, "they have not waited for their deadlines");
    shutdown.await.expect("no panic").expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_in_line_hears_that_its_reply_topic_is_missing_and_once_it_is_there_calls_are_answered() {
    if !runs_here() {
        return;
    }
    let broker = broker(1);
    broker.topic_error(REPLIES, RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART).expect("an error");
    let running = caller(&broker, |config| config).await;
    let client = running.client();
    // One after the other, the calls would take a minute.
    let calls = (0..200).map(|_| client.echo("hi".to_owned()).timeout(Duration::from_secs(20)));
    for ended in join_all(calls).await {
        let Err(CallError::Undeliverable { topic, progress: Progress::NotSent, reason }) = ended else {
            panic!("{ended:?}")
        };
        assert!(topic == REPLIES && reason.contains("does not exist"), "{topic}: {reason}");
    }
    broker.topic_error(REPLIES, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).expect("no error");
    let call = tokio::spawn(async move {
        let until = Instant::now() + BOUND;
        loop {
            match client.echo("hi".to_owned()).timeout(BOUND).await {
                // For a moment, every call gets the last answer about the topic.
                Err(CallError::Undeliverable { .. }) if Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                ended => return ended,
            }
        }
    });
    answer(&broker, 1, 0).await;
    assert_eq!(call.await.expect("no panic"), Ok("answer".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_is_missing_is_not_called_a_topic_that_is_missing() {
    if !runs_here() {
        return;
    }
    let broker = broker(1);
    broker
        .topic_error(REPLIES, RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        .expect("an error");
    let running = caller(&broker, |config| config).await;
    let ended = running.client().echo("hi".to_owned()).timeout(BOUND).await;
    let Err(CallError::Undeliverable { topic, progress: Progress::NotSent, reason }) = ended else {
        panic!("{ended:?}")
    };
    assert!(topic == REPLIES && reason.contains("right"), "{topic}: {reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_topic_that_is_just_being_made_is_waited_for() {
    if !runs_here() {
        return;
    }
    let broker = broker(1);
    broker.topic_error(REPLIES, RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE).expect("an error");
    let running = caller(&broker, |config| config).await;
    let call = running.client().echo("hi".to_owned()).timeout(BOUND);
    let call = tokio::spawn(call);
    // The call is in line, and has met the error more than once.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!call.is_finished());
    broker.topic_error(REPLIES, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR).expect("no error");
    answer(&broker, 1, 0).await;
    assert_eq!(call.await.expect("no panic"), Ok("answer".to_owned()));
}

/// Answers the last of `requests` requests, on a partition of the reply topic.
async fn answer(broker: &Broker, requests: usize, partition: i32) {
    let peer = Peer::new(&broker.bootstrap_servers());
    let request = peer.read(TOPIC, requests).await.pop().expect("a request");
    let reply = Record::new(r#"{"success":true,"data":"answer"}"#)
        .header("correlation-id", request.text("correlation-id").expect("an id"));
    peer.send(REPLIES, &reply.partition(partition)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_without_a_leader_keeps_nobody_from_calling_and_is_read_once_it_has_one() {
    if !runs_here() {
        return;
    }
    let broker = broker(3);
    broker.partition_leader(REPLIES, 2, None).expect("no leader");
    let running = caller(&broker, |config| config).await;
    let first = tokio::spawn(running.client().echo("hi".to_owned()).timeout(BOUND));
    answer(&broker, 1, 0).await;
    assert_eq!(first.await.expect("no panic"), Ok("answer".to_owned()));
    broker.partition_leader(REPLIES, 2, Some(1)).expect("a leader");
    let second = tokio::spawn(running.client().echo("hi".to_owned()).timeout(BOUND));
    answer(&broker, 2, 2).await;
    assert_eq!(second.await.expect("no panic"), Ok("answer".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_could_not_be_queued_by_its_deadline_says_that_it_was_not_sent() {
    if !runs_here() {
        return;
    }
    let broker = broker(1);
    let running = far_caller(&broker, |config| config).await;
    let client = running.client();
    let mut before = client.echo("hi".to_owned()).timeout(BOUND);
    assert!(poll!(&mut before).is_pending());
    let event = client.echo("hi".to_owned()).timeout(Duration::from_millis(10)).notify().await;
    assert!(
        matches!(event, Err(CallError::DeadlineExceeded { progress: Progress::NotSent, .. })),
        "{event:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_cannot_live_is_made_anew_once_a_second_at_most() {
    if !runs_here() {
        return;
    }
    counted::record();
    let broker = broker(1);
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED; 1_000];
    broker.request_errors(RDKafkaApiKey::InitProducerId, &refused);
    let running = caller(&broker, |config| config).await;
    let client = running.client();
    let replaced = || counted("kafka_rpc_producers_replaced_total", &[("purpose", "single")]);
    let began = Instant::now();
    eventually("it is made anew twice", || {
        tokio::spawn(client.echo("hi".to_owned()).timeout(Duration::from_millis(50)).notify());
        (replaced() >= 2).then_some(())
    })
    .await;
    let (times, took) = (replaced(), began.elapsed());
    assert!(times <= took.as_secs() + 1, "{times} times in {took:?}");
    broker.clear_request_errors(RDKafkaApiKey::InitProducerId);
    let until = Instant::now() + BOUND;
    while client.echo("hi".to_owned()).timeout(Duration::from_secs(1)).notify().await.is_err() {
        assert!(Instant::now() < until, "nothing is sent once it may live");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_to_read_replies_that_is_missing_is_counted_and_once_it_is_there_they_are_read() {
    if !runs_here() {
        return;
    }
    counted::record();
    let broker = broker(1);
    let missing = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 3];
    broker.request_errors(RDKafkaApiKey::Fetch, &missing);
    let running = caller(&broker, |config| config).await;
    let call = tokio::spawn(running.client().echo("hi".to_owned()).timeout(BOUND));
    let counted = || counted("kafka_rpc_reply_errors_total", &[("code", "TopicAuthorizationFailed")]);
    until("it is counted", || counted() > 0).await;
    broker.clear_request_errors(RDKafkaApiKey::Fetch);
    answer(&broker, 1, 0).await;
    assert_eq!(call.await.expect("no panic"), Ok("answer".to_owned()));
}
