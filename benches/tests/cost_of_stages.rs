//! Checks that the cost of the stages of a record's path does not grow. Each cost is counted or compared with
//! itself, never judged by the clock alone.

use std::time::{Duration, Instant};

use allocation_counter::measure;
use bytes::Bytes;
use kafka_rpc::__bench::{
    Dispatch, Lanes, Offsets, Pending, decode_envelope, decode_reply, encode_reply, read_request_headers,
    request_headers,
};
use uuid::Uuid;

const REQUEST: &str = r#"{"id":"1","type":"COMMAND-0","payload":{"note":"n"},"timestamp":1700000000000}"#;

/// How many times as long a step may take with a thousand times as much at work. A processor's caches account
/// for some growth; code that visits everything at work would take a thousand times as long.
const GROWTH: f64 = 10.0;

/// The steps in a measurement, and the number of measurements. The fastest counts: nothing else disturbed it.
const STEPS: u32 = 2_000;
const TIMES: usize = 15;

fn allocations(what: &str, expected: u64, mut step: impl FnMut()) {
    // The first step may allocate buffers that stay.
    step();
    let counted = measure(step).count_total;
    assert_eq!(
        counted, expected,
        "{what} allocates {counted} times and not {expected}; if that is meant, write it here"
    );
}

#[test]
fn the_cost_of_each_stage_in_allocations_does_not_grow() {
    let request = Bytes::from_static(REQUEST.as_bytes());
    allocations("reading an envelope", 0, || assert!(decode_envelope(&request).is_some()));

    let dispatch = Dispatch::of(32);
    allocations("finding a handler", 0, || assert!(dispatch.find(&request)));

    let reply = encode_reply(b"{}");
    allocations("writing a reply", 3, || assert!(!encode_reply(b"{}").is_empty()));
    allocations("reading a reply", 0, || assert!(decode_reply(&reply).is_some()));

    let headers = request_headers("an id");
    allocations("writing the headers of a request", 5, || assert!(!request_headers("an id").is_empty()));
    allocations("reading the headers of a request", 0, || assert!(read_request_headers(&headers)));

    let mut lanes = Lanes::by_key(256);
    allocations("a lane of its own, with its key as it was received", 1, || {
        let key = Bytes::copy_from_slice(b"key");
        let job = lanes.push(&key, 1).expect("the lane is free");
        assert!(lanes.finish(job).is_none());
    });

    let mut offsets = Offsets::default();
    let mut next = 0;
    allocations("a watermark in order", 0, || {
        assert!(offsets.take(next));
        offsets.finish(next);
        next += 1;
    });

    let pending = Pending::new();
    let id = Uuid::new_v4();
    allocations("a pending call", 2, || {
        let call = pending.register(id);
        assert!(call.is_some() && pending.complete(id, Bytes::new()));
    });
}

/// Returns how many times as long a step takes with a million at work as with a thousand.
fn growth(mut step_with: impl FnMut(usize) -> Box<dyn FnMut()>) -> f64 {
    let mut fastest = |at_work| {
        let mut step = step_with(at_work);
        let time = |step: &mut dyn FnMut()| {
            let began = Instant::now();
            (0..STEPS).for_each(|_| step());
            began.elapsed()
        };
        (0..TIMES).map(|_| time(&mut step)).min().unwrap_or(Duration::MAX)
    };
    let (few, many) = (fastest(1_000), fastest(1_000_000));
    many.as_secs_f64() / few.as_secs_f64()
}

#[test]
fn a_million_running_keys_do_not_slow_down_a_lane() {
    let growth = growth(|keys| {
        let mut lanes = Lanes::by_key(usize::MAX);
        for key in 0..keys {
            assert!(lanes.push(&Bytes::from(key.to_string()), 0).is_some());
        }
        let own = Bytes::from_static(b"a key of its own");
        Box::new(move || {
            let job = lanes.push(&own, 1).expect("nobody else has this key");
            assert!(lanes.finish(job).is_none());
        })
    });
    assert!(growth < GROWTH, "{growth} times as long");
}

#[test]
fn a_million_pending_calls_do_not_slow_down_another() {
    let growth = growth(|calls| {
        let pending = Pending::new();
        let waiting: Vec<_> = (0..calls).map(|_| pending.register(Uuid::new_v4())).collect();
        let id = Uuid::new_v4();
        Box::new(move || {
            let call = pending.register(id);
            assert!(pending.complete(id, Bytes::new()) && call.is_some() && !waiting.is_empty());
        })
    });
    assert!(growth < GROWTH, "{growth} times as long");
}

#[test]
fn a_million_unfinished_records_do_not_slow_down_the_watermark() {
    let growth = growth(|unfinished| {
        let mut offsets = Offsets::default();
        let mut next = 0;
        // Every second record is unfinished: the most ranges possible.
        for _ in 0..unfinished {
            assert!(offsets.take(next) && offsets.take(next + 1));
            offsets.finish(next + 1);
            next += 2;
        }
        Box::new(move || {
            assert!(offsets.take(next));
            offsets.finish(next);
            next += 1;
        })
    });
    assert!(growth < GROWTH, "{growth} times as long");
}
