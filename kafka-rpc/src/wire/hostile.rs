//! Runs the checks of `crate::fuzzing` on random records, and on the corpus of the fuzz targets.

use std::{fs, path::Path, time::SystemTime};

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};

use super::Headers;
use super::ReceivedRecord;
use crate::fuzzing;

/// Arbitrary bytes, and JSON with any part replaced by arbitrary bytes, as a fuzzer would soon find.
fn values() -> impl Strategy<Value = Bytes> {
    let json = prop_oneof![
        Just(r#"{"id":"1","type":"CONNECT","userId":"7","payload":{"a":[1]},"timestamp":1}"#),
        Just(r#"{"success":true,"data":{"a":[1]},"timestamp":1}"#),
        Just(r#"{"success":false,"statusCode":400,"error":"E","message":"m","code":"c","details":[1]}"#),
    ];
    let mutated =
        (json, any::<prop::sample::Index>(), vec(any::<u8>(), 0..8)).prop_map(|(json, at, bytes)| {
            let mut value = json.as_bytes().to_vec();
            let at = at.index(value.len());
            value.splice(at..(at + bytes.len() / 2).min(json.len()), bytes);
            Bytes::from(value)
        });
    prop_oneof![vec(any::<u8>(), 0..300).prop_map(Bytes::from), mutated]
}

fn headers() -> impl Strategy<Value = Headers> {
    let name = prop_oneof![
        prop::sample::select(&[
            "correlation-id",
            "Reply-To",
            "deadline",
            "message-type",
            "reply-partition",
            "kafka_correlationId",
            "kafka_replyTopic",
            "kafka_replyPartition",
            "kafka_nest-err",
            "kafka_exception-message",
            "rpc-error",
            "retry-count",
            "retry-timestamp",
            "original-topic",
            "original-offset",
            "kafka_dlt-original-partition",
            "failed-at",
            "status-code",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    let value = proptest::option::of(prop_oneof![
        vec(any::<u8>(), 0..40),
        any::<i128>().prop_map(|number| number.to_string().into_bytes()),
    ]);
    vec((name, value), 0..12).prop_map(Headers::as_received)
}

fn records() -> impl Strategy<Value = ReceivedRecord> {
    let optional = proptest::option::of;
    (headers(), optional(values()), optional(values())).prop_map(|(headers, key, value)| ReceivedRecord {
        topic: "orders".into(),
        partition: 2,
        offset: 7,
        timestamp: Some(SystemTime::UNIX_EPOCH),
        is_append_time: false,
        key,
        value,
        headers: Ok(headers),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn an_envelope_is_read_or_refused(value in values()) {
        fuzzing::envelope(&value);
    }

    #[test]
    fn a_reply_is_read_or_refused(record in records()) {
        fuzzing::check_reply(&record);
    }

    #[test]
    fn a_request_is_answered_as_it_came(record in records()) {
        fuzzing::check_request(&record);
    }

    #[test]
    fn a_dead_letter_tells_what_it_was_written_with(record in records()) {
        fuzzing::check_dead_letter(&record);
    }
}

/// The corpus holds inputs that libFuzzer found interesting, and some written by hand.
#[test]
fn the_corpus_of_the_fuzz_targets_holds() {
    type Check = fn(&[u8]);
    let targets: [(&str, Check); 4] = [
        ("envelope", fuzzing::envelope),
        ("reply", fuzzing::reply),
        ("request", fuzzing::request),
        ("dead_letter", fuzzing::dead_letter),
    ];
    for (target, check) in targets {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
        let files = fs::read_dir(&corpus).expect("the corpus").map(|file| file.expect("a file").path());
        let files: Vec<_> = files.collect();
        assert!(!files.is_empty(), "{} holds nothing", corpus.display());
        for file in files {
            println!("{}", file.display());
            check(&fs::read(&file).expect("a file"));
        }
    }
}
