//! Reports tests that cannot run here.

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
    sync::{Mutex, PoisonError},
};

/// Prints why tests of this program are skipped, once for each reason. Bypasses the test harness, which hides
/// the output of tests that pass.
pub(crate) fn skipped(why: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(why.to_owned()) {
        let _no_stderr = writeln!(io::stderr(), "tests are skipped: {why}");
    }
}
