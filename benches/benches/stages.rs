//! The pure stages of a record's path: the time and the allocations of each, and how they grow with the
//! number of records or calls at work.
#![expect(clippy::expect_used, reason = "a benchmark that cannot go on ends")]

use bytes::Bytes;
use divan::{AllocProfiler, Bencher, black_box, counter::BytesCount};
use kafka_rpc::__bench::{
    Dispatch, Lanes, Offsets, Pending, decode_envelope, decode_reply, encode_reply, read_request_headers,
    request_headers,
};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// The number of records or calls at work beside the measured one.
const AT_WORK: [usize; 3] = [1, 1_000, 1_000_000];
const PAYLOADS: [usize; 3] = [256, 4 << 10, 64 << 10];

fn main() {
    divan::main();
}

fn data(bytes: usize) -> String {
    format!(r#"{{"note":"{}"}}"#, "n".repeat(bytes))
}

fn request(command: &str, bytes: usize) -> Bytes {
    let id = Uuid::new_v4();
    let payload = data(bytes);
    format!(r#"{{"id":"{id}","type":"{command}","payload":{payload},"timestamp":1700000000000}}"#).into()
}

#[divan::bench(args = PAYLOADS)]
fn envelope_decode(bencher: Bencher<'_, '_>, bytes: usize) {
    let value = request("PLACE", bytes);
    bencher.counter(BytesCount::new(value.len())).bench(|| decode_envelope(black_box(&value)));
}

#[divan::bench(args = PAYLOADS)]
fn reply_encode(bencher: Bencher<'_, '_>, bytes: usize) {
    let data = data(bytes);
    bencher.counter(BytesCount::new(data.len())).bench(|| encode_reply(black_box(data.as_bytes())));
}

#[divan::bench(args = PAYLOADS)]
fn reply_decode(bencher: Bencher<'_, '_>, bytes: usize) {
    let value = encode_reply(data(bytes).as_bytes());
    bencher.counter(BytesCount::new(value.len())).bench(|| decode_reply(black_box(&value)));
}

#[divan::bench]
fn request_headers_write(bencher: Bencher<'_, '_>) {
    let id = Uuid::new_v4().to_string();
    bencher.bench(|| request_headers(black_box(&id)));
}

#[divan::bench]
fn request_headers_read(bencher: Bencher<'_, '_>) {
    let headers = request_headers(&Uuid::new_v4().to_string());
    bencher.bench(|| read_request_headers(black_box(&headers)));
}

/// Includes decoding the envelope.
#[divan::bench(args = [1, 32, 1_000])]
fn dispatch_lookup(bencher: Bencher<'_, '_>, commands: usize) {
    let dispatch = Dispatch::of(commands);
    let value = request(&format!("COMMAND-{}", commands / 2), 256);
    bencher.bench(|| dispatch.find(black_box(&value)));
}

/// A record whose key nobody else has is pushed, may run at once and finishes, while the given number of
/// other keys run.
#[divan::bench(args = AT_WORK)]
fn lane_of_its_own(bencher: Bencher<'_, '_>, keys: usize) {
    let mut lanes = Lanes::by_key(usize::MAX);
    let _running: Vec<_> = (0..keys).map(|key| lanes.push(&Bytes::from(key.to_string()), 0)).collect();
    bencher.bench_local(|| {
        // A fresh copy, as a received record has.
        let key = Bytes::copy_from_slice(black_box(b"a key of its own"));
        let job = lanes.push(&key, 1).expect("nobody else has this key");
        lanes.finish(job).is_none()
    });
}

/// A record waits for another of its key and then takes over the lane, while the given number of other keys
/// run.
#[divan::bench(args = AT_WORK)]
fn lane_hand_over(bencher: Bencher<'_, '_>, keys: usize) {
    let mut lanes = Lanes::by_key(usize::MAX);
    let _running: Vec<_> = (0..keys).map(|key| lanes.push(&Bytes::from(key.to_string()), 0)).collect();
    let key = Bytes::from_static(b"a key of its own");
    let mut running = lanes.push(&key, 1);
    bencher.bench_local(|| {
        let key = Bytes::copy_from_slice(black_box(b"a key of its own"));
        let waits = lanes.push(&key, 1).is_none();
        running = running.take().and_then(|job| lanes.finish(job));
        waits
    });
}

/// A record is taken and finished, while the given number of records before it are unfinished.
#[divan::bench(args = AT_WORK)]
fn watermark(bencher: Bencher<'_, '_>, unfinished: usize) {
    let mut offsets = with_gaps(unfinished);
    let mut next = i64::try_from(unfinished).unwrap_or(0) * 2;
    bencher.bench_local(|| {
        offsets.take(next);
        offsets.finish(black_box(next));
        next += 1;
        offsets.watermark()
    });
}

/// Leaves every second record unfinished: the most ranges possible.
fn with_gaps(unfinished: usize) -> Offsets {
    let mut offsets = Offsets::default();
    for offset in 0..i64::try_from(unfinished).unwrap_or(0) * 2 {
        offsets.take(offset);
        if offset % 2 == 1 {
            offsets.finish(offset);
        }
    }
    offsets
}

/// A call is registered and completed, while the given number of other calls wait.
#[divan::bench(args = AT_WORK)]
fn pending_insert_and_complete(bencher: Bencher<'_, '_>, others: usize) {
    let pending = Pending::new();
    let _waiting: Vec<_> = (0..others).map(|_| pending.register(Uuid::new_v4())).collect();
    let answer = Bytes::from_static(b"{}");
    let id = Uuid::new_v4();
    bencher.bench_local(|| {
        let call = pending.register(black_box(id));
        let found = pending.complete(id, answer.clone());
        (call, found)
    });
}
