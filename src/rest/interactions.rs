//! Handlers of the FHIR interactions: extract, call, respond.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequestParts, Path, RawQuery, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, StatusCode};
use chrono::{DateTime, Utc};
use fhir_model::format::Format;
use fhir_model::issue::IssueType;
use fhir_model::key::VersionId;
use fhir_model::tree::Tree;
use serde::de::DeserializeOwned;

use crate::access::Caller;
use crate::error::Error;
use crate::interaction::url::parameter;
use crate::interaction::write::{self, Change, Document, Written};
use crate::interaction::{
    Context, Services, history, invalid, read as reading, search as searching, transaction, url,
};
use crate::rest::conditions::{if_match, if_none_exist, is_fresh};
use crate::rest::negotiate::{
    Layout, Return, body_format, prefer_handling, prefer_return, readable_form,
};
use crate::rest::outcome::Refusal;
use crate::rest::policy::policy;
use crate::rest::respond;
use crate::search::expression::Types;
use crate::store::{HistoryQuery, HistoryScope};

type Shared = State<Arc<Services>>;
type Answer = Result<Response<Body>, Refusal>;
pub(super) type Read = Result<Bytes, BytesRejection>;

/// The parts of a path that a route names; one that cannot be read is refused in FHIR's words.
pub(super) struct Segments<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segments<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(segments)) => Ok(Self(segments)),
            Err(_) => Err(invalid(IssueType::Value, "the path is not UTF-8").into()),
        }
    }
}

/// `GET [base]/[type]/[id]`
pub(super) async fn read(
    State(services): Shared,
    Segments((resource_type, id)): Segments<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let key = services.key(&resource_type, &id)?;
    let stored = reading::read(&services, &key).await?;
    if is_fresh(&headers, &stored) {
        return Ok(respond::not_modified(&stored));
    }
    Ok(respond::version(&stored))
}

/// `GET [base]/[type]/[id]/_history/[vid]`
pub(super) async fn vread(
    State(services): Shared,
    Segments((resource_type, id, version)): Segments<(String, String, String)>,
) -> Answer {
    let key = services.key(&resource_type, &id)?;
    let version = VersionId::parse(&version).map_err(|_| Error::NotFound(key.clone()))?;
    let stored = reading::vread(&services, &key, version).await?;
    Ok(respond::version(&stored))
}

/// `POST [base]/[type]`
pub(super) async fn create(
    State(services): Shared,
    Segments(resource_type): Segments<String>,
    headers: HeaderMap,
    body: Read,
) -> Answer {
    let resource_type = services.resource_type(&resource_type)?;
    let document = document(&services, &headers, body)?;
    let found = document.resource_type(&services)?;
    if found != resource_type {
        return Err(invalid(
            IssueType::Invalid,
            format!("the body is a {found}, the URL names {resource_type}"),
        )
        .into());
    }
    let unless = if_none_exist(&headers)?
        .map(|query| searching::condition(&services, &resource_type, query))
        .transpose()?;
    let change = Change::Create {
        document,
        unless,
        id: None,
    };
    write(&services, change, "create", &headers).await
}

/// `PUT [base]/[type]/[id]`
pub(super) async fn update(
    State(services): Shared,
    Segments((resource_type, id)): Segments<(String, String)>,
    headers: HeaderMap,
    body: Read,
) -> Answer {
    let key = services.key(&resource_type, &id)?;
    let document = document(&services, &headers, body)?;
    let change = Change::Update {
        key,
        document,
        expected: if_match(&headers)?,
    };
    write(&services, change, "update", &headers).await
}

/// `PUT [base]/[type]?[condition]`
pub(super) async fn update_where(
    State(services): Shared,
    Segments(resource_type): Segments<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Read,
) -> Answer {
    let resource_type = services.resource_type(&resource_type)?;
    let condition = searching::condition(&services, &resource_type, &query.unwrap_or_default())?;
    let document = document(&services, &headers, body)?;
    let change = Change::UpdateWhere {
        document,
        condition,
        expected: if_match(&headers)?,
        id: None,
    };
    write(&services, change, "update", &headers).await
}

/// `DELETE [base]/[type]/[id]`
pub(super) async fn delete(
    State(services): Shared,
    Segments((resource_type, id)): Segments<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let key = services.key(&resource_type, &id)?;
    let change = Change::Delete {
        key,
        expected: if_match(&headers)?,
    };
    write(&services, change, "delete", &headers).await
}

