//! What the integration tests share.

pub(crate) mod care;
pub(crate) mod child;
pub(crate) mod database;
pub(crate) mod hospital;
pub(crate) mod mllp;
pub(crate) mod server;
pub(crate) mod shared;
