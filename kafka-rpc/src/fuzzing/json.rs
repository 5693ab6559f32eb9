//! The members of an object, read independently of the code under test.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The members of a JSON object, in order, duplicates included.
pub(super) struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Returns `None` if the value is not an object.
    pub(super) fn read(value: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(value).ok()
    }

    /// Returns the member of this name; an error if there are two.
    pub(super) fn one(&self, name: &str) -> Result<Option<&'a str>, TwoOfAName> {
        let mut found = self.0.iter().filter(|(own, _)| own == name);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(TwoOfAName),
            (only, None) => Ok(only.map(|(_, value)| value.get())),
        }
    }
}

/// Two members have one name, so neither can be chosen.
#[derive(Debug)]
pub(super) struct TwoOfAName;

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Each).map(Members)
    }
}
