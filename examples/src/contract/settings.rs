//! The settings of each user's dashboard.
//!
//! There is no contract trait: [`SettingsService`](crate::services::settings::SettingsService) is the only
//! implementor, so its `impl` block describes the service, and the client is generated from that block.

use serde::{Deserialize, Serialize};

/// The topic of the commands. A constant, because more than one item serves it.
pub const COMMANDS: &str = "dashboard-settings-commands";

/// The consumer group of the service.
pub const GROUP: &str = "dashboard-service-settings-consumer";

/// The commands of `dashboard-settings-commands`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SettingsCommandType {
    /// Returns the settings.
    GetSettings,
    /// Changes some settings.
    UpdateSettings,
    /// Resets all settings.
    ResetSettings,
}

/// Changes the given settings, and keeps the others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateSettings {
    /// `light` or `dark`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theme: Option<String>,
    /// The currency in which amounts are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}

/// The settings of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// `light` or `dark`.
    pub theme: String,
    /// The currency in which amounts are shown.
    pub currency: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { theme: "light".to_owned(), currency: "USD".to_owned() }
    }
}
