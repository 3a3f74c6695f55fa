//! Answers in the format that the client wants, errors among them.
//!
//! Handlers answer in compact JSON, as it is stored. Who wants that gets it untouched; parts of
//! resources, XML and indented text are made here, of the whole answer: <https://hl7.org/fhir/R4/http.html#mime-type>,
//! <https://hl7.org/fhir/R4/http.html#general>.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::Next;
use axum::response::IntoResponse;
use fhir_model::definition::Definitions;
use fhir_model::format::Format;
use fhir_model::tree::{Limits, Tree};
use fhir_model::xml;

use crate::error::Error;
use crate::interaction::Services;
use crate::rest::negotiate::Layout;
use crate::rest::outcome::Refusal;
use crate::rest::{BASE, FHIR_JSON};

/// Refuses a request whose answer could not be written, before it has an effect; then writes the
/// answer as it is wanted.
pub(super) async fn negotiated(
    State(services): State<Arc<Services>>,
    request: Request,
    next: Next,
) -> Response<Body> {
    if !request.uri().path().starts_with(BASE) {
        return next.run(request).await;
    }
    let query = request.uri().query().unwrap_or_default();
    let mut layout = match Layout::of(query, request.headers()) {
        Ok(layout) => layout,
        Err(refusal) => return refusal.into_response(),
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        layout.subset = None;
    }
    let mut response = next.run(request).await;
    // A search by POST says in its form what it wants.
    let layout = response.extensions_mut().remove().unwrap_or(layout);
    match rendered(&services.definitions, layout, response).await {
        Ok(response) => response,
        Err(error) => Refusal::from(error).into_response(),
    }
}

async fn rendered(
    definitions: &Definitions,
    layout: Layout,
    response: Response<Body>,
) -> Result<Response<Body>, Error> {
    let is_as_stored = layout.format == Format::Json && !layout.is_pretty;
    if response.headers().get(header::CONTENT_TYPE) != Some(&HeaderValue::from_static(FHIR_JSON)) {
        return Ok(response);
    }
    let subset = layout.subset.as_ref();
    let subset = subset.filter(|_| response.status() == StatusCode::OK);
    let (mut parts, body) = response.into_parts();
    let body = if is_as_stored && subset.is_none() {
        body
    } else {
        let bytes = axum::body::to_bytes(body, usize::MAX)
            .await
            .map_err(|error| Error::Internal(error.into()))?;
        parts.headers.remove(header::CONTENT_LENGTH);
        let bytes = match subset.filter(|_| !bytes.is_empty()) {
            Some(subset) => subset.cut(definitions, &bytes)?.into(),
            None => bytes,
        };
        if is_as_stored {
            bytes.into()
        } else if let Some(text) = written(definitions, &layout, &bytes)? {
            Body::from(text)
        } else {
            return Ok(Response::from_parts(parts, bytes.into()));
        }
    };
    parts
        .headers
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(layout.mime));
    Ok(Response::from_parts(parts, body))
}

/// JSON text as it is wanted; nothing for what XML has no form for, which is sent as it is: what a
/// write has done would be hidden by an error.
fn written(
    definitions: &Definitions,
    layout: &Layout,
    json: &[u8],
) -> Result<Option<String>, Error> {
    // The answer to a HEAD has no body.
    if json.is_empty() {
        return Ok(Some(String::new()));
    }
    let tree = Tree::parse(json, definitions.names(), &Limits::CEILING)
        .map_err(|error| Error::Internal(error.into()))?;
    let text = match (layout.format, layout.is_pretty) {
        (Format::Json, _) => {
            let mut out = String::with_capacity(json.len() * 2);
            tree.write_pretty(tree.root().id(), &mut out);
            out.push('\n');
            Some(out)
        }
        (Format::Xml, false) => xml::from_tree(tree.root(), definitions).ok(),
        (Format::Xml, true) => xml::from_tree_pretty(tree.root(), definitions).ok(),
    };
    Ok(text)
}
