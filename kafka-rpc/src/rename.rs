//! Names of a contract, and what the cluster calls them.

use std::sync::Arc;

/// A renaming of topics or groups, the same on all sides of a deployment.
pub(crate) type Rename = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// What is called so in a contract, as the cluster has it.
pub(crate) fn renamed(rename: Option<&Rename>, name: &str) -> Arc<str> {
    rename.map_or_else(|| name.into(), |rename| rename(name).into())
}
