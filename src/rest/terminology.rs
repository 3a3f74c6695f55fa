//! Routes and handlers of the terminology operations, by GET and by POST of `Parameters`:
//! <https://hl7.org/fhir/R4/operations.html#executing>.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::get;
use axum::{Extension, Router};
use fhir_terminology::{OPERATIONS, Operation, Parameters};

use crate::error::Error;
use crate::interaction::{Services, url};
use crate::operation::terminology;
use crate::rest::Shared;
use crate::rest::interactions::{Read, Segments, received};
use crate::rest::outcome::Refusal;
use crate::rest::respond;

type Answer = Result<Response<Body>, Refusal>;

/// Parameters of a query that shape the answer whatever the operation.
const GENERAL: &[&str] = &["_format", "_pretty"];

/// Adds a route for each operation, on the type and on an instance.
pub(super) fn add_routes(router: Router<Shared>) -> Router<Shared> {
    OPERATIONS.iter().fold(router, |router, operation| {
        let Operation {
            resource_type,
            name,
            ..
        } = operation;
        let on_type = get(type_by_get)
            .post(type_by_post)
            .layer(Extension(operation));
        let router = router.route(&format!("/{resource_type}/${name}"), on_type);
        if operation.instance.is_none() {
            return router;
        }
        let on_instance = get(instance_by_get)
            .post(instance_by_post)
            .layer(Extension(operation));
        router.route(&format!("/{resource_type}/{{id}}/${name}"), on_instance)
    })
}

/// `GET [base]/[type]/$[name]`
async fn type_by_get(
    State(services): State<Arc<Services>>,
    Extension(operation): Extension<&'static Operation>,
    RawQuery(query): RawQuery,
) -> Answer {
    let parameters = of_query(query.as_deref());
    let answer = terminology::on_type(Arc::clone(&services), operation, parameters).await?;
    Ok(respond::json(StatusCode::OK, answer))
}

/// `POST [base]/[type]/$[name]`
async fn type_by_post(
    State(services): State<Arc<Services>>,
    Extension(operation): Extension<&'static Operation>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Read,
) -> Answer {
    let parameters = of_body(&services, query.as_deref(), &headers, body)?;
    let answer = terminology::on_type(Arc::clone(&services), operation, parameters).await?;
    Ok(respond::json(StatusCode::OK, answer))
}

/// `GET [base]/[type]/[id]/$[name]`
async fn instance_by_get(
    State(services): State<Arc<Services>>,
    Extension(operation): Extension<&'static Operation>,
    Segments(id): Segments<String>,
    RawQuery(query): RawQuery,
) -> Answer {
    let key = services.key(operation.resource_type, &id)?;
    let parameters = of_query(query.as_deref());
    let shared = Arc::clone(&services);
    let answer = terminology::on_instance(shared, operation, &key, parameters).await?;
    Ok(respond::json(StatusCode::OK, answer))
}

/// `POST [base]/[type]/[id]/$[name]`
async fn instance_by_post(
    State(services): State<Arc<Services>>,
    Extension(operation): Extension<&'static Operation>,
    Segments(id): Segments<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Read,
) -> Answer {
    let key = services.key(operation.resource_type, &id)?;
    let parameters = of_body(&services, query.as_deref(), &headers, body)?;
    let shared = Arc::clone(&services);
    let answer = terminology::on_instance(shared, operation, &key, parameters).await?;
    Ok(respond::json(StatusCode::OK, answer))
}

fn of_query(query: Option<&str>) -> Parameters {
    let pairs = url::decode(query.unwrap_or_default()).into_iter();
    Parameters::from_query(pairs.filter(|(name, _)| !GENERAL.contains(&name.as_str())))
}

/// The parameters of a body, and those that the URL adds.
fn of_body(
    services: &Services,
    query: Option<&str>,
    headers: &HeaderMap,
    body: Read,
) -> Result<Parameters, Refusal> {
    let tree = received(services, headers, body)?;
    let resource = tree.to_value(tree.root().id());
    let mut parameters = Parameters::from_resource(&resource).map_err(Error::Terminology)?;
    parameters.extend(of_query(query));
    Ok(parameters)
}
