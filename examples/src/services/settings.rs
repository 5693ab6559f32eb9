//! An `impl` block without a contract, and a free function that serves one more command of the same topic.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kafka_rpc::{RpcError, State, UserId, kafka_handler};

use crate::contract::settings::{self, Settings, SettingsCommandType, UpdateSettings};

/// The settings of every user. Clones share the same settings.
#[derive(Debug, Clone, Default)]
pub struct SettingsService {
    users: Arc<Mutex<HashMap<String, Settings>>>,
}

/// Each method with `#[command]` is also a method of the generated client, `SettingsServiceClient`.
#[kafka_handler(
    topic = settings::COMMANDS,
    group = settings::GROUP,
    replies = "dashboard-settings-responses",
    dead_letter = "dashboard-settings-dlq"
)]
impl SettingsService {
    /// Returns the settings of the calling user. The command has no payload, so `()` takes its place.
    #[command(SettingsCommandType::GetSettings)]
    pub async fn get_settings(&self, _: (), UserId(user): UserId) -> Result<Settings, RpcError> {
        Ok(self.users().get(&user).cloned().unwrap_or_default())
    }

    /// Changes settings of the calling user.
    #[command(SettingsCommandType::UpdateSettings)]
    pub async fn update_settings(
        &self,
        change: UpdateSettings,
        UserId(user): UserId,
    ) -> Result<Settings, RpcError> {
        if let Some(theme) = &change.theme
            && !["light", "dark"].contains(&theme.as_str())
        {
            return Err(RpcError::unprocessable("`theme` is `light` or `dark`").with_name("ValidationError"));
        }
        let mut users = self.users();
        let settings = users.entry(user).or_default();
        if let Some(theme) = change.theme {
            settings.theme = theme;
        }
        if let Some(currency) = change.currency {
            settings.currency = currency;
        }
        Ok(settings.clone())
    }

    fn users(&self) -> MutexGuard<'_, HashMap<String, Settings>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resets the settings of the calling user.
///
/// This function could be in any module: naming the same topic and group is what ties it to the block above.
/// Options of that topic and group, such as `dead_letter`, need stating only once and apply here too.
#[kafka_handler(topic = settings::COMMANDS, group = settings::GROUP)]
#[command(SettingsCommandType::ResetSettings)]
pub async fn reset_settings(
    _: (),
    UserId(user): UserId,
    State(service): State<SettingsService>,
) -> Result<Settings, RpcError> {
    service.users().remove(&user);
    Ok(Settings::default())
}
