//! The topic and group names of a contract, and the cluster's names for them.

use std::sync::Arc;

/// A renaming of topics or groups, the same on all sides of a deployment.
pub(crate) type Rename = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// Returns the cluster's name for a topic or group of a contract.
pub(crate) fn renamed(rename: Option<&Rename>, name: &str) -> Arc<str> {
    rename.map_or_else(|| name.into(), |rename| rename(name).into())
}
