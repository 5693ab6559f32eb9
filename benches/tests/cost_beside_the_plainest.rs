//! Times each stage of a record's path beside the plainest code that does the same work, in turns on the same
//! machine. A stage that becomes twice as slow fails its test, on fast machines and on slow ones.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hint::black_box,
    sync::Mutex,
    time::{Duration, Instant},
};

use bytes::Bytes;
use kafka_rpc::__bench::{
    Dispatch, Lanes, Offsets, Pending, decode_envelope, decode_reply, encode_reply, read_request_headers,
    request_headers,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::oneshot;
use uuid::Uuid;

const REQUEST: &str =
    r#"{"id":"1","type":"COMMAND-0","payload":{"note":"n"},"userId":"7","timestamp":1700000000000}"#;

// The measured ratios, without and with optimisation.
const ENVELOPE: [f64; 2] = [1.1, 1.0];
const DISPATCH: [f64; 2] = [0.65, 0.26];
const WRITE_REPLY: [f64; 2] = [0.2, 1.2];
const READ_REPLY: [f64; 2] = [1.2, 1.2];
const WRITE_HEADERS: [f64; 2] = [0.33, 0.65];
const READ_HEADERS: [f64; 2] = [1.6, 1.9];
const LANE: [f64; 2] = [0.58, 0.53];
const OFFSET: [f64; 2] = [0.25, 0.3];
const PENDING: [f64; 2] = [1.8, 1.9];

/// The factor by which a ratio may exceed its measured value: two machines or two compilers may differ by
/// this much.
const MORE: f64 = 1.4;

/// The steps in a measurement, and the number of measurements. The fastest counts: nothing else disturbed it.
const STEPS: u32 = 500;
const TIMES: usize = 60;

/// Returns how many times as long a stage takes as the plainest code.
fn over_the_plainest(mut stage: impl FnMut(), mut plainest: impl FnMut()) -> f64 {
    let time = |step: &mut dyn FnMut()| {
        let began = Instant::now();
        (0..STEPS).for_each(|_| step());
        began.elapsed()
    };
    let (mut own, mut other) = (Duration::MAX, Duration::MAX);
    for _ in 0..TIMES {
        own = own.min(time(&mut stage));
        other = other.min(time(&mut plainest));
    }
    own.as_secs_f64() / other.as_secs_f64()
}

fn holds(stage: &str, ratio: f64, [plain, optimised]: [f64; 2]) {
    let measured = if cfg!(debug_assertions) { plain } else { optimised };
    println!("{stage}: {ratio:.2} times the plainest");
    assert!(
        ratio < MORE * measured,
        "{stage} takes {ratio:.2} times as long as the plainest code, and took {measured}; if that is meant, write it here"
    );
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    id: &'a str,
    r#type: &'a str,
    user_id: Option<&'a str>,
    #[serde(borrow)]
    payload: &'a RawValue,
    timestamp: u64,
}

#[derive(Deserialize, Serialize)]
struct Reply<'a> {
    success: bool,
    #[serde(borrow)]
    data: &'a RawValue,
    timestamp: u64,
}

