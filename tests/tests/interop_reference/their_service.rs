//! Our client calls the reference's service.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::future::join_all;
use kafka_rpc::{CallError, Progress, RpcError, Running};
use serde_json::{Value, json};
use tests::{BOUND, Record, cluster::started, counted, until};
use uuid::Uuid;

use crate::{
    Reference,
    contract::{About, EVENTS, GROUP, OnEventClient, OursClient, REPLIES, TOPIC, TheirsClient},
};

/// Starts our caller, which only has a client.
async fn caller(reference: &Reference) -> Running {
    started(reference.cluster.runtime(reference.cluster.config()).client_only()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn our_call_is_answered_by_its_service_with_data_and_without() {
    let Some(reference) = Reference::start().await else { return };
    let service = reference.service().await;
    let calling = caller(&reference).await;
    let client = calling.client();
    let value =
        json!({"text": "é ✓ \u{1f980}", "numbers": [0, -1.5, 9_007_199_254_740_991_u64], "null": null});
    assert_eq!(client.echo(value.clone()).await, Ok(value));
    assert_eq!(client.echo(Value::Null).await, Ok(Value::Null));
    assert_eq!(client.nothing().await, Ok(()));

    let replies = reference.cluster.peer().read(&reference.cluster.name(REPLIES), 3).await;
    for reply in &replies {
        assert_eq!(reply.names(), ["message-id", "message-type", "timestamp", "correlation-id"]);
        assert_eq!(reply.text("message-type"), Some("request-reply"));
        assert_eq!(reply.key.as_deref(), reply.text("message-id").map(str::as_bytes));
    }
    let without_data = replies.iter().filter(|reply| reply.json().get("data").is_none()).count();
    assert_eq!(without_data, 1, "what a handler of its does not return is no field");
    calling.shutdown().await.expect("a clean shutdown");
    drop(service);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_our_calls_at_once_gets_its_own_answer_from_its_service() {
    let Some(reference) = Reference::start().await else { return };
    let _service = reference.service().await;
    let calling = caller(&reference).await;
    let calls = (0..200).map(|number| calling.client().echo(json!(number)).timeout(BOUND));
    for (number, answer) in join_all(calls).await.into_iter().enumerate() {
        assert_eq!(answer, Ok(json!(number)));
    }
    // The reference's service partitions replies by their message ids, so each of the three partitions has
    // some.
    let replies = reference.cluster.peer().read(&reference.cluster.name(REPLIES), 200).await;
    let partitions: BTreeSet<_> = replies.iter().map(|reply| reply.partition).collect();
    assert_eq!(partitions.len(), 3);
    calling.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_of_an_error_of_its_service_reaches_our_caller() {
    let Some(reference) = Reference::start().await else { return };
    let _service = reference.service().await;
    let calling = caller(&reference).await;
    let client = calling.client();

    let unknown = "Unknown error occurred";
    let exceptions = [
        (
            json!({"statusCode": 400, "error": "ValidationError", "message": "Invalid API key"}),
            (400, "ValidationError", "Invalid API key"),
        ),
        (json!({"statusCode": "422", "error": "Text", "message": "a text"}), (422, "Text", "a text")),
        // The reference's service has defaults for fields that the exception lacks.
        (json!({"error": "NoStatus", "message": "m"}), (500, "NoStatus", "m")),
        (json!({"statusCode": 404, "message": "m"}), (404, "InternalServerError", "m")),
        (json!({"statusCode": 404, "error": "NotFound"}), (404, "NotFound", unknown)),
        (json!("only a text"), (500, "InternalServerError", "only a text")),
        // Fields that are present but empty are sent as they are, and read as the reference's callers read
        // them.
        (json!({"statusCode": 0, "error": "", "message": ""}), (500, "InternalServerError", "Unknown error")),
        (
            json!({"statusCode": null, "error": null, "message": null}),
            (500, "InternalServerError", "Unknown error"),
        ),
        (json!({"statusCode": 409, "error": "Taken", "message": ""}), (409, "Taken", "Taken")),
        (
            json!({"statusCode": 400, "error": "ValidationError", "message": ["a", "b"]}),
            (400, "ValidationError", r#"["a","b"]"#),
        ),
    ];
    for (given, expected) in exceptions {
        assert_eq!(parts(client.rpc_exception(given.clone()).await), owned(expected), "{given}");
    }
    assert_eq!(
        parts(client.missing().await),
        owned((500, "InternalServerError", "Unknown error")),
        "no field at all"
    );

    let errors = [
        (json!({"class": "Error", "message": "m"}), (500, "Error", "m")),
        (json!({"class": "TypeError", "message": "m"}), (500, "TypeError", "m")),
        (json!({"class": "Error", "message": "m", "own": {"statusCode": 409}}), (409, "Error", "m")),
        (json!({"class": "Error", "message": "m", "own": {"statusCode": "409"}}), (409, "Error", "m")),
        (json!({"class": "Error", "message": ""}), (500, "Error", "Error")),
        // NestJS's own HTTP exceptions have a `status`, which the package does not read.
        (json!({"class": "BadRequestException", "message": "m"}), (500, "BadRequestException", "m")),
    ];
    for (given, expected) in errors {
        assert_eq!(parts(client.error(given.clone()).await), owned(expected), "{given}");
    }
    let thrown = client.no_error(json!("a text")).await;
    assert_eq!(parts(thrown), owned((500, "InternalServerError", unknown)));
    calling.shutdown().await.expect("a clean shutdown");
}

fn parts(answer: Result<(), CallError>) -> (u16, String, String) {
    match answer {
        Err(CallError::Remote(error)) => {
            (error.status().as_u16(), error.name().to_owned(), error.message().to_owned())
        }
        other => panic!("{other:?}"),
    }
}

fn owned((status, name, message): (u16, &str, &str)) -> (u16, String, String) {
    (status, name.to_owned(), message.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_its_service_does_not_know_is_its_handlers_400() {
    let Some(reference) = Reference::start().await else { return };
    let _service = reference.service().await;
    let calling = caller(&reference).await;
    let expected = RpcError::bad_request("Unknown command type: UNHEARD_OF").with_name("ValidationError");
    assert_eq!(calling.client().unheard_of().await, Err(CallError::Remote(expected)));
    calling.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_call_ends_at_its_deadline_and_the_late_reply_of_its_service_is_dropped() {
    let Some(reference) = Reference::start().await else { return };
    counted::record();
    let service = reference.service().await;
    let calling = caller(&reference).await;
    let late = || counted("kafka_rpc_replies_dropped_total", &[("reason", "not_waited_for")]);
    let before = late();

    let answer = calling.client().hold().timeout(Duration::from_secs(1)).await;
    let Err(CallError::DeadlineExceeded { progress, .. }) = answer else { panic!("{answer:?}") };
    assert_eq!(progress, Progress::Acknowledged);
    service.says("it handles the call", |said| said["handled"]["message"]["type"] == "HOLD").await;
    service.ask(json!({"ask": "release"})).await.expect("it has a call to answer");
    reference.cluster.peer().read(&reference.cluster.name(REPLIES), 1).await;
    until("the late reply is dropped", || late() > before).await;
    assert_eq!(calling.client().echo(json!("still")).await, Ok(json!("still")));
    calling.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_headers_and_user_id_reach_its_handler() {
    let Some(reference) = Reference::start().await else { return };
    let _service = reference.service().await;
    let calling = caller(&reference).await;
    let call = calling.client().about().user_id("123").header("x-tenant", "acme").header("X-Text", "é ✓");
    let About { user_id, headers } = call.await.expect("an answer");
    assert_eq!(user_id.as_deref(), Some("123"));
    let text = |name: &str| headers.get(name).map(String::as_str);
    assert_eq!((text("x-tenant"), text("X-Text")), (Some("acme"), Some("é ✓")));
    assert_eq!(text("message-type"), Some("request-reply"));
    assert_eq!(text("reply-to"), Some(&*reference.cluster.name(REPLIES)));
    assert!(text("correlation-id").is_some_and(|id| Uuid::parse_str(id).is_ok()));
    assert!(text("deadline") > text("timestamp"), "what it does not know does not disturb it");
    assert_eq!(calling.client().about().await.expect("an answer").user_id, None);
    calling.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_events_reach_its_handler_and_are_not_answered() {
    let Some(reference) = Reference::start().await else { return };
    let service = reference.service().await;
    let calling = caller(&reference).await;
    let (client, cluster) = (calling.client(), &reference.cluster);
    client.on_event(json!({"level": 3})).header("x-tenant", "acme").notify().await.expect("delivered");
    client.echo(json!("nobody waits")).user_id("123").notify().await.expect("delivered");

    let event =
        service.says("an event", |said| said["handled"]["topic"] == cluster.name(EVENTS).as_str()).await;
    assert_eq!(event["handled"]["message"], json!({"level": 3}));
    let headers: BTreeMap<String, String> =
        serde_json::from_value(event["handled"]["headers"].clone()).expect("texts");
    let names: Vec<&str> = headers.keys().map(String::as_str).collect();
    assert_eq!(names, ["message-id", "message-type", "timestamp", "x-tenant"]);
    assert_eq!((&*headers["message-type"], &*headers["x-tenant"]), ("fire-and-forget", "acme"));

    let command =
        service.says("a command", |said| said["handled"]["topic"] == cluster.name(TOPIC).as_str()).await;
    let message = &command["handled"]["message"];
    assert_eq!(
        (&message["type"], &message["userId"], &message["payload"]),
        (&json!("ECHO"), &json!("123"), &json!("nobody waits"))
    );
    assert_eq!(client.nothing().await, Ok(()));
    // The reference's service commits once a handler has ended and its reply, if any, is sent.
    until("both commands are final", || cluster.committed_sum(GROUP, TOPIC, 3) == 2).await;
    assert_eq!(cluster.peer().all(&cluster.name(REPLIES)).await.len(), 1, "the call's");
    calling.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_service_echoes_a_correlation_id_of_any_text_and_changes_other_bytes() {
    let Some(reference) = Reference::start().await else { return };
    let _service = reference.service().await;
    let (cluster, peer) = (&reference.cluster, reference.cluster.peer());
    for id in ["any format ✓".as_bytes(), b"raw \xff"] {
        let request = Record::new(r#"{"type":"NOTHING"}"#).key("one partition").header("correlation-id", id);
        peer.send(&cluster.name(TOPIC), &request.header("reply-to", cluster.name(REPLIES))).await;
    }
    let replies = peer.read(&cluster.name(REPLIES), 2).await;
    let mut ids: Vec<_> = replies.iter().map(|reply| reply.text("correlation-id")).collect();
    ids.sort_unstable();
    assert_eq!(ids, [Some("any format ✓"), Some("raw \u{fffd}")], "why we send text");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_service_reads_what_we_compress_with_gzip() {
    let Some(reference) = Reference::start().await else { return };
    let _service = reference.service().await;
    let config = reference.cluster.config().property("compression.type", "gzip");
    let calling = started(reference.cluster.runtime(config).client_only()).await;
    let text = json!("compressible ".repeat(1_000));
    assert_eq!(calling.client().echo(text.clone()).await, Ok(text));
    calling.shutdown().await.expect("a clean shutdown");
}
