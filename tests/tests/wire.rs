//! The protocol, byte for byte, against a peer that speaks raw bytes.

use std::time::Instant;

use kafka_rpc::{CallError, ReplyReading, RpcError, kafka_handler};
use serde_json::json;
use tests::{
    Cluster, Record,
    cluster::started,
    orders::{GROUP, OrderService, OrdersClient, REPLIES, TOPIC, order},
    until,
};
use uuid::Uuid;

async fn both_topics(cluster: &Cluster) {
    cluster.create_topic(TOPIC, 1).await;
    cluster.create_topic(REPLIES, 1).await;
}

fn is_uuid_v4(text: &str) -> bool {
    Uuid::parse_str(text).is_ok_and(|id| id.get_version_num() == 4 && id.to_string() == text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_what_the_reference_expects_and_its_reply_is_read() {
    let cluster = Cluster::start();
    both_topics(&cluster).await;
    let peer = cluster.peer();
    let running = started(cluster.runtime(cluster.config()).client_only()).await;
    let call = running.client().echo("hi".to_owned()).user_id("123").header("x-tenant", "acme");
    let called = Instant::now();
    let call = tokio::spawn(call);

    let request = peer.read(&cluster.name(TOPIC), 1).await.remove(0);
    let took = u64::try_from(called.elapsed().as_millis()).expect("less than a call waits");
    assert_eq!(
        request.names(),
        ["correlation-id", "reply-to", "message-type", "timestamp", "deadline", "x-tenant"]
    );
    let id = request.text("correlation-id").expect("an id").to_owned();
    assert!(is_uuid_v4(&id));
    assert_eq!(request.key.as_deref(), Some(id.as_bytes()));
    assert_eq!(request.text("reply-to"), Some(&*cluster.name(REPLIES)));
    assert_eq!(request.text("message-type"), Some("request-reply"));
    assert_eq!(request.text("x-tenant"), Some("acme"));
    let timestamp: u64 = request.text("timestamp").and_then(|text| text.parse().ok()).expect("milliseconds");
    let deadline: u64 = request.text("deadline").and_then(|text| text.parse().ok()).expect("milliseconds");
    // The request has the time left when it was sent: finding the reply topic is part of the caller's wait.
    let left = deadline - timestamp;
    assert!((29_999 - took..=30_000).contains(&left), "{deadline} - {timestamp}, {took} ms after the call");
    let expected =
        format!(r#"{{"id":"{id}","type":"ECHO","userId":"123","payload":"hi","timestamp":{timestamp}}}"#);
    assert_eq!(request.value.as_deref(), Some(expected.as_bytes()));

    // The reference's reply, in its own order of headers.
    let reply = Record::new(r#"{"success":true,"data":"hi back","timestamp":1700000000000}"#)
        .key("0e2f3d9c-9a39-4d0b-8a44-0d7c7f3b9a10")
        .header("message-id", "0e2f3d9c-9a39-4d0b-8a44-0d7c7f3b9a10")
        .header("message-type", "request-reply")
        .header("timestamp", "1700000000000")
        .header("correlation-id", &id);
    peer.send(&cluster.name(REPLIES), &reply).await;
    assert_eq!(call.await.expect("no panic"), Ok("hi back".to_owned()));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_reply_is_skipped_and_an_error_of_the_reference_is_read() {
    let cluster = Cluster::start();
    both_topics(&cluster).await;
    let peer = cluster.peer();
    let running = started(cluster.runtime(cluster.config()).client_only()).await;
    let call = tokio::spawn(running.client().echo("hi".to_owned()));
    let request = peer.read(&cluster.name(TOPIC), 1).await.remove(0);
    let id = request.text("correlation-id").expect("an id");
    let replies = cluster.name(REPLIES);
    let wrong = Record::new(r#"{"success":true,"data":"wrong"}"#);
    peer.send(
        &replies,
        &wrong.clone().header("correlation-id", id).header("message-type", "fire-and-forget"),
    )
    .await;
    peer.send(&replies, &wrong).await;
    peer.send(&replies, &wrong.header("correlation-id", Uuid::new_v4().to_string())).await;
    let error = r#"{"success":false,"statusCode":400,"error":"ValidationError","message":"Invalid API key","timestamp":1}"#;
    peer.send(&replies, &Record::new(error).header("Correlation-ID", id)).await;
    let expected = RpcError::bad_request("Invalid API key").with_name("ValidationError");
    assert_eq!(call.await.expect("no panic"), Err(CallError::Remote(expected)));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_the_reference_is_answered_byte_for_byte() {
    let cluster = Cluster::start();
    both_topics(&cluster).await;
    let (peer, topic, replies) = (cluster.peer(), cluster.name(TOPIC), cluster.name(REPLIES));
    let running = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    let request = |kind: &str, payload: &str| {
        Record::new(format!(r#"{{"id":"1","type":"{kind}","payload":{payload},"timestamp":1700000000000}}"#))
            .key("k")
            .header("correlation-id", "any format \u{2713}")
            .header("reply-to", &replies)
            .header("message-type", "request-reply")
            .header("timestamp", "1700000000000")
    };
    peer.send(&topic, &request("ECHO", r#""hi""#)).await;
    peer.send(&topic, &request("NOTHING", "null")).await;
    peer.send(&topic, &request("FAIL", r#"{"status":409,"name":"Taken","message":"no"}"#)).await;
    // Another header changes nothing. Records without both a correlation id and a `reply-to` are handled, and
    // not answered.
    peer.send(&topic, &request("ECHO", r#""hi""#).header("x", "y")).await;
    peer.send(&topic, &Record::new(r#"{"type":"ECHO","payload":"hi"}"#).header("correlation-id", "c")).await;
    peer.send(&topic, &Record::new(r#"{"type":"ECHO","payload":"hi"}"#).header("reply-to", &replies)).await;

    let answers = peer.read(&replies, 4).await;
    for answer in &answers {
        assert_eq!(answer.names(), ["message-id", "message-type", "timestamp", "correlation-id"]);
        assert!(is_uuid_v4(answer.text("message-id").expect("an id")));
        assert_eq!(answer.key.as_deref(), answer.text("message-id").map(str::as_bytes));
        assert_eq!(answer.text("message-type"), Some("request-reply"));
        assert_eq!(answer.text("correlation-id"), Some("any format \u{2713}"));
    }
    let at = |index: usize| answers[index].text("timestamp").expect("milliseconds").to_owned();
    let values: Vec<&[u8]> = answers.iter().filter_map(|answer| answer.value.as_deref()).collect();
    let success = |index| format!(r#"{{"success":true,"data":"hi","timestamp":{}}}"#, at(index));
    assert_eq!(values[0], success(0).as_bytes());
    assert_eq!(values[1], format!(r#"{{"success":true,"timestamp":{}}}"#, at(1)).as_bytes());
    let failure = format!(
        r#"{{"success":false,"statusCode":409,"error":"Taken","message":"no","timestamp":{}}}"#,
        at(2)
    );
    assert_eq!(values[2], failure.as_bytes());
    assert_eq!(values[3], success(3).as_bytes());
    until("all are final", || cluster.committed_sum(GROUP, TOPIC, 1) == 6).await;
    running.shutdown().await.expect("a clean shutdown");
    // Everything that would have been sent is sent by now: a shutdown flushes.
    assert_eq!(peer.all(&replies).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_goes_to_the_partition_that_the_caller_reads() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    cluster.create_topic(REPLIES, 8).await;
    let (peer, replies) = (cluster.peer(), cluster.name(REPLIES));
    let running = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    for _ in 0..10 {
        let request = Record::new(r#"{"type":"NOTHING"}"#)
            .header("correlation-id", "c")
            .header("reply-to", &replies)
            .header("reply-partition", "5");
        peer.send(&cluster.name(TOPIC), &request).await;
    }
    until("all are final", || cluster.committed_sum(GROUP, TOPIC, 1) == 10).await;
    running.shutdown().await.expect("a clean shutdown");
    let answers = peer.all(&replies).await;
    assert_eq!(answers.iter().map(|answer| answer.partition).collect::<Vec<_>>(), [Some(5); 10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_with_a_partition_of_its_own_names_it_and_reads_no_other() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    cluster.create_topic(REPLIES, 8).await;
    let (peer, replies) = (cluster.peer(), cluster.name(REPLIES));
    let runtime = cluster.runtime(cluster.config()).reply_reading(ReplyReading::OwnPartition).client_only();
    let running = started(runtime).await;
    let call = tokio::spawn(running.client().echo("hi".to_owned()));
    let request = peer.read(&cluster.name(TOPIC), 1).await.remove(0);
    let id = request.text("correlation-id").expect("an id");
    let own: i32 = request.text("reply-partition").and_then(|text| text.parse().ok()).expect("a partition");
    let reply = |text: &str| {
        Record::new(format!(r#"{{"success":true,"data":"{text}"}}"#)).header("correlation-id", id)
    };
    // Replies on every other partition first: none of these is read.
    for other in (0..8).filter(|partition| *partition != own) {
        peer.send(&replies, &reply("another's").partition(other)).await;
    }
    peer.send(&replies, &reply("its own").partition(own)).await;
    assert_eq!(call.await.expect("no panic"), Ok("its own".to_owned()));
    running.shutdown().await.expect("a clean shutdown");
}

/// Handles every record of a topic, whatever it is.
#[kafka_handler(topic = "alerts-events", group = "alerts", replies = none)]
async fn on_alert(alert: serde_json::Value) -> Result<(), RpcError> {
    let _ = alert;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_what_the_reference_expects() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    cluster.create_topic("alerts-events", 1).await;
    let peer = cluster.peer();
    let running = started(cluster.runtime(cluster.config()).client_only()).await;
    let client = running.client();
    client.on_alert(json!({"level": 3})).header("x-tenant", "acme").notify().await.expect("delivered");
    client.place(order("alice", 1)).notify().await.expect("delivered");

    let event = peer.read(&cluster.name("alerts-events"), 1).await.remove(0);
    assert_eq!(event.names(), ["message-id", "message-type", "timestamp", "x-tenant"]);
    assert!(is_uuid_v4(event.text("message-id").expect("an id")));
    assert_eq!(event.key.as_deref(), event.text("message-id").map(str::as_bytes));
    assert_eq!(event.text("message-type"), Some("fire-and-forget"));
    assert_eq!(event.value.as_deref(), Some(br#"{"level":3}"#.as_slice()));

    let command = peer.read(&cluster.name(TOPIC), 1).await.remove(0);
    let (id, at) =
        (command.text("message-id").expect("an id"), command.text("timestamp").expect("milliseconds"));
    let expected = format!(
        r#"{{"id":"{id}","type":"PLACE","payload":{{"account":"alice","number":1}},"timestamp":{at}}}"#
    );
    assert_eq!(command.value.as_deref(), Some(expected.as_bytes()));
    assert_eq!(command.key.as_deref(), Some(b"alice".as_slice()), "the user's own key stays the key");
    let account = Uuid::new_v4();
    let keyed = || client.place(order("alice", 1));
    for call in [keyed().key(account), keyed().key_bytes(account.into_bytes().to_vec())] {
        call.notify().await.expect("delivered");
    }
    let keys: Vec<_> =
        peer.read(&cluster.name(TOPIC), 3).await.into_iter().filter_map(|command| command.key).collect();
    for key in [account.to_string().into_bytes(), account.into_bytes().to_vec()] {
        assert!(keys.contains(&key), "{keys:?}");
    }
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_the_users_goes_where_java_and_node_send_it() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 8).await;
    let peer = cluster.peer();
    let running = started(cluster.runtime(cluster.config()).client_only()).await;
    // Kafka's own vectors of murmur2 (UtilsTest.testMurmur2), as `toPositive(hash) % 8`.
    let vectors =
        [("21", -973_932_308_i64), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536)];
    for (account, _) in vectors {
        running.client().place(order(account, 1)).notify().await.expect("delivered");
    }
    let found = peer.read(&cluster.name(TOPIC), vectors.len()).await;
    for (account, hash) in vectors {
        let record = found.iter().find(|record| record.key.as_deref() == Some(account.as_bytes()));
        let positive = i32::try_from(hash & 0x7fff_ffff).expect("31 bits");
        assert_eq!(record.and_then(|record| record.partition), Some(positive % 8), "{account}");
    }
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_of_the_protocol_cannot_be_the_callers_own() {
    let cluster = Cluster::start();
    let running = started(cluster.runtime(cluster.config()).client_only()).await;
    let call = running.client().echo("hi".to_owned()).header("Correlation-Id", "mine");
    let Err(CallError::Invalid { reason }) = call.await else { panic!("it was sent") };
    assert!(reason.contains("Correlation-Id"), "{reason}");
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_compressed_is_read_whatever_the_codec() {
    let cluster = Cluster::start();
    both_topics(&cluster).await;
    let service = OrderService::default();
    let running = cluster.serve_orders(cluster.config(), &service).await;
    for (number, codec) in (0..).zip(["gzip", "snappy", "lz4", "zstd"]) {
        let runtime = cluster.runtime(cluster.config().property("compression.type", codec)).client_only();
        let caller = started(runtime).await;
        // Compressible, or librdkafka would send it as it is.
        let account = "a".repeat(10_000);
        assert_eq!(caller.client().place(order(&account, number)).await, Ok(number), "{codec}");
        caller.shutdown().await.expect("a clean shutdown");
    }
    running.shutdown().await.expect("a clean shutdown");
}
