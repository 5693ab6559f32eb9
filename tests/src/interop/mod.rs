//! Programs of other languages on the other side, with the published packages that their services use.
//!
//! - [`program`]: one that runs: it is asked and answers in lines of JSON
//! - [`project`]: a folder of `tests/interop`, prepared once in the target folder

pub mod program;
pub mod project;

use std::{
    io::{self, Write as _},
    sync::Once,
};

pub use self::{program::Program, project::node_project};
use crate::Cluster;

/// A real Kafka. On the embedded broker, which such programs do not know, it says so once and is `None`.
pub fn real_cluster() -> Option<Cluster> {
    let cluster = Cluster::start();
    if cluster.is_embedded() {
        skipped("no KAFKA_BROKERS, and the embedded broker is for librdkafka only");
        return None;
    }
    Some(cluster)
}

/// Says once why nothing is tested here: past the harness, which shows no word of a test that passes.
fn skipped(why: &str) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let _no_stderr = writeln!(io::stderr(), "skipped, with all tests of this file: {why}");
    });
}