/// `DELETE [base]/[type]?[condition]`
pub(super) async fn delete_where(
    State(services): Shared,
    Segments(resource_type): Segments<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let resource_type = services.resource_type(&resource_type)?;
    let condition = searching::condition(&services, &resource_type, &query.unwrap_or_default())?;
    write(
        &services,
        Change::DeleteWhere { condition },
        "delete",
        &headers,
    )
    .await
}

/// `GET [base]/[type]?…`
pub(super) async fn search(
    State(services): Shared,
    Segments(resource_type): Segments<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let types = services.resource_type(&resource_type)?.into();
    answer_search(&services, &types, &query.unwrap_or_default(), &headers).await
}

/// `GET [base]?…`
pub(super) async fn search_system(
    State(services): Shared,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    answer_search(&services, &Types::ALL, &query.unwrap_or_default(), &headers).await
}

/// `POST [base]/[type]/_search`
pub(super) async fn search_by_post(
    State(services): Shared,
    Segments(resource_type): Segments<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Read,
) -> Answer {
    let types = services.resource_type(&resource_type)?.into();
    answer_form(&services, &types, query.as_deref(), &headers, body).await
}

/// `POST [base]/_search`
pub(super) async fn search_system_by_post(
    State(services): Shared,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Read,
) -> Answer {
    answer_form(&services, &Types::ALL, query.as_deref(), &headers, body).await
}

/// A search whose parameters stand in the URL and in a form.
async fn answer_form(
    services: &Services,
    types: &Types,
    query: Option<&str>,
    headers: &HeaderMap,
    body: Read,
) -> Answer {
    let form = body.map_err(too_large)?;
    if !form.is_empty() {
        readable_form(headers)?;
    }
    let form = std::str::from_utf8(&form)
        .map_err(|_| invalid(IssueType::Value, "the form is not UTF-8"))?;
    let query = match query {
        None | Some("") => form.to_owned(),
        Some(query) if form.is_empty() => query.to_owned(),
        Some(query) => format!("{query}&{form}"),
    };
    let layout = Layout::of(&query, headers)?;
    let mut response = answer_search(services, types, &query, headers).await?;
    response.extensions_mut().insert(layout);
    Ok(response)
}

async fn answer_search(
    services: &Services,
    types: &Types,
    query: &str,
    headers: &HeaderMap,
) -> Answer {
    let handling = prefer_handling(headers);
    let found = searching::search(services, types, query, handling).await?;
    Ok(respond::json(StatusCode::OK, found))
}

