//! `$clock`: reads the clock; moves it where it is held by hand (`--manual-clock`).
//!
//! Not an operation of FHIR: it exists for simulations and acceptance tests. The body is a
//! Parameters resource with one parameter `instant` of type instant.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode};
use chrono::{DateTime, Utc};
use fhir_model::issue::IssueType;
use fhir_model::tree::{Node, Tree};

use crate::error::Error;
use crate::interaction::write::instant_text;
use crate::interaction::{Services, invalid};
use crate::rest::interactions::{Read, received};
use crate::rest::outcome::Refusal;
use crate::rest::respond;
use crate::workflow::Workflow;

/// What the clock says.
pub(super) async fn read(State(services): State<Arc<Services>>) -> Response<Body> {
    answer(services.clock.now())
}

/// Moves the clock; answers once every timer in between has fired.
pub(super) async fn advance(
    State(services): State<Arc<Services>>,
    Extension(workflow): Extension<Arc<Workflow>>,
    headers: HeaderMap,
    body: Read,
) -> Result<Response<Body>, Refusal> {
    if services.clock.as_manual().is_none() {
        return Err(Error::NotSupported(
            "the clock of this server is the machine's; start it with --manual-clock to move it"
                .into(),
        )
        .into());
    }
    let instant = instant(&received(&services, &headers, body)?)?;
    workflow.advance(instant).await?;
    Ok(answer(services.clock.now()))
}

fn instant(tree: &Tree) -> Result<DateTime<Utc>, Error> {
    let parameters = tree.root().get_str("parameter").map(Node::items);
    let parameter = parameters
        .into_iter()
        .flatten()
        .find(|parameter| {
            parameter.get_str("name").and_then(Node::as_str).as_deref() == Some("instant")
        })
        .and_then(|parameter| parameter.get_str("valueInstant"));
    let Some(text) = parameter.and_then(Node::as_str) else {
        return Err(invalid(
            IssueType::Required,
            "Parameters with a parameter \"instant\" (valueInstant) are expected",
        ));
    };
    DateTime::parse_from_rfc3339(&text)
        .map(Into::into)
        .map_err(|_| {
            invalid(
                IssueType::Value,
                "valueInstant is no instant such as 2026-03-06T16:10:00-05:00",
            )
        })
}

fn answer(now: DateTime<Utc>) -> Response<Body> {
    let text = format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"instant","valueInstant":"{}"}}]}}"#,
        instant_text(now)
    );
    respond::json(StatusCode::OK, text)
}
