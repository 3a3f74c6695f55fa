//! Searches: of a type, of all, within a compartment; by GET, by POST, or later.
//!
//! <https://hl7.org/fhir/R4/http.html#search>. What a query means and the Bundle are left to
//! `interaction::search`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use fhir_model::issue::IssueType;

use crate::interaction::search::{Scope, search as find};
use crate::interaction::{Services, invalid};
use crate::job::Jobs;
use crate::job::request::{Request, SearchRequest};
use crate::rest::asynchronous;
use crate::rest::interactions::{Answer, Read, Segments, Shared};
use crate::rest::negotiate::{Layout, prefer_handling, readable_form};
use crate::rest::outcome::Refusal;
use crate::rest::respond;

/// `GET [base]?…`
pub(super) async fn system(
    State(services): Shared,
    Extension(jobs): Extension<Arc<Jobs>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let query = query.unwrap_or_default();
    answer(&services, &jobs, &Scope::ALL, &query, &headers).await
}

/// `POST [base]/_search`
pub(super) async fn system_by_post(
    State(services): Shared,
    Extension(jobs): Extension<Arc<Jobs>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Read,
) -> Answer {
    let query = with_form(query, &headers, body)?;
    answer_form(&services, &jobs, &Scope::ALL, &query, &headers).await
}

/// `GET [base]/[type]?…`
pub(super) async fn of_type(
    State(services): Shared,
    Extension(jobs): Extension<Arc<Jobs>>,
    Segments(resource_type): Segments<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let scope = Scope::of_type(services.resource_type(&resource_type)?);
    let query = query.unwrap_or_default();
    answer(&services, &jobs, &scope, &query, &headers).await
}

/// `POST [base]/[type]/_search`
pub(super) async fn of_type_by_post(
    State(services): Shared,
    Extension(jobs): Extension<Arc<Jobs>>,
    Segments(resource_type): Segments<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Read,
) -> Answer {
    let scope = Scope::of_type(services.resource_type(&resource_type)?);
    let query = with_form(query, &headers, body)?;
    answer_form(&services, &jobs, &scope, &query, &headers).await
}

/// `GET [base]/[compartment]/[id]/[type]?…`, or `*` for all types.
pub(super) async fn compartment(
    State(services): Shared,
    Extension(jobs): Extension<Arc<Jobs>>,
    Segments((compartment, id, member)): Segments<(String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let scope = Scope::within(&services, &compartment, &id, &member)?;
    let query = query.unwrap_or_default();
    answer(&services, &jobs, &scope, &query, &headers).await
}

/// `POST [base]/[compartment]/[id]/[type]/_search`
pub(super) async fn compartment_by_post(
    State(services): Shared,
    Extension(jobs): Extension<Arc<Jobs>>,
    Segments((compartment, id, member)): Segments<(String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Read,
) -> Answer {
    let scope = Scope::within(&services, &compartment, &id, &member)?;
    let query = with_form(query, &headers, body)?;
    answer_form(&services, &jobs, &scope, &query, &headers).await
}

/// The parameters of the URL and of the form, together.
fn with_form(query: Option<String>, headers: &HeaderMap, body: Read) -> Result<String, Refusal> {
    let form = body?;
    if !form.is_empty() {
        readable_form(headers)?;
    }
    let form = std::str::from_utf8(&form)
        .map_err(|_| invalid(IssueType::Value, "the form is not UTF-8"))?;
    Ok(match query {
        None => form.to_owned(),
        Some(query) if query.is_empty() => form.to_owned(),
        Some(query) if form.is_empty() => query,
        Some(query) => format!("{query}&{form}"),
    })
}

/// A search whose form may say how the answer is to be written.
async fn answer_form(
    services: &Services,
    jobs: &Jobs,
    scope: &Scope,
    query: &str,
    headers: &HeaderMap,
) -> Answer {
    let layout = Layout::of(query, headers)?;
    let mut response = answer(services, jobs, scope, query, headers).await?;
    response.extensions_mut().insert(layout);
    Ok(response)
}

async fn answer(
    services: &Services,
    jobs: &Jobs,
    scope: &Scope,
    query: &str,
    headers: &HeaderMap,
) -> Answer {
    let handling = prefer_handling(headers);
    if asynchronous::is_wanted(headers) {
        let request = SearchRequest::new(services, scope, query, handling)?;
        return asynchronous::accept(jobs, services, &Request::Search(request)).await;
    }
    let found = find(services, scope, query, handling).await?;
    Ok(respond::json(StatusCode::OK, found))
}
