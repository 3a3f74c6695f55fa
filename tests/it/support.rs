//! What the integration tests share.

pub(crate) mod care;
pub(crate) mod database;
pub(crate) mod hospital;
pub(crate) mod server;
