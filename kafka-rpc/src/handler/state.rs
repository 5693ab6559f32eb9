//! What `.provide(..)` gave the runtime, by type.

use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
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
    values: HashMap<TypeId, (&'static str, Shared)>,
}

impl States {
    /// Puts a value in; false if one of its type is there already.
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, value: T) -> bool {
        self.values.insert(TypeId::of::<T>(), (type_name::<T>(), Arc::new(value))).is_none()
    }

    pub(crate) fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let (_, value) = self.values.get(&TypeId::of::<T>())?;
        Arc::clone(value).downcast().ok()
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.values().map(|(name, _)| name)).finish()
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
