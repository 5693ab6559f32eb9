//! The value of a command, and which handler takes it.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::json::{Members, TwoOfAName};
use crate::{
    Location,
    handler::{Handler, PayloadSource, Reply, payload::Unread},
    server::handling::dispatch::Dispatch,
    wire::{
        Encoded, codec,
        envelope::{self, Envelope},
    },
};

/// Checks that an envelope is an object with valid members, once each, that its payload is not copied, and
/// that what was read is written so that it reads the same.
pub fn envelope(value: &[u8]) {
    let read = envelope::decode(value).ok();
    assert_eq!(read, expected(value));
    if let Some(read) = &read {
        let lies_within = |payload: &str| value.as_ptr_range().contains(&payload.as_ptr());
        assert!(read.payload.is_none_or(lies_within), "{read:?}");
        let payload = read.payload.unwrap_or("null").as_bytes();
        let again = envelope::encode("id", read.command.as_deref(), read.user_id.as_deref(), payload, 1);
        assert_eq!(envelope::decode(&again).ok().as_ref(), Some(read));
    }
    told_ahead(value, read.as_ref());
    dispatched(Some(&Encoded::json(Bytes::copy_from_slice(value))));
    nothing_is_told(&String::from_utf8_lossy(value));
}

/// Checks the command that is found ahead, and the payload that is read in one pass, against the envelope.
fn told_ahead(value: &[u8], read: Option<&Envelope<'_>>) {
    let command = envelope::command_ahead(value);
    let payload = envelope::decode_payload::<Value>(value);
    let Some(read) = read else { return assert!(payload.is_err()) };
    assert!(command.is_none_or(|command| read.command.as_deref() == Some(command)), "{command:?}");
    let alone = codec::decode(read.payload.unwrap_or("null").as_bytes()).ok();
    assert_eq!(payload.map(Result::ok).ok(), Some(alone));
}

fn expected(value: &[u8]) -> Option<Envelope<'_>> {
    let members = Members::read(value)?;
    let command = match members.one("type").ok()? {
        None => String::new(),
        Some(command) => serde_json::from_str(command).ok()?,
    };
    Some(Envelope {
        command: (!command.is_empty()).then_some(command.into()),
        user_id: user_id(&members).ok()?.filter(|id| !id.is_empty()),
        payload: members.one("payload").ok()?.filter(|payload| *payload != "null"),
    })
}

/// Returns the user's id, a string or an integer, if there is one.
fn user_id(members: &Members<'_>) -> Result<Option<String>, Unfit> {
    Ok(match members.one("userId")?.map(serde_json::from_str).transpose()? {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(Value::Number(number)) if !number.is_f64() => Some(number.to_string()),
        Some(_) => return Err(Unfit),
    })
}

struct Unfit;

impl From<TwoOfAName> for Unfit {
    fn from(_: TwoOfAName) -> Self {
        Self
    }
}

impl From<serde_json::Error> for Unfit {
    fn from(_: serde_json::Error) -> Self {
        Self
    }
}

const HERE: Location = Location { file: file!(), line: line!() };
/// The command that has a handler.
const KNOWN: &str = "CONNECT";

/// Checks that every record goes to the handler that it belongs to, or is refused with a short 400.
pub(super) fn dispatched(value: Option<&Encoded>) {
    for has_command in [false, true] {
        for fallback in
            [None, Some(PayloadSource::Envelope), Some(PayloadSource::Value), Some(PayloadSource::Record)]
        {
            taken(&dispatch(has_command, fallback), has_command, fallback, value);
        }
    }
}

