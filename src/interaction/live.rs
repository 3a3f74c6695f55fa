//! The services in force: what a request takes once, at its start, and works with to its end.
//!
//! Definitions change while the server runs. They are never changed in place: a new set of
//! services with new definitions takes the place of the old, and whoever began with the old one
//! parses, validates, extracts and renders by it. Numbers of types are the same in all of them.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::interaction::Services;

/// The place where the current services are.
pub struct Live(ArcSwap<Services>);

impl Live {
    /// A place with these services.
    pub fn new(services: Services) -> Self {
        Self(ArcSwap::from_pointee(services))
    }

    /// The services as they are now.
    pub fn current(&self) -> Arc<Services> {
        self.0.load_full()
    }

    /// Puts others in their place; what began before goes on with the old.
    pub fn replace(&self, services: Services) {
        self.0.store(Arc::new(services));
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Live").finish_non_exhaustive()
    }
}
