//! Finds the handler of a record.

use std::{collections::HashMap, fmt, time::Duration};

use crate::{
    RpcError,
    handler::{
        Handler, PayloadSource,
        payload::{Unread, no_envelope},
    },
    wire::{
        Encoded,
        envelope::{self, Envelope},
    },
};

/// The handlers of a subscription by the command that selects them.
#[derive(Default)]
pub(crate) struct Dispatch {
    pub(crate) commands: HashMap<String, Handler>,
    pub(crate) fallback: Option<Handler>,
}

/// A record's payload with its handler.
#[derive(Debug)]
pub(crate) struct Dispatched<'a> {
    pub(crate) handler: &'a Handler,
    pub(crate) payload: Unread,
}

impl Dispatch {
    /// The longest time that a record may wait for a retry. `unsaid` stands in for a policy that does not
    /// state one.
    pub(crate) fn longest_delay(&self, unsaid: Duration) -> Duration {
        let longest = |handler: &Handler| handler.retry.longest_delay().unwrap_or(unsaid);
        self.commands.values().chain(&self.fallback).map(longest).max().unwrap_or(unsaid)
    }

    /// Finds the handler of a record's value. A value that no handler takes is a 400.
    pub(crate) fn find(&self, value: Option<Encoded>) -> Result<Dispatched<'_>, RpcError> {
        if let Some(handler @ Handler { source: PayloadSource::Record, .. }) = &self.fallback {
            // With any value, or none.
            let value = value.map(Encoded::into_bytes).unwrap_or_default();
            return Ok(of(handler, Encoded::bare(Some(value))));
        }
        let value = value.ok_or_else(|| RpcError::bad_request("the record has no value"))?;
        if let Some(handler) = self.known_ahead(&value) {
            return Ok(of(handler, value));
        }
        match envelope::decode(value.bytes()) {
            Ok(Envelope { command, .. }) => Ok(of(self.of_command(command.as_deref())?, value)),
            // Not an envelope, so only a handler of whole values can take it, and not if it is a broken
            // command of another handler.
            Err(error) => match &self.fallback {
                Some(handler @ Handler { source: PayloadSource::Value, .. })
                    if !self.begins_a_command(&value) =>
                {
                    Ok(of(handler, value))
                }
                _ => Err(no_envelope(&error)),
            },
        }
    }

    /// The handler, if it is known before the whole value was read: reading the payload then reads the rest
    /// in one pass.
    fn known_ahead(&self, value: &Encoded) -> Option<&Handler> {
        match &self.fallback {
            Some(only) if self.commands.is_empty() => Some(only),
            // This fallback also takes what is not an envelope, which shows only at the value's end.
            Some(Handler { source: PayloadSource::Value, .. }) => None,
            _ => self.commands.get(envelope::command_ahead(value.bytes())?),
        }
    }

    /// Whether the value would be a command of ours if it were valid to its end.
    fn begins_a_command(&self, value: &Encoded) -> bool {
        envelope::command_ahead(value.bytes()).is_some_and(|command| self.commands.contains_key(command))
    }

    fn of_command(&self, command: Option<&str>) -> Result<&Handler, RpcError> {
        let named = command.and_then(|command| self.commands.get(command));
        named.or(self.fallback.as_ref()).ok_or_else(|| match command {
            Some(command) => {
                RpcError::bad_request(format!("no handler for the command `{}`", shortened(command)))
                    .with_name("UnknownCommand")
            }
            None => RpcError::bad_request("the command envelope has no `type`"),
        })
    }
}

/// A value with the handler that takes it.
fn of(handler: &Handler, value: Encoded) -> Dispatched<'_> {
    let payload = match handler.source {
        PayloadSource::Envelope => Unread::Envelope(value.into_bytes()),
        PayloadSource::Value | PayloadSource::Record => Unread::Value(value),
    };
    Dispatched { handler, payload }
}

/// A name from the wire, short enough to be repeated in an error.
fn shortened(name: &str) -> String {
    const MOST: usize = 64;
    let mut short: String = name.chars().take(MOST).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

impl fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut commands: Vec<_> = self.commands.keys().collect();
        commands.sort_unstable();
        f.debug_struct("Dispatch")
            .field("commands", &commands)
            .field("fallback", &self.fallback.is_some())
            .finish()
    }
}

