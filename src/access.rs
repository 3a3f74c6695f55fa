//! Who asks: the caller that every interaction is done for.
//!
//! There is no authentication yet, so every caller of a loopback address may do everything; scopes
//! and the patient compartment will be decided in this module.

use std::sync::Arc;

/// On whose behalf something is done; the name goes into the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// A client or an engine of Baton, never a patient.
    pub name: Arc<str>,
}

impl Caller {
    /// A client that did not have to say who it is.
    pub fn anonymous() -> Self {
        Self {
            name: "anonymous".into(),
        }
    }

    /// An engine of Baton itself, such as `intake` or `workflow`.
    pub fn engine(name: &str) -> Self {
        Self {
            name: format!("baton/{name}").into(),
        }
    }
}
