//! The settings of each user's dashboard.
//!
//! No trait here: [`SettingsService`](crate::services::settings::SettingsService) has no other implementors, so its
//! `impl` block is the whole description, and its client comes from there.

use serde::{Deserialize, Serialize};

/// Where the commands go. A constant, because more than one item serves them.
pub const COMMANDS: &str = "dashboard-settings-commands";

/// The consumer group that serves them.
pub const GROUP: &str = "dashboard-service-settings-consumer";

/// The commands of `dashboard-settings-commands`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SettingsCommandType {
    /// Asks for the settings.
    GetSettings,
    /// Changes some of them.
    UpdateSettings,
    /// Puts all of them back.
    ResetSettings,
}

/// Changes the settings that are given, and leaves the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateSettings {
    /// `light` or `dark`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theme: Option<String>,
    /// The currency that amounts are shown in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}

/// The settings of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// `light` or `dark`.
    pub theme: String,
    /// The currency that amounts are shown in.
    pub currency: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { theme: "light".to_owned(), currency: "USD".to_owned() }
    }
}
