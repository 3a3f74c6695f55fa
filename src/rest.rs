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
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::normalize_path::NormalizePath;
use tower_http::trace::TraceLayer;

use crate::config::Rest;
use crate::interaction::Services;
use crate::interaction::live::Live;
use crate::job::Jobs;
use crate::workflow::Workflow;

mod asynchronous;
mod clock;
pub(crate) mod conditions;
mod edge;
mod health;
mod interactions;
mod listen;
mod negotiate;
mod operations;
mod outcome;
mod patch;
mod policy;
mod render;
mod respond;
mod searches;

pub use listen::serve;

/// The path of the FHIR base.
const BASE: &str = "/fhir";

/// The MIME type of what handlers answer with.
const FHIR_JSON: &str = "application/fhir+json;charset=utf-8";

/// What handlers share: each takes the services in force once, when its request arrives.
#[derive(Clone)]
struct Shared(Arc<Live>);

impl FromRef<Shared> for Arc<Services> {
    fn from_ref(shared: &Shared) -> Self {
        shared.0.current()
    }
}

/// The routes, ready to be served.
pub fn router(
    live: Arc<Live>,
    workflow: Arc<Workflow>,
    jobs: Arc<Jobs>,
    settings: &Rest,
) -> Router {
    let shared = Shared(live);
    let timeout = Duration::from_secs(settings.timeout_secs);
    let fhir = Router::new()
        .route("/", post(interactions::bundle).get(searches::system))
        .route("/_search", post(searches::system_by_post))
        .route("/metadata", get(operations::capabilities))
        .route("/_history", get(interactions::history_system))
        .route(
            "/_async/{id}",
            get(asynchronous::status).delete(asynchronous::cancel),
        )
        .route("/$clock", get(clock::read).post(clock::advance))
        .route(
            "/{type}",
            get(searches::of_type)
                .post(interactions::create)
                .put(interactions::update_where)
                .patch(patch::of_condition)
                .delete(interactions::delete_where),
        )
        .route("/{type}/_search", post(searches::of_type_by_post))
        .route("/{type}/_history", get(interactions::history_type))
        .route(
            "/{type}/{id}",
            get(interactions::read)
                .put(interactions::update)
                .patch(patch::of_instance)
                .delete(interactions::delete),
        )
        .route("/{type}/{id}/_history", get(interactions::history_instance))
        .route("/{type}/{id}/_history/{version}", get(interactions::vread))
        .route("/{type}/{id}/{member}", get(searches::compartment))
        .route(
            "/{type}/{id}/{member}/_search",
            post(searches::compartment_by_post),
        );
    let fhir = operations::add_routes(fhir);
    let router = Router::new()
        .nest(BASE, fhir)
        .layer(Extension(workflow))
        .layer(Extension(jobs))
        // What is decompressed is limited like what was sent plain.
        .layer(DefaultBodyLimit::max(settings.body_bytes_max))
        .layer(RequestDecompressionLayer::new())
        .layer(middleware::from_fn(move |request, next| {
            within_time(timeout, request, next)
        }))
        .route("/openapi.json", get(operations::openapi))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn(edge::checked))
        .layer(middleware::from_fn_with_state(
            shared.clone(),
            render::negotiated,
        ))
        .layer(CompressionLayer::new())
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(edge::identified));
    let router = match edge::cors(&settings.cors_origins) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    let router = router
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_request(())
                .on_failure(()),
        )
        .with_state(shared);
    // A path means the same with a slash at its end.
    Router::new().fallback_service(NormalizePath::trim_trailing_slash(router))
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

/// A method that a route does not have; which it has, the router says in `Allow`.
async fn no_method(method: axum::http::Method, uri: axum::http::Uri) -> Response<axum::body::Body> {
    if method == axum::http::Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
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
