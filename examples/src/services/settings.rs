//! An `impl` block without a contract, and a free function that serves one more command of the same topic.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kafka_rpc::{RpcError, State, UserId, kafka_handler};

use crate::contract::settings::{self, Settings, SettingsCommandType, UpdateSettings};

/// The settings of every user. A clone is the same settings.
#[derive(Debug, Clone, Default)]
pub struct SettingsService {
    users: Arc<Mutex<HashMap<String, Settings>>>,
}

/// The visible commands are the methods of `SettingsServiceClient`.
#[kafka_handler(
    topic = settings::COMMANDS,
    group = settings::GROUP,
    replies = "dashboard-settings-responses",
    dead_letter = "dashboard-settings-dlq"
)]
impl SettingsService {
    /// Asks for the settings of the user of the call. The payload is empty, so `()` stands in its place.
    #[command(SettingsCommandType::GetSettings)]
    pub async fn get_settings(&self, _: (), UserId(user): UserId) -> Result<Settings, RpcError> {
        Ok(self.users().get(&user).cloned().unwrap_or_default())
    }

    /// Changes settings of the user of the call.
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

/// Puts the settings of the user of the call back.
///
/// It could stand anywhere: what ties it to the others is that it names the same topic and group. The options that
/// belong to the two, such as `dead_letter`, are stated above and hold here too.
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
