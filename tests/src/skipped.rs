//! A test that cannot run here says so.

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
    sync::{Mutex, PoisonError},
};

/// Says why tests of this program are skipped, once for each reason: past the harness, which shows no word of a test
/// that passes.
pub(crate) fn skipped(why: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(why.to_owned()) {
        let _no_stderr = writeln!(io::stderr(), "tests are skipped: {why}");
    }
}
