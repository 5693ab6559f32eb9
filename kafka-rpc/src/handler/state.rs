//! What `.provide(..)` gave the runtime, by type.

use std::{
    any::{Any, TypeId, type_name},
    fmt,
    sync::Arc,
};

use crate::Client;

type Shared = Arc<dyn Any + Send + Sync>;

/// A value that needs a client, and is made once there is one.
pub(crate) type Deferred = Box<dyn FnOnce(&Client, &mut States) + Send>;

/// One value of each type, shared by all handlers.
#[derive(Default, Clone)]
pub(crate) struct States {
    /// A few, so that looking at each is faster than hashing.
    values: Vec<(TypeId, &'static str, Shared)>,
}

/// What every handler of a process may ask for.
#[derive(Debug)]
pub(crate) struct Provided {
    pub(crate) states: States,
    pub(crate) client: Client,
}

impl States {
    /// Puts a value in; false if one of its type is there already.
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

/// What handlers ask of `.provide(..)`: how `build()` finds a missing one before the first record does.
#[derive(Debug, Default)]
pub struct Requirements {
    pub(crate) types: Vec<(TypeId, &'static str)>,
}

impl Requirements {
    /// Says that a value of this type must have been provided.
    pub fn state<T: Send + Sync + 'static>(&mut self) {
        self.types.push((TypeId::of::<T>(), type_name::<T>()));
    }
}
