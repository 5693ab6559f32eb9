//! Whatever comes in, every record has exactly one outcome, and the sums agree with the metrics.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};
use kafka_rpc::{RpcError, kafka_handler};
use tests::{
    Cluster, Record,
    cluster::started,
    counted::{self, counted},
    until,
};

/// The number of records: enough for every kind of value, key and header to meet every other.
const RECORDS: usize = 100_000;
const PARTITIONS: i32 = 16;
/// The largest value that is accepted in this test: the default is more than a broker takes.
const MAX_VALUE_BYTES: usize = 32 << 10;
/// One of this many records is larger.
const HUGE_OF: u64 = 1_000;

#[kafka_handler(
    topic = "anything-commands",
    group = "anything",
    retry(max = 1, base = "1ms"),
    register = false
)]
mod anything {
    use super::RpcError;

    #[command("ADD")]
    pub(super) async fn add(numbers: Vec<i64>) -> Result<i64, RpcError> {
        numbers
            .into_iter()
            .try_fold(0_i64, i64::checked_add)
            .ok_or_else(|| RpcError::bad_request("too large"))
    }

    #[command("FAIL")]
    pub(super) async fn fail(status: u16) -> Result<(), RpcError> {
        if status >= 500 { Err(RpcError::internal("as told")) } else { Err(RpcError::not_found("as told")) }
    }
}

/// A generator of numbers (an LCG of Knuth's), the same in every run, so that a failure can be reproduced.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn bytes(&mut self, most: u64) -> Vec<u8> {
        let length = self.below(most);
        (0..length).map(|_| u8::try_from(self.below(256)).unwrap_or_default()).collect()
    }

    fn value(&mut self) -> Option<Vec<u8>> {
        let valid = br#"{"id":"1","type":"ADD","userId":"7","payload":[1,2,3],"timestamp":1}"#;
        Some(match self.below(14) {
            0 => return None,
            1 => self.bytes(200),
            2 => valid[..usize::try_from(self.below(valid.len() as u64)).unwrap_or_default()].to_vec(),
            3 => br#"{"type":"ADD","payload":"not numbers"}"#.to_vec(),
            4 => br#"{"type":7,"payload":[1]}"#.to_vec(),
            5 => br#"{"type":"NO_SUCH","payload":[1]}"#.to_vec(),
            6 => format!(r#"{{"type":"ADD","payload":{}}}"#, "[".repeat(300)).into_bytes(),
            7 => format!(r#"{{"type":"ADD","payload":{}{}}}"#, "[".repeat(200), "]".repeat(200)).into_bytes(),
            8 => br#"{"type":"FAIL","payload":500}"#.to_vec(),
            9 => br#"{"type":"FAIL","payload":404}"#.to_vec(),
            10 => br#"{"type":"ADD","type":"ADD","payload":[1]}"#.to_vec(),
            _ => valid.to_vec(),
        })
    }

    fn header(&mut self, replies: &str) -> (String, Option<Vec<u8>>) {
        let names =
            ["correlation-id", "reply-to", "Reply-To", "deadline", "retry-count", "reply-partition", "x-own"];
        let name = names[usize::try_from(self.below(7)).unwrap_or_default()];
        let value = match self.below(6) {
            0 => None,
            1 => Some(self.bytes(40)),
            2 => Some(b"1".to_vec()),
            3 => Some(b"__consumer_offsets".to_vec()),
            _ => Some(replies.as_bytes().to_vec()),
        };
        (name.to_owned(), value)
    }

    /// A record whose value is refused unread, with or without a caller that waits.
    fn huge(&mut self, replies: &str) -> Record {
        let record = Record::new(vec![b'['; 2 * MAX_VALUE_BYTES]).key(self.bytes(4));
        let is_request = self.below(2) == 0;
        if is_request { record.header("correlation-id", "c-1").header("reply-to", replies) } else { record }
    }

    fn record(&mut self, replies: &str) -> Record {
        if self.below(HUGE_OF) == 0 {
            return self.huge(replies);
        }
        let mut record = Record { value: self.value(), ..Record::default() };
        record.partition = i32::try_from(self.below(16)).ok();
        if self.below(4) > 0 {
            record.key = Some(self.bytes(4));
        }
        if self.below(3) == 0 {
            record = record.header("correlation-id", "c-1").header("reply-to", replies);
        }
        for _ in 0..self.below(4) {
            record.headers.push(self.header(replies));
        }
        record
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_has_exactly_one_outcome_and_the_sums_agree() {
    counted::record();
    let cluster = Cluster::start();
    for topic in ["anything-commands", "anything-responses", "anything-commands.dlq"] {
        cluster.create_topic(topic, 16).await;
    }
    let (peer, topic) = (cluster.peer(), cluster.name("anything-commands"));
    let config = cluster.config().max_value_bytes(MAX_VALUE_BYTES);
    let running = started(cluster.runtime(config).handlers(anything::handlers())).await;

    let mut random = Random(7);
    let replies = cluster.name("anything-responses");
    let records: Vec<Record> = (0..RECORDS).map(|_| random.record(&replies)).collect();
    stream::iter(&records).for_each_concurrent(1_000, |record| peer.send(&topic, record)).await;

    let sent = i64::try_from(RECORDS).expect("few");
    let committed = || cluster.committed_sum("anything", "anything-commands", PARTITIONS) == sent;
    until("every partition is committed to its end", committed).await;
    running.shutdown().await.expect("a clean shutdown");

    let outcome =
        |outcome| counted("kafka_rpc_records_total", &[("topic", topic.as_str()), ("outcome", outcome)]);
    let outcomes: BTreeMap<&str, u64> = ["handled", "replied", "expired", "dead_lettered", "discarded"]
        .map(|name| (name, outcome(name)))
        .into();
    assert_eq!(outcomes.values().sum::<u64>(), RECORDS as u64, "{outcomes:?}");
    for name in ["handled", "replied", "expired", "dead_lettered"] {
        assert!(outcomes[name] > 0, "{outcomes:?}");
    }
    assert_eq!(outcomes["discarded"], 0);

    // Everything that was sent is there by now: a shutdown flushes.
    let answers = peer.all(&replies).await;
    let of = |is_so: fn(u64) -> bool| {
        answers.iter().filter(|answer| answer.json()["statusCode"].as_u64().is_some_and(is_so)).count()
    };
    // An error of the service becomes a dead letter, and also an error reply if a caller waits.
    assert_eq!(answers.len() as u64, outcomes["replied"] + of(|status| status >= 500) as u64, "{outcomes:?}");
    let is_huge = |record: &&Record| record.value.as_ref().is_some_and(|value| value.len() > MAX_VALUE_BYTES);
    let huge: Vec<&Record> = records.iter().filter(is_huge).collect();
    let asked = huge.iter().filter(|record| record.text("reply-to").is_some()).count();
    assert!(asked > 0 && asked < huge.len(), "{asked} of {}", huge.len());
    assert_eq!(of(|status| status == 413), asked);
    let refused = counted("kafka_rpc_failures_total", &[("topic", topic.as_str()), ("status", "413")]);
    assert_eq!(refused, huge.len() as u64);
    if !cluster.is_embedded() {
        // The embedded broker keeps only the last 5 MB of a partition, so these can be counted on a real one
        // only.
        let letters = peer.all(&cluster.name("anything-commands.dlq")).await;
        assert_eq!(letters.len() as u64, outcomes["dead_lettered"]);
        let refused = letters.iter().filter(|letter| letter.text("status-code") == Some("413")).count();
        assert_eq!(refused, huge.len() - asked);
    }
}
