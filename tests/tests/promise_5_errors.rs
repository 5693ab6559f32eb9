//! Promise 5: errors keep their meaning, and poison never blocks a partition.

use kafka_rpc::{CallError, RpcError};
use serde_json::json;
use tests::{
    Cluster, Record,
    orders::{Failure, GROUP, OrderService, OrdersClient, REPLIES, TOPIC, order, place},
    until,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_error_keeps_its_status_name_message_code_and_details() {
    let cluster = Cluster::start();
    let running = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    let failure = Failure {
        status: 422,
        name: "ValidationError".to_owned(),
        message: "the price is \"too low\"".to_owned(),
        code: Some("E-17".to_owned()),
        details: Some(json!({"field": "price", "least": 10})),
    };
    let Err(CallError::Remote(error)) = running.client().fail(failure).await else {
        panic!("it did not fail")
    };
    assert_eq!(
        (error.status().as_u16(), error.name(), error.message(), error.code(), error.details()),
        (
            422,
            "ValidationError",
            "the price is \"too low\"",
            Some("E-17"),
            Some(&json!({"field": "price", "least": 10}))
        )
    );
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_500_and_the_runtime_goes_on() {
    let cluster = Cluster::start();
    let running = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    let client = running.client();
    let Err(CallError::Remote(error)) = client.panic().await else { panic!("it did not fail") };
    assert_eq!((error.status().as_u16(), error.name()), (500, "InternalServerError"));
    assert_eq!(client.echo("still here".to_owned()).await, Ok("still here".to_owned()));
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_gets_a_400_and_never_stops_the_partition() {
    let cluster = Cluster::start();
    cluster.create_topic(TOPIC, 1).await;
    cluster.create_topic(REPLIES, 1).await;
    let (peer, topic, replies) = (cluster.peer(), cluster.name(TOPIC), cluster.name(REPLIES));
    let poison: [(&str, Option<&[u8]>); 11] = [
        ("no JSON", Some(b"poison")),
        ("no value", None),
        ("no text", Some(b"\xff\xfe\x00")),
        ("an array", Some(b"[1,2]")),
        ("no type", Some(br#"{"payload":1}"#)),
        ("no such command", Some(br#"{"type":"NO_SUCH","payload":1}"#)),
        ("a wrong payload", Some(br#"{"type":"PLACE","payload":{"account":7}}"#)),
        ("no payload", Some(br#"{"type":"PLACE"}"#)),
        ("no end", Some(br#"{"type":"PLACE","payload":{"account":"a","number":1}"#)),
        ("no end of what takes nothing", Some(br#"{"type":"NOTHING""#)),
        ("two types of what takes nothing", Some(br#"{"type":"NOTHING","type":"PLACE"}"#)),
    ];
    for (name, value) in poison {
        let waited = Record { value: value.map(<[u8]>::to_vec), ..Record::default() };
        let waited = waited.key("a").header("correlation-id", name).header("reply-to", &replies);
        peer.send(&topic, &waited).await;
        // And once without a caller that waits.
        let unwaited = Record { value: value.map(<[u8]>::to_vec), ..Record::default() };
        peer.send(&topic, &unwaited.key("a")).await;
    }
    peer.send(&topic, &Record::new(place("a", 1)).key("a")).await;
    let service = OrderService::default();
    let running = cluster.serve_orders(cluster.config(), &service).await;
    until("what comes after the poison is handled", || service.ended() == [order("a", 1)]).await;
    for (reply, (name, _)) in peer.read(&replies, poison.len()).await.iter().zip(poison) {
        assert_eq!(reply.text("correlation-id"), Some(name));
        assert_eq!(
            (&reply.json()["success"], &reply.json()["statusCode"]),
            (&json!(false), &json!(400)),
            "{name}"
        );
    }
    let sent = 2 * poison.len() + 1;
    let committed = || usize::try_from(cluster.committed_sum(GROUP, TOPIC, 1)) == Ok(sent);
    until("all is committed", committed).await;
    running.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_larger_than_the_broker_takes_becomes_an_error_and_not_silence() {
    let cluster = Cluster::start();
    let running = cluster.serve_orders(cluster.config(), &OrderService::default()).await;
    // 17 MiB is more than our producer takes. 2 MiB is refused only by a broker, and the embedded one takes
    // records of any size.
    let refused = if cluster.is_embedded() { vec![17 << 20] } else { vec![17 << 20, 2 << 20] };
    for bytes in refused {
        let Err(CallError::Remote(error)) = running.client().large(bytes).await else {
            panic!("{bytes} bytes were not refused")
        };
        assert_eq!((error.status().as_u16(), error.name()), (500, "ReplyTooLarge"));
    }
    running.shutdown().await.expect("a clean shutdown");
}

#[test]
fn a_remote_error_is_passed_on_as_a_502_and_is_final() {
    let passed = RpcError::from(CallError::Remote(RpcError::not_found("no account")));
    assert_eq!((passed.status().as_u16(), passed.name(), passed.message()), (502, "NotFound", "no account"));
    assert!(passed.is_final());
}
