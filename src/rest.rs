//! The FHIR REST API: one line per route.
//!
//! <https://hl7.org/fhir/R4/http.html>. HTTP stops here: handlers extract, call an interaction and
//! respond.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, FromRef};
use axum::http::{Request, Response, StatusCode};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Extension, Router};
use fhir_model::issue::IssueType;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::trace::TraceLayer;

use crate::interaction::Services;
use crate::interaction::live::Live;
use crate::workflow::Workflow;

mod clock;
pub(crate) mod conditions;
mod health;
mod interactions;
mod negotiate;
mod operations;
mod outcome;
mod policy;
mod render;
mod respond;

/// The path of the FHIR base.
const BASE: &str = "/fhir";

/// The MIME type of what handlers answer with.
const FHIR_JSON: &str = "application/fhir+json;charset=utf-8";

/// Limits of the edge.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest body, in bytes.
    pub body_bytes_max: usize,
    /// Longest time for one request.
    pub timeout: Duration,
}

/// What handlers share: each takes the services in force once, when its request arrives.
#[derive(Clone)]
struct Shared(Arc<Live>);

impl FromRef<Shared> for Arc<Services> {
    fn from_ref(shared: &Shared) -> Self {
        shared.0.current()
    }
}

/// The routes, ready to be served.
pub fn router(live: Arc<Live>, workflow: Arc<Workflow>, limits: Limits) -> Router {
    let shared = Shared(live);
    let fhir = Router::new()
        .route(
            "/",
            post(interactions::bundle).get(interactions::search_system),
        )
        .route("/_search", post(interactions::search_system_by_post))
        .route("/metadata", get(operations::capabilities))
        .route("/_history", get(interactions::history_system))
        .route("/$clock", get(clock::read).post(clock::advance))
        .route(
            "/{type}",
            get(interactions::search)
                .post(interactions::create)
                .put(interactions::update_where)
                .delete(interactions::delete_where),
        )
        .route("/{type}/_search", post(interactions::search_by_post))
        .route("/{type}/_history", get(interactions::history_type))
        .route(
            "/{type}/{id}",
            get(interactions::read)
                .put(interactions::update)
                .delete(interactions::delete),
        )
        .route("/{type}/{id}/_history", get(interactions::history_instance))
        .route("/{type}/{id}/_history/{version}", get(interactions::vread))
        .route(
            "/{type}/{id}/{member}",
            get(interactions::search_compartment),
        );
    let fhir = operations::add_routes(fhir);
    Router::new()
        .nest(BASE, fhir)
        .route(
            "/fhir/",
            post(interactions::bundle).get(interactions::search_system),
        )
        .layer(Extension(workflow))
        .layer(DefaultBodyLimit::max(limits.body_bytes_max))
        .layer(middleware::from_fn(move |request, next| {
            within_time(limits.timeout, request, next)
        }))
        .route("/openapi.json", get(operations::openapi))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(
            shared.clone(),
            render::negotiated,
        ))
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_request(())
                .on_failure(()),
        )
        .with_state(shared)
}

/// Method and route only: URLs carry search values.
fn span(request: &Request<axum::body::Body>) -> tracing::Span {
    let route = request
        .extensions()
        .get::<axum::extract::MatchedPath>()
        .map_or("none", axum::extract::MatchedPath::as_str);
    tracing::info_span!("rest.request", method = %request.method(), route)
}

async fn within_time(
    timeout: Duration,
    request: axum::extract::Request,
    next: middleware::Next,
) -> Response<axum::body::Body> {
    tokio::time::timeout(timeout, next.run(request))
        .await
        .unwrap_or_else(|_| {
            refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                IssueType::Timeout,
                format!("the request took longer than {} s", timeout.as_secs()),
            )
        })
}

async fn no_route() -> Response<axum::body::Body> {
    refuse(
        StatusCode::NOT_FOUND,
        IssueType::NotFound,
        "there is nothing here; the FHIR base is /fhir, its statement /fhir/metadata".into(),
    )
}

async fn no_method(method: axum::http::Method, uri: axum::http::Uri) -> Response<axum::body::Body> {
    let last = uri.path().rsplit('/').next().unwrap_or_default();
    if method == axum::http::Method::POST && last.starts_with('$') {
        return refuse(
            StatusCode::NOT_FOUND,
            IssueType::NotSupported,
            "this operation is not offered here; /fhir/metadata says which are".to_owned(),
        );
    }
    refuse(
        StatusCode::METHOD_NOT_ALLOWED,
        IssueType::NotSupported,
        format!("{method} is not supported here; /fhir/metadata says what is"),
    )
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response<axum::body::Body> {
    tracing::error!("A request handler panicked");
    refuse(
        StatusCode::INTERNAL_SERVER_ERROR,
        IssueType::Exception,
        "internal error".into(),
    )
}

fn refuse(status: StatusCode, code: IssueType, text: String) -> Response<axum::body::Body> {
    outcome::Refusal::Http(status, code, text).into_response()
}
