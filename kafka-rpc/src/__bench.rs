//! The pure stages that a record passes through, for this project's benchmarks only. No promise of stability.
#![expect(missing_debug_implementations, reason = "nobody else's business")]

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::{
    Headers, Location,
    client::pending,
    handler::{Handler, Ordering},
    server::{handling::dispatch, running::lanes, tracking::offsets},
    wire::{Encoded, Peer, ReceivedReply, ReplyTo, clock, envelope, reply},
};

/// Decodes an envelope and returns the length of its payload.
pub fn decode_envelope(value: &Bytes) -> Option<usize> {
    envelope::decode(value).ok().map(|envelope| envelope.payload.map_or(0, str::len))
}

pub fn encode_reply(data: &[u8]) -> Bytes {
    reply::encode_success(Some(data), 1_700_000_000_000)
}

pub fn decode_reply(value: &Bytes) -> Option<usize> {
    reply::decode(value).ok()?.ok().map(|data| data.bytes().len())
}

/// Builds the headers of a request.
pub fn request_headers(id: &str) -> Headers {
    let reply_to = ReplyTo { topic: "orders-responses", partition: None };
    Peer::Reference.request(id, reply_to, std::time::UNIX_EPOCH, Headers::new(), clock::now_millis())
}

/// Reads the headers of a request and returns whether it asks for a reply.
pub fn read_request_headers(headers: &Headers) -> bool {
    Peer::Reference.read_request(headers).return_address().is_some()
}

pub struct Dispatch(dispatch::Dispatch);

impl Dispatch {
    /// A table of `commands` commands, named `COMMAND-0`, `COMMAND-1` and so on.
    pub fn of(commands: usize) -> Self {
        let handler = || {
            let here = Location { file: file!(), line: line!() };
            Handler::command(
                || Ok(String::new()),
                "handler",
                here,
                |_| {},
                |_| Box::pin(std::future::pending()),
            )
        };
        let commands = (0..commands).map(|number| (format!("COMMAND-{number}"), handler())).collect();
        Self(dispatch::Dispatch { commands, fallback: None })
    }

    /// Returns whether a handler takes the record.
    pub fn find(&self, value: &Bytes) -> bool {
        self.0.find(Some(Encoded::json(value.clone()))).is_ok()
    }
}

pub struct Lanes {
    keys: lanes::Keys,
    lanes: lanes::Lanes<u64>,
}
pub struct Job(lanes::Job<u64>);

impl Lanes {
    pub fn by_key(concurrency: usize) -> Self {
        Self { keys: lanes::Keys::new(Ordering::Key), lanes: lanes::Lanes::new(concurrency) }
    }

    /// Adds an item and returns the job that may run now, if any.
    pub fn push(&mut self, key: &Bytes, item: u64) -> Option<Job> {
        self.lanes.push(self.keys.lane(0, Some(key)), item);
        self.lanes.next().map(Job)
    }

    /// Ends a job and returns the one that may run in its place, if any.
    #[expect(clippy::needless_pass_by_value, reason = "a job is over with this")]
    pub fn finish(&mut self, job: Job) -> Option<Job> {
        self.lanes.finish(job.0.lane);
        self.lanes.next().map(Job)
    }
}

#[derive(Default)]
pub struct Offsets(offsets::Offsets);

impl Offsets {
    pub fn take(&mut self, offset: i64) -> bool {
        self.0.take(offset)
    }

    pub fn finish(&mut self, offset: i64) {
        self.0.finish(offset);
    }

    pub fn watermark(&self) -> Option<i64> {
        self.0.watermark()
    }
}

#[derive(Clone)]
pub struct Pending(Arc<pending::Pending>);
pub struct PendingCall(#[expect(dead_code, reason = "it waits while it is held")] pending::PendingCall);

impl Pending {
    pub fn new() -> Self {
        Self(pending::Pending::new(usize::MAX))
    }

    pub fn register(&self, id: Uuid) -> Option<PendingCall> {
        self.0.register(id, false).ok().map(PendingCall)
    }

    /// Ends a call and returns whether it was waiting.
    pub fn complete(&self, id: Uuid, answer: Bytes) -> bool {
        let waiting = self.0.take(id);
        let waited = waiting.is_some();
        if let Some(waiting) = waiting {
            waiting.answer(Ok(ReceivedReply { value: Some(answer), headers: Headers::new() }));
        }
        waited
    }
}

impl Default for Pending {
    fn default() -> Self {
        Self::new()
    }
}
