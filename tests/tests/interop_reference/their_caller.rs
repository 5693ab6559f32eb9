//! The reference's callers call our service: through NestJS, and through the core, whose errors keep status
//! and name.

use serde_json::{Value, json};
use tests::{BOUND, eventually, interop::Program, until};

use crate::{
    Reference,
    contract::{DEAD_LETTERS, EVENTS, GROUP, REPLIES, Service, TOPIC},
};

/// The timeout of the reference's callers. No call reaches it; tests of timeouts set a shorter one.
const TIMEOUT: u128 = BOUND.as_millis();

/// A question that makes one of the reference's callers send `message` as a command, and wait.
fn call(reference: &Reference, message: &Value) -> Value {
    let topic = reference.cluster.name(TOPIC);
    json!({"ask": "call", "topic": topic, "message": message, "timeout": TIMEOUT})
}

fn command(kind: &str, payload: &Value) -> Value {
    json!({"id": "1", "type": kind, "payload": payload, "timestamp": 1})
}

async fn failure(caller: &Program, question: Value) -> Value {
    caller.ask(question).await.expect_err("an error")
}

#[tokio::test(flavor = "multi_thread")]
async fn its_calls_are_answered_by_our_service_with_data_and_without() {
    let Some(reference) = Reference::start().await else { return };
    let serving = Service::default().serve(&reference.cluster).await;
    let (nest, core) = tokio::join!(reference.caller(), reference.core());
    for caller in [&nest, &core] {
        let value = json!({"text": "é ✓ \u{1f980}", "numbers": [0, -1.5], "null": null});
        let answer = caller.ask(call(&reference, &command("ECHO", &value))).await;
        assert_eq!(answer, Ok(json!({"type": "object", "data": value})));
        let answer = caller.ask(call(&reference, &command("NOTHING", &Value::Null))).await;
        assert_eq!(answer, Ok(json!({"type": "undefined"})));
    }
    serving.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_requests_and_events_are_what_the_protocol_says() {
    let Some(reference) = Reference::start().await else { return };
    let serving = Service::default().serve(&reference.cluster).await;
    let (cluster, peer) = (&reference.cluster, reference.cluster.peer());
    let core = reference.core().await;
    let mut question = call(&reference, &command("ECHO", &json!("hi")));
    question["headers"] = json!({"x-tenant": "acme"});
    core.ask(question).await.expect("an answer");
    let request = peer.read(&cluster.name(TOPIC), 1).await.remove(0);
    assert_eq!(request.names(), ["correlation-id", "reply-to", "message-type", "timestamp", "x-tenant"]);
    assert_eq!(request.key.as_deref(), request.text("correlation-id").map(str::as_bytes));
    assert_eq!(request.text("message-type"), Some("request-reply"));

    let event = json!({"ask": "event", "topic": cluster.name(EVENTS), "message": {"level": 3}});
    core.ask(event).await.expect("delivered");
    let event = peer.read(&cluster.name(EVENTS), 1).await.remove(0);
    assert_eq!(event.names(), ["message-id", "message-type", "timestamp"]);
    assert_eq!(event.key.as_deref(), event.text("message-id").map(str::as_bytes));
    assert_eq!(event.text("message-type"), Some("fire-and-forget"));
    serving.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_of_an_error_of_our_service_reaches_its_core() {
    let Some(reference) = Reference::start().await else { return };
    let serving = Service::default().serve(&reference.cluster).await;
    let core = reference.core().await;
    let cases = [
        ((400, "ValidationError", "Invalid API key"), "Invalid API key"),
        ((503, "Down", "é ✓"), "é ✓"),
        ((599, "Odd", "no status of HTTP's list"), "no status of HTTP's list"),
        // Without a message, the reference's callers show the name.
        ((409, "Taken", ""), "Taken"),
    ];
    for ((status, name, message), shown) in cases {
        let failure = json!({
            "status": status, "name": name, "message": message, "code": "E1", "details": {"field": "key"},
        });
        let error = self::failure(&core, call(&reference, &command("FAIL", &failure))).await;
        let expected = json!({
            "kind": "RpcRequestError", "name": "RpcRequestError",
            "message": shown, "statusCode": status, "errorName": name,
        });
        assert_eq!(error, expected, "neither `code` nor `details` disturbs it");
    }
    serving.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_message_of_an_error_of_our_service_reaches_its_nest_service() {
    let Some(reference) = Reference::start().await else { return };
    let serving = Service::default().serve(&reference.cluster).await;
    let nest = reference.caller().await;
    let failed = json!({"status": 400, "name": "ValidationError", "message": "Invalid API key"});
    let error = failure(&nest, call(&reference, &command("FAIL", &failed))).await;
    // The package wraps the error, which loses status and name: no server can prevent that.
    let expected = json!({
        "kind": "KafkaClientError", "name": "KafkaClientError", "message": "Invalid API key",
        "cause": "RpcRequestError",
    });
    assert_eq!(error, expected);
    serving.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_handler_of_ours_takes_is_a_400_at_its_caller() {
    let Some(reference) = Reference::start().await else { return };
    let serving = Service::default().serve(&reference.cluster).await;
    let core = reference.core().await;
    let cases = [
        (call(&reference, &command("UNHEARD_OF", &Value::Null)), "UnknownCommand"),
        (call(&reference, &command("FAIL", &json!("another payload"))), "BadRequest"),
        (call(&reference, &json!("no envelope")), "BadRequest"),
        (call(&reference, &json!({"payload": "no type"})), "BadRequest"),
    ];
    for (question, name) in cases {
        let error = failure(&core, question.clone()).await;
        assert_eq!((&error["statusCode"], &error["errorName"]), (&json!(400), &json!(name)), "{question}");
    }
    serving.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_call_ends_at_its_timeout_where_our_handler_sends_no_reply() {
    let Some(reference) = Reference::start().await else { return };
    let serving = Service::default().serve(&reference.cluster).await;
    let nest = reference.caller().await;
    let mut question = call(&reference, &command("SILENT", &Value::Null));
    question["timeout"] = json!(500);
    assert_eq!(failure(&nest, question).await["code"], "REQUEST_TIMEOUT");
    let still = nest.ask(call(&reference, &command("ECHO", &json!("still")))).await;
    assert_eq!(still, Ok(json!({"type": "string", "data": "still"})));
    serving.shutdown().await.expect("a clean shutdown");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_additional_headers_and_user_id_reach_our_handler() {
    let Some(reference) = Reference::start().await else { return };
    let serving = Service::default().serve(&reference.cluster).await;
    let nest = reference.caller().await;
    let mut message = command("ABOUT", &Value::Null);
    message["userId"] = json!("123");
    let mut question = call(&reference, &message);
    question["headers"] = json!({"x-tenant": "acme", "X-Text": "é ✓"});
    let about = nest.ask(question).await.expect("an answer")["data"].take();
    assert_eq!(about["userId"], "123");
    let headers = &about["headers"];
    assert_eq!((&headers["x-tenant"], &headers["X-Text"]), (&json!("acme"), &json!("é ✓")));
    let names: Vec<&String> = headers.as_object().expect("headers").keys().collect();
    assert_eq!(names.len(), 6, "those, and the four of the protocol: {names:?}");

    // The caller's headers may replace those of the protocol. Even so, nothing is written where the reply
    // does not belong.
    let elsewhere = reference.cluster.name(EVENTS);
    let mut question = call(&reference, &message);
    question["headers"] = json!({"reply-to": elsewhere});
    question["timeout"] = json!(500);
    assert_eq!(failure(&nest, question).await["code"], "REQUEST_TIMEOUT");
    let peer = reference.cluster.peer();
    let letter = peer.read(&reference.cluster.name(DEAD_LETTERS), 1).await.remove(0);
    assert_eq!(letter.text("reply-to"), Some(&*elsewhere));
    let committed = || reference.cluster.committed_sum(GROUP, TOPIC, 3) == 2;
    until("both are final", committed).await;
    serving.shutdown().await.expect("a clean shutdown");
    // Everything that would have been sent is sent by now: a shutdown flushes.
    assert!(peer.all(&elsewhere).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn its_events_reach_our_handlers_and_are_not_answered() {
    let Some(reference) = Reference::start().await else { return };
    let service = Service::default();
    let serving = service.serve(&reference.cluster).await;
    let cluster = &reference.cluster;
    let (nest, core) = tokio::join!(reference.caller(), reference.core());
    let (events, commands) = (cluster.name(EVENTS), cluster.name(TOPIC));
    let event = |topic: &str, message: Value| json!({"ask": "event", "topic": topic, "message": message});
    nest.ask(event(&events, json!({"from": "nest"}))).await.expect("delivered");
    let mut with_headers = event(&events, json!({"from": "core"}));
    with_headers["headers"] = json!({"x-tenant": "acme"});
    core.ask(with_headers).await.expect("delivered");
    let batch = json!({"ask": "events", "topic": events, "messages": [{"from": "batch"}, ["of", "two"]]});
    core.ask(batch).await.expect("delivered");
    nest.ask(event(&commands, command("ECHO", &json!("nobody waits")))).await.expect("delivered");

    let handled = eventually("they are handled", || {
        let handled = service.handled();
        (handled.len() == 5).then_some(handled)
    })
    .await;
    let of = |value: Value| handled.iter().find(|(own, _)| *own == value).map(|(_, headers)| headers);
    for value in
        [json!({"from": "nest"}), json!({"from": "batch"}), json!(["of", "two"]), json!("nobody waits")]
    {
        let headers = of(value).expect("handled");
        let names: Vec<&str> = headers.keys().map(String::as_str).collect();
        assert_eq!(names, ["message-id", "message-type", "timestamp"]);
        assert_eq!(headers["message-type"], "fire-and-forget");
    }
    assert_eq!(of(json!({"from": "core"})).expect("handled")["x-tenant"], "acme");
    nest.ask(call(&reference, &command("NOTHING", &Value::Null))).await.expect("an answer");
    until("both commands are final", || cluster.committed_sum(GROUP, TOPIC, 3) == 2).await;
    serving.shutdown().await.expect("a clean shutdown");
    assert_eq!(cluster.peer().all(&cluster.name(REPLIES)).await.len(), 1, "the call's");
}
