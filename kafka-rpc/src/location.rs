//! Where in the source something was written.

use std::{fmt, panic};

/// A line of source: where a handler was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// The file, as `file!()` gives it.
    pub file: &'static str,
    /// The line, as `line!()` gives it.
    pub line: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl From<&panic::Location<'static>> for Location {
    fn from(place: &panic::Location<'static>) -> Self {
        Self { file: place.file(), line: place.line() }
    }
}
