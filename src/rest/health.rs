//! Is Baton alive, and can it work?

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;

use crate::interaction::Services;

/// The process answers.
pub(super) async fn live() -> &'static str {
    "live\n"
}

/// The store answers too.
pub(super) async fn ready(State(services): State<Arc<Services>>) -> (StatusCode, &'static str) {
    match services.store.health().await {
        Ok(()) => (StatusCode::OK, "ready\n"),
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the store does not answer\n",
        ),
    }
}