fn taken(dispatch: &Dispatch, has_command: bool, fallback: Option<PayloadSource>, value: Option<&Encoded>) {
    let envelope = value.and_then(|value| envelope::decode(value.bytes()).ok());
    let command = envelope.as_ref().and_then(|envelope| envelope.command.as_deref());
    let found = dispatch.find(value.cloned());
    match found {
        Ok(found) => {
            let by_command = has_command && command == Some(KNOWN) && fallback != Some(PayloadSource::Record);
            let of_envelope = by_command || fallback == Some(PayloadSource::Envelope);
            let whole = value.map_or(&b""[..], |value| value.bytes());
            match (&found.payload, &envelope) {
                (Unread::Value(read), _) => assert_eq!(read.bytes(), whole),
                // The mistake shows when the payload is read.
                (Unread::Envelope(_), None) => assert!(found.payload.read::<Value>().is_err()),
                (Unread::Envelope(_), Some(envelope)) => {
                    assert_eq!(found.payload.bytes(), envelope.payload.unwrap_or("null").as_bytes());
                    assert!(of_envelope);
                    let user_id = found.payload.user_id().map(|user_id| user_id.0);
                    assert_eq!(user_id, envelope.user_id);
                }
            }
            assert_eq!(
                found.handler.source == PayloadSource::Envelope,
                matches!(found.payload, Unread::Envelope(_))
            );
        }
        Err(error) => {
            assert!(error.status() == 400 && error.is_final(), "{error}");
            assert!(error.message().len() < 400, "{error}");
            assert_eq!(error.name() == "UnknownCommand", command.is_some(), "{error}");
            let is_named = |value: &Encoded| String::from_utf8_lossy(value.bytes()).contains(KNOWN);
            let takes_anything = match fallback {
                None => has_command && command == Some(KNOWN),
                Some(PayloadSource::Envelope) => envelope.is_some(),
                // A value that begins as the command is not the fallback's, even if it is broken further on.
                Some(PayloadSource::Value) => {
                    value.is_some_and(|value| !has_command || envelope.is_some() || !is_named(value))
                }
                Some(PayloadSource::Record) => true,
            };
            assert!(!takes_anything, "{error}");
        }
    }
}

fn dispatch(has_command: bool, fallback: Option<PayloadSource>) -> Dispatch {
    let command = || {
        Handler::command(
            || Ok(KNOWN.into()),
            "handler",
            HERE,
            |_| {},
            |_| Box::pin(async { Ok(Reply::None) }),
        )
    };
    let every = |source| {
        Handler::every_record(source, "handler", HERE, |_| {}, |_| Box::pin(async { Ok(Reply::None) }))
    };
    Dispatch {
        commands: has_command.then(|| (KNOWN.to_owned(), command())).into_iter().collect(),
        fallback: fallback.map(every),
    }
}

/// Checks that an error about a payload does not show its contents.
fn nothing_is_told(text: &str) {
    #[derive(Debug, Deserialize)]
    enum Side {
        Buy,
        Sell,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Order {
        number: u8,
        side: Side,
    }

    #[derive(Debug, Deserialize)]
    enum Never {}

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Exact {
        number: u8,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Empty {}

    const SECRET: &str = "hunter2";
    let text = codec::encode(&format!("{text}{SECRET}")).unwrap_or_default();
    let order = [br#"{"number":"#, &*text, b"}"].concat();
    let side = [br#"{"number":1,"side":"#, &*text, b"}"].concat();
    let field = [b"{", &*text, b":1}"].concat();
    let errors = [
        codec::decode::<u8>(&text).err(),
        codec::decode::<char>(&text).err(),
        codec::decode::<Option<bool>>(&text).err(),
        codec::decode::<Vec<Side>>(&text).err(),
        codec::decode::<Side>(&text).err(),
        codec::decode::<Order>(&order).err(),
        codec::decode::<Order>(&side).err(),
        codec::decode::<Never>(&text).err(),
        codec::decode::<Exact>(&field).err(),
        codec::decode::<Empty>(&field).err(),
    ];
    for error in errors {
        let told = codec::explain(&error.expect("a text is none of these"));
        assert!(!told.contains(SECRET) && told.len() < 200, "{told}");
    }
}
