//! The values that `.provide(..)` gave the runtime, by type.

use std::{
    any::{Any, TypeId, type_name},
    fmt,
    sync::Arc,
};

use crate::Client;

type Shared = Arc<dyn Any + Send + Sync>;

/// Makes a value that needs a client, once there is one.
pub(crate) type Deferred = Box<dyn FnOnce(&Client, &mut States) + Send>;

/// One value of each type, shared by all handlers.
#[derive(Default, Clone)]
pub(crate) struct States {
    /// So few that a linear search is faster than hashing.
    values: Vec<(TypeId, &'static str, Shared)>,
}

/// What all handlers of a process share.
#[derive(Debug)]
pub(crate) struct Provided {
    pub(crate) states: States,
    pub(crate) client: Client,
}

impl States {
    /// Inserts a value; returns false if it replaces one of the same type.
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, value: Arc<T>) -> bool {
        let own = TypeId::of::<T>();
        let is_new = self.values.iter().all(|(other, ..)| *other != own);
        self.values.retain(|(other, ..)| *other != own);
        self.values.push((own, type_name::<T>(), value));
        is_new
    }

    pub(crate) fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        let own = TypeId::of::<T>();
        let (.., value) = self.values.iter().find(|(other, ..)| *other == own)?;
        value.downcast_ref()
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.iter().map(|(_, name, _)| name)).finish()
    }
}

/// The values that handlers need from `.provide(..)`, so that `build()` finds a missing one before the first
/// record does.
#[derive(Debug, Default)]
pub struct Requirements {
    pub(crate) types: Vec<(TypeId, &'static str)>,
}

impl Requirements {
    /// States that a value of type `T` must have been provided.
    pub fn state<T: Send + Sync + 'static>(&mut self) {
        self.types.push((TypeId::of::<T>(), type_name::<T>()));
    }
}