/// `GET [base]/[compartment]/[id]/[type]?…`, or `*` for all types.
pub(super) async fn search_compartment(
    State(services): Shared,
    Segments((compartment, id, member)): Segments<(String, String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    if member.starts_with('$') {
        return Err(Error::UnknownOperation(member).into());
    }
    let query = query.unwrap_or_default();
    let key = services.key(&compartment, &id)?;
    let types = match member.as_str() {
        "*" => Types::ALL,
        member => services.resource_type(member)?.into(),
    };
    let handling = prefer_handling(&headers);
    let found = searching::compartment(&services, &key, &types, &query, handling).await?;
    Ok(respond::json(StatusCode::OK, found))
}

/// `GET [base]/[type]/[id]/_history`
pub(super) async fn history_instance(
    State(services): Shared,
    Segments((resource_type, id)): Segments<(String, String)>,
    RawQuery(query): RawQuery,
) -> Answer {
    let key = services.key(&resource_type, &id)?;
    let path = format!("{key}/_history");
    history(&services, HistoryScope::Instance(key), &path, query).await
}

/// `GET [base]/[type]/_history`
pub(super) async fn history_type(
    State(services): Shared,
    Segments(resource_type): Segments<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    let resource_type = services.resource_type(&resource_type)?;
    let path = format!("{resource_type}/_history");
    history(&services, HistoryScope::Type(resource_type), &path, query).await
}

/// `GET [base]/_history`
pub(super) async fn history_system(State(services): Shared, RawQuery(query): RawQuery) -> Answer {
    history(&services, HistoryScope::System, "_history", query).await
}

/// `POST [base]`: a batch or a transaction.
pub(super) async fn bundle(State(services): Shared, headers: HeaderMap, body: Read) -> Answer {
    let tree = received(&services, &headers, body)?;
    let with_resources = prefer_return(&headers) == Some(Return::Representation);
    let context = context(&services, &headers)?;
    let answer = transaction::process(&context, tree, with_resources).await?;
    Ok(respond::json(StatusCode::OK, answer))
}

async fn write(
    services: &Arc<Services>,
    change: Change,
    interaction: &str,
    headers: &HeaderMap,
) -> Answer {
    let mut written =
        write::commit(&context(services, headers)?, vec![change], interaction).await?;
    let written: Written = written
        .pop()
        .ok_or_else(|| Error::Internal("a commit of one change gave no result".into()))?;
    let wanted = prefer_return(headers).unwrap_or_default();
    Ok(respond::written(services, &written, wanted))
}

async fn history(
    services: &Services,
    scope: HistoryScope,
    path: &str,
    query: Option<String>,
) -> Answer {
    let text = query.unwrap_or_default();
    let query = history_query(services, scope, &text)?;
    let base = format!("{}/{path}", services.base_url);
    let mut kept = url::decode(&text);
    kept.retain(|(name, _)| name == "_since" || name == "_count");
    let page_url = |page: Option<i64>| {
        let mut pairs = kept.clone();
        pairs.extend(page.map(|page| ("_page".to_owned(), page.to_string())));
        if pairs.is_empty() {
            base.clone()
        } else {
            format!("{base}?{}", url::encode(&pairs))
        }
    };
    let bundle = history::history(services, &query, page_url).await?;
    Ok(respond::json(StatusCode::OK, bundle))
}

/// Filters that the standard has for a history and Baton does not: left out silently, more would be
/// shown than was asked for.
const FILTERS_NOT_OF_HISTORY: &[&str] = &["_at", "_list"];

fn history_query(
    services: &Services,
    scope: HistoryScope,
    query: &str,
) -> Result<HistoryQuery, Error> {
    let refused = |name: &&&str| parameter(query, name).is_some();
    if let Some(name) = FILTERS_NOT_OF_HISTORY.iter().find(refused) {
        let text = format!("the parameter '{name}' of a history is not supported; _since is");
        return Err(invalid(IssueType::NotSupported, text));
    }
    let since = parameter(query, "_since")
        .map(|text| instant(&text))
        .transpose()?;
    let count = match parameter(query, "_count") {
        None => services.page_counts.default,
        Some(text) => text
            .parse::<u32>()
            .ok()
            .filter(|count| *count > 0)
            .ok_or_else(|| invalid(IssueType::Value, "_count is a number of versions above 0"))?
            .min(services.page_counts.max),
    };
    let before = parameter(query, "_page")
        .map(|text| {
            text.parse()
                .map_err(|_| invalid(IssueType::Value, "_page is not one of ours"))
        })
        .transpose()?;
    Ok(HistoryQuery {
        scope,
        since,
        count,
        before,
    })
}

fn instant(text: &str) -> Result<DateTime<Utc>, Error> {
    // In a URL `+` means a space, and clients forget to escape it.
    DateTime::parse_from_rfc3339(&text.replace(' ', "+"))
        .map(Into::into)
        .map_err(|_| {
            invalid(
                IssueType::Value,
                "_since is no instant such as 2026-03-06T16:10:00-05:00",
            )
        })
}

fn document(services: &Services, headers: &HeaderMap, body: Read) -> Result<Document, Refusal> {
    received(services, headers, body).map(Document::new)
}

/// The one parse of a request.
pub(super) fn received(
    services: &Services,
    headers: &HeaderMap,
    body: Read,
) -> Result<Tree, Refusal> {
    let format = body_format(headers)?;
    Ok(parse(services, format, body.map_err(too_large)?)?)
}

fn parse(services: &Services, format: Format, text: impl Into<Vec<u8>>) -> Result<Tree, Error> {
    format
        .parse(text, &services.definitions, &services.parse_limits)
        .map_err(|issue| Error::Invalid(vec![issue]))
}

pub(super) fn too_large(_: BytesRejection) -> Refusal {
    Refusal::Http(
        StatusCode::PAYLOAD_TOO_LARGE,
        IssueType::TooLong,
        "the body is larger than rest.body_bytes_max allows, or was cut".into(),
    )
}

pub(super) fn context(services: &Arc<Services>, headers: &HeaderMap) -> Result<Context, Error> {
    Ok(Context {
        services: Arc::clone(services),
        caller: Caller::anonymous(),
        policy: policy(services, headers)?,
    })
}
