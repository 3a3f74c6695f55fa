//! Handlers of the FHIR interactions: extract, call, respond.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequestParts, Path, RawQuery, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, StatusCode};
use fhir_model::format::Format;
use fhir_model::issue::IssueType;
use fhir_model::key::VersionId;
use fhir_model::tree::Tree;
use serde::de::DeserializeOwned;

use crate::access::Caller;
use crate::error::Error;
use crate::interaction::transaction::{self, Preferences};
use crate::interaction::write::{self, Change, Document, Written};
use crate::interaction::{
    Context, Services, aside, history, invalid, read as reading, search as searching,
};
use crate::job::Jobs;
use crate::job::request::{BundleRequest, Request};
use crate::rest::asynchronous;
use crate::rest::conditions::{if_match, if_none_exist, is_fresh, of_update};
use crate::rest::negotiate::{body_format, prefer_handling, prefer_return};
use crate::rest::outcome::Refusal;
use crate::rest::policy::policy;
use crate::rest::respond;
use crate::store::HistoryScope;

pub(super) type Shared = State<Arc<Services>>;
pub(super) type Answer = Result<Response<Body>, Refusal>;
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
        expected: of_update(&headers)?,
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
    if if_match(&headers)?.is_some() {
        let text = "a conditional delete takes no If-Match; delete by the id, or without it";
        return Err(invalid(IssueType::NotSupported, text).into());
    }
    write(
        &services,
        Change::DeleteWhere { condition },
        "delete",
        &headers,
    )
    .await
}

/// `GET [base]/[type]/[id]/_history`
pub(super) async fn history_instance(
    State(services): Shared,
    Segments((resource_type, id)): Segments<(String, String)>,
    RawQuery(query): RawQuery,
) -> Answer {
    let key = services.key(&resource_type, &id)?;
    history(&services, HistoryScope::Instance(key), query).await
}

/// `GET [base]/[type]/_history`
pub(super) async fn history_type(
    State(services): Shared,
    Segments(resource_type): Segments<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    let resource_type = services.resource_type(&resource_type)?;
    history(&services, HistoryScope::Type(resource_type), query).await
}

/// `GET [base]/_history`
pub(super) async fn history_system(State(services): Shared, RawQuery(query): RawQuery) -> Answer {
    history(&services, HistoryScope::System, query).await
}

/// `POST [base]`: a batch or a transaction.
pub(super) async fn bundle(
    State(services): Shared,
    Extension(jobs): Extension<Arc<Jobs>>,
    headers: HeaderMap,
    body: Read,
) -> Answer {
    let format = body_format(&headers)?;
    let body = body?;
    let size = body.len();
    let context = context(&services, &headers)?;
    let parser = Arc::clone(&services);
    let parsing = move || parse(&parser, format, body);
    let tree = aside::work(size, parsing).await??;
    let preferences = Preferences {
        returning: prefer_return(&headers),
        handling: prefer_handling(&headers),
    };
    if asynchronous::is_wanted(&headers) {
        let request = BundleRequest::new(&context, &tree, preferences)?;
        return asynchronous::accept(&jobs, &services, &Request::Bundle(request)).await;
    }
    let answer = transaction::process(&context, tree, preferences).await?;
    Ok(respond::json(StatusCode::OK, answer))
}

/// Makes one change, and answers with what became of it.
pub(super) async fn write(
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

async fn history(services: &Services, scope: HistoryScope, query: Option<String>) -> Answer {
    let query = query.unwrap_or_default();
    let bundle = history::history(services, scope, &query).await?;
    Ok(respond::json(StatusCode::OK, bundle))
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
    Ok(parse(services, format, body?)?)
}

pub(super) fn parse(
    services: &Services,
    format: Format,
    text: impl Into<Vec<u8>>,
) -> Result<Tree, Error> {
    format
        .parse(text, &services.definitions, &services.parse_limits)
        .map_err(|issue| Error::Invalid(vec![issue]))
}

pub(super) fn context(services: &Arc<Services>, headers: &HeaderMap) -> Result<Context, Error> {
    Ok(Context {
        services: Arc::clone(services),
        store: services.store.clone(),
        caller: Caller::anonymous(),
        policy: policy(services, headers)?,
    })
}
