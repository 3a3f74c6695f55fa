//! Routes and handlers of operations, all made of the registry; the CapabilityStatement and the
//! `OpenAPI` document, which are too.
//!
//! <https://hl7.org/fhir/R4/operations.html#executing>: GET where nothing is changed, POST always;
//! parameters in the query, in a Parameters resource, or a bare resource.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawPathParams, RawQuery, State};
use axum::handler::Handler as _;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};
use fhir_model::format::Format;
use fhir_model::issue::IssueType;
use fhir_model::key::VersionId;
use futures_util::StreamExt as _;

use crate::error::{Error, chain};
use crate::interaction::capabilities::{self, Mode};
use crate::interaction::operations::{self, On};
use crate::interaction::write::Document;
use crate::interaction::{Context, Services, invalid, openapi as description, url};
use crate::operation::call::{Answer, Call, Input};
use crate::rest::Shared;
use crate::rest::interactions::{Read, context, received};
use crate::rest::negotiate::Layout;
use crate::rest::outcome::Refusal;
use crate::rest::policy::level;
use crate::rest::respond;

type Outcome = Result<Response<Body>, Refusal>;

/// The name of the operation that a route is of.
#[derive(Debug, Clone, Copy)]
struct Name(&'static str);

/// Adds the routes of all operations.
pub(super) fn add_routes(router: Router<Shared>) -> Router<Shared> {
    let names: BTreeMap<&str, bool> = operations::all()
        .map(|operation| (operation.name, operation.affects_state))
        .collect();
    names
        .into_iter()
        .fold(router, |router, (name, affects_state)| {
            PLACES.iter().fold(router, |router, place| {
                router.route(&format!("{place}/${name}"), methods(name, affects_state))
            })
        })
}

/// Where an operation may be called; the registry says which of them it has.
const PLACES: &[&str] = &[
    "",
    "/{type}",
    "/{type}/{id}",
    "/{type}/{id}/_history/{version}",
];

fn methods(name: &'static str, affects_state: bool) -> MethodRouter<Shared, Infallible> {
    let handler = call.layer(Extension(Name(name)));
    if affects_state {
        post(handler)
    } else {
        get(handler.clone()).post(handler)
    }
}

/// `GET` and `POST [base]/…/$[name]`
async fn call(
    State(services): State<Arc<Services>>,
    Extension(Name(name)): Extension<Name>,
    path: RawPathParams,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Read,
) -> Outcome {
    let query = query.unwrap_or_default();
    let on = on(&services, &path)?;
    let operation = operations::find(&services, name, &on)?;
    let body = body?;
    let body = if body.is_empty() {
        None
    } else {
        Some(Document::new(received(&services, &headers, Ok(body))?))
    };
    let layout = Layout::of(&query, &headers)?;
    let call = Call {
        // How strictly is written matters to who writes; `$validate` has a level of its own.
        context: if operation.affects_state {
            context(&services, &headers)?
        } else {
            Context::reader(&services)
        },
        operation,
        input: Input::read(operation, &on, url::decode(&query), body)?,
        on,
        level: level(&headers)?,
        may_stream: layout.format == Format::Json && !layout.is_pretty && layout.subset.is_none(),
    };
    Ok(answer(call.answer().await?))
}

/// What the path says that the operation is called on.
fn on(services: &Services, path: &RawPathParams) -> Result<On, Error> {
    let part = |name: &str| {
        let mut parts = path.iter();
        parts.find_map(|(own, value)| (own == name).then_some(value))
    };
    let Some(resource_type) = part("type") else {
        return Ok(On::System);
    };
    let Some(id) = part("id") else {
        return Ok(On::Type(services.resource_type(resource_type)?));
    };
    let key = services.key(resource_type, id)?;
    let Some(version) = part("version") else {
        return Ok(On::Instance(key));
    };
    let version = VersionId::parse(version).map_err(|_| Error::NotFound(key.clone()))?;
    Ok(On::Version(key, version))
}

fn answer(answer: Answer) -> Response<Body> {
    match answer {
        Answer::Resource(text) => respond::json(StatusCode::OK, text),
        Answer::Stored { text, location } => {
            let mut response = respond::json(StatusCode::OK, text);
            if let Ok(location) = HeaderValue::from_str(&location) {
                response.headers_mut().insert(header::LOCATION, location);
            }
            response
        }
        Answer::Stream(pieces) => {
            // The status is sent already: all that is left to do is to cut the answer short.
            let pieces = pieces.inspect(|piece| {
                if let Err(error) = piece {
                    tracing::error!(error = chain(error), "An answer was cut short");
                }
            });
            respond::json(StatusCode::OK, Body::from_stream(pieces))
        }
    }
}

/// `GET [base]/metadata`
pub(super) async fn capabilities(
    State(services): State<Arc<Services>>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let mode = url::parameter(&query.unwrap_or_default(), "mode");
    let mode = match mode.as_deref() {
        None => Mode::Full,
        Some(code) => Mode::parse(code).ok_or_else(|| {
            let text = "mode is full, normative or terminology";
            invalid(IssueType::Value, text)
        })?,
    };
    let statement = capabilities::in_mode(&services, mode);
    Ok(respond::json(StatusCode::OK, statement))
}

/// `GET /openapi.json`
pub(super) async fn openapi(State(services): State<Arc<Services>>) -> Response<Body> {
    let mut response = Response::new(Body::from(description::document(&services).to_string()));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}
