//! A record written as text, which a fuzzer can change and a person can read.
//!
//! ```text
//! @the key, if there is one
//! a-header: its value
//! a-header-that-is-null
//!
//! the value; without the empty line before it there is none
//! ```

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::{
    Headers,
    wire::{ReceivedRecord, received::UnreadableHeaders},
};

/// Reads a record; any bytes are valid.
pub(super) fn read(text: &[u8]) -> ReceivedRecord {
    let mut record = ReceivedRecord {
        topic: "orders".into(),
        partition: 2,
        offset: 7,
        timestamp: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)),
        is_append_time: false,
        key: None,
        value: None,
        headers: Ok(Headers::new()),
    };
    let mut headers = Ok(Vec::new());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, after) = end.map_or((rest, &b""[..]), |end| (&rest[..end], &rest[end + 1..]));
        rest = after;
        match line.split_first() {
            None => {
                record.value = Some(Bytes::copy_from_slice(rest));
                break;
            }
            Some((b'@', key)) => record.key = Some(Bytes::copy_from_slice(key)),
            Some(_) => match (header(line), &mut headers) {
                (Ok(header), Ok(headers)) => headers.push(header),
                _ => headers = Err(UnreadableHeaders),
            },
        }
    }
    record.headers = headers.map(Headers::as_received);
    record
}

/// Reads the name and the value of a header from its line.
fn header(line: &[u8]) -> Result<(String, Option<&[u8]>), UnreadableHeaders> {
    let colon = line.iter().position(|byte| *byte == b':');
    let (name, value) = colon.map_or((line, None), |colon| (&line[..colon], Some(&line[colon + 1..])));
    let name = str::from_utf8(name).map_err(|_not_text| UnreadableHeaders)?;
    Ok((name.to_owned(), value.map(|value| value.strip_prefix(b" ").unwrap_or(value))))
}