/// The commands, and what is beside them: for the log.
impl fmt::Display for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut commands: Vec<&str> = self.commands.keys().map(String::as_str).collect();
        commands.sort_unstable();
        if self.fallback.is_some() {
            commands.push(if commands.is_empty() { "every record" } else { "every other record" });
        }
        f.write_str(&commands.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde::de::IgnoredAny;

    use super::*;
    use crate::Location;

    const HERE: Location = Location { file: file!(), line: line!() };

    fn command() -> Handler {
        Handler::command(
            || Ok("CONNECT".into()),
            "connect",
            HERE,
            |_| {},
            |_| Box::pin(async { unreachable!("not run") }),
        )
    }

    fn every(source: PayloadSource) -> Handler {
        Handler::every_record(
            source,
            "handler",
            HERE,
            |_| {},
            |_| Box::pin(async { unreachable!("not run") }),
        )
    }

    fn dispatch(command_too: bool, fallback: Option<PayloadSource>) -> Dispatch {
        let commands = command_too.then(|| ("CONNECT".to_owned(), command())).into_iter().collect();
        Dispatch { commands, fallback: fallback.map(every) }
    }

    fn payload(dispatch: &Dispatch, value: &str) -> Result<String, String> {
        let value = Encoded::json(Bytes::copy_from_slice(value.as_bytes()));
        let told = |error: RpcError| format!("{} {}", error.status().as_u16(), error.name());
        let payload = dispatch.find(Some(value)).map_err(told)?.payload;
        if matches!(payload, Unread::Envelope(_)) {
            payload.read::<IgnoredAny>().map_err(told)?;
        }
        Ok(String::from_utf8_lossy(payload.bytes()).into_owned())
    }

    const CONNECT: &str = r#"{"type":"CONNECT","payload":1}"#;
    const OTHER: &str = r#"{"type":"OTHER","payload":2}"#;

    #[test]
    fn a_command_gets_the_payload_of_its_envelope() {
        assert_eq!(payload(&dispatch(true, None), CONNECT), Ok("1".into()));
    }

    #[test]
    fn what_no_handler_takes_is_a_400() {
        let commands = dispatch(true, None);
        assert_eq!(payload(&commands, OTHER), Err("400 UnknownCommand".into()));
        assert_eq!(payload(&commands, r#"{"payload":1}"#), Err("400 BadRequest".into()));
        assert_eq!(payload(&commands, "poison"), Err("400 BadRequest".into()));
        assert_eq!(commands.find(None).map(|_| ()).map_err(|error| error.status().as_u16()), Err(400));
    }

    #[test]
    fn a_handler_of_every_record_takes_the_whole_value_and_never_guesses() {
        assert_eq!(payload(&dispatch(false, Some(PayloadSource::Value)), CONNECT), Ok(CONNECT.into()));
        assert_eq!(payload(&dispatch(false, Some(PayloadSource::Value)), "poison"), Ok("poison".into()));
    }

    #[test]
    fn a_handler_of_every_envelope_takes_its_payload() {
        assert_eq!(payload(&dispatch(false, Some(PayloadSource::Envelope)), OTHER), Ok("2".into()));
        assert!(payload(&dispatch(false, Some(PayloadSource::Envelope)), "poison").is_err());
    }

    #[test]
    fn beside_commands_the_handler_of_every_record_is_the_fallback() {
        let both = dispatch(true, Some(PayloadSource::Value));
        assert_eq!(payload(&both, CONNECT), Ok("1".into()));
        assert_eq!(payload(&both, OTHER), Ok(OTHER.into()));
        assert_eq!(payload(&both, "poison"), Ok("poison".into()));
        let odd = r#"{"type":"CONNECT","userId":{},"payload":1}"#;
        assert_eq!(payload(&both, odd), Err("400 BadRequest".into()), "it is a command, and not right");
    }

    #[test]
    fn a_long_unknown_command_is_cut_in_the_error() {
        let value = Bytes::from(format!(r#"{{"type":"{}"}}"#, "x".repeat(1_000_000)));
        let error = dispatch(true, None).find(Some(Encoded::json(value))).map(|_| ()).expect_err("unknown");
        assert!(error.message().len() < 200);
    }
}