#[test]
fn reading_an_envelope_and_finding_its_handler() {
    let request = Bytes::from_static(REQUEST.as_bytes());
    let plainest = || {
        let envelope: Envelope<'_> = serde_json::from_slice(&request).expect("an envelope");
        black_box(envelope.payload.get().len());
    };
    let ratio = over_the_plainest(|| assert!(decode_envelope(&request).is_some()), plainest);
    holds("reading an envelope", ratio, ENVELOPE);

    let dispatch = Dispatch::of(32);
    let handlers: HashMap<String, usize> = (0..32).map(|id| (format!("COMMAND-{id}"), id)).collect();
    let plainest = || {
        let envelope: Envelope<'_> = serde_json::from_slice(&request).expect("an envelope");
        assert!(handlers.contains_key(envelope.r#type));
    };
    let ratio = over_the_plainest(|| assert!(dispatch.find(&request)), plainest);
    holds("finding a handler", ratio, DISPATCH);
}

#[test]
fn writing_and_reading_a_reply() {
    let data: Box<RawValue> = serde_json::from_str(r#"{"note":"n"}"#).expect("JSON");
    let plainest = || {
        let reply = Reply { success: true, data: &data, timestamp: 1_700_000_000_000 };
        black_box(serde_json::to_vec(&reply).expect("JSON"));
    };
    let ratio = over_the_plainest(|| drop(black_box(encode_reply(data.get().as_bytes()))), plainest);
    holds("writing a reply", ratio, WRITE_REPLY);

    let reply = encode_reply(data.get().as_bytes());
    let plainest = || {
        let reply: Reply<'_> = serde_json::from_slice(&reply).expect("a reply");
        black_box(reply.data.get().len());
    };
    let ratio = over_the_plainest(|| assert!(decode_reply(&reply).is_some()), plainest);
    holds("reading a reply", ratio, READ_REPLY);
}

#[test]
fn writing_and_reading_the_headers_of_a_request() {
    let plainest = || {
        let texts = ["an id", "orders-responses", "request-reply"].map(str::to_owned);
        let times = [1_700_000_000_000_u64, 1_700_000_000_000].map(|time| time.to_string());
        let names = ["correlation-id", "reply-to", "message-type", "timestamp", "deadline"];
        let headers: HashMap<&str, String> = names.into_iter().zip(texts.into_iter().chain(times)).collect();
        black_box(headers);
    };
    let ratio = over_the_plainest(|| assert!(!request_headers("an id").is_empty()), plainest);
    holds("writing the headers of a request", ratio, WRITE_HEADERS);

    let headers = request_headers("an id");
    let own: Vec<(String, Vec<u8>)> =
        headers.iter().map(|(name, value)| (name.to_owned(), value.unwrap_or_default().to_vec())).collect();
    let plainest = || {
        let of_name = |name: &str| own.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        let text = |name| of_name(name).and_then(|(_, value)| std::str::from_utf8(value).ok());
        black_box((text("correlation-id"), text("reply-to"), text("reply-partition")));
        black_box(text("deadline").and_then(|text| text.parse::<u64>().ok()));
    };
    let ratio = over_the_plainest(|| assert!(read_request_headers(&headers)), plainest);
    holds("reading the headers of a request", ratio, READ_HEADERS);
}

#[test]
fn a_turn_in_a_lane() {
    let mut lanes = Lanes::by_key(256);
    let mut plain: HashMap<Bytes, VecDeque<u64>> = HashMap::new();
    let key = Bytes::from_static(b"a key");
    let stage = || {
        let job = lanes.push(&key, 1).expect("the lane is free");
        assert!(lanes.finish(job).is_none());
    };
    let plainest = || {
        plain.entry(key.clone()).or_default().push_back(1);
        assert!(plain.remove(&key).is_some());
    };
    holds("a turn in a lane", over_the_plainest(stage, plainest), LANE);
}

#[test]
fn an_offset_that_is_taken_and_finished() {
    let mut offsets = Offsets::default();
    let mut plain = BTreeSet::new();
    let (mut next, mut plain_next) = (0, 0);
    let stage = || {
        assert!(offsets.take(next));
        offsets.finish(next);
        next += 1;
    };
    let plainest = || {
        assert!(plain.insert(plain_next));
        assert!(plain.remove(&plain_next));
        plain_next += 1;
        black_box(plain.first());
    };
    holds("an offset that is taken and finished", over_the_plainest(stage, plainest), OFFSET);
}

#[test]
fn a_call_that_waits_and_is_answered() {
    let pending = Pending::new();
    let plain: Mutex<HashMap<Uuid, oneshot::Sender<Bytes>>> = Mutex::default();
    let id = Uuid::new_v4();
    let stage = || {
        let call = pending.register(id);
        assert!(call.is_some() && pending.complete(id, Bytes::new()));
    };
    let plainest = || {
        let (caller, answer) = oneshot::channel();
        plain.lock().expect("not poisoned").insert(id, caller);
        let caller = plain.lock().expect("not poisoned").remove(&id).expect("it waits");
        assert!(caller.send(Bytes::new()).is_ok());
        drop(answer);
    };
    holds("a call that waits and is answered", over_the_plainest(stage, plainest), PENDING);
}
