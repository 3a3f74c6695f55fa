//! Handlers of the `patch` interaction: <https://hl7.org/fhir/R4/http.html#patch>.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;

use fhir_model::format::Format;

use crate::error::Error;
use crate::interaction::write::Change;
use crate::interaction::{Services, search};
use crate::patch::Patch;
use crate::rest::conditions::if_match;
use crate::rest::interactions::{Answer, Read, Segments, Shared, parse, write};
use crate::rest::negotiate::{PatchFormat, patch_format};
use crate::rest::outcome::Refusal;

/// `PATCH [base]/[type]/[id]`
pub(super) async fn of_instance(
    State(services): Shared,
    Segments((resource_type, id)): Segments<(String, String)>,
    headers: HeaderMap,
    body: Read,
) -> Answer {
    let key = services.key(&resource_type, &id)?;
    let change = Change::Patch {
        key,
        patch: sent(&services, &headers, body)?,
        expected: if_match(&headers)?,
    };
    write(&services, change, "patch", &headers).await
}

/// `PATCH [base]/[type]?[condition]`
pub(super) async fn of_condition(
    State(services): Shared,
    Segments(resource_type): Segments<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Read,
) -> Answer {
    let resource_type = services.resource_type(&resource_type)?;
    let condition = search::condition(&services, &resource_type, &query.unwrap_or_default())?;
    let change = Change::PatchWhere {
        condition,
        patch: sent(&services, &headers, body)?,
        expected: if_match(&headers)?,
    };
    write(&services, change, "patch", &headers).await
}

/// The patch in a body, in one of the formats that are offered.
fn sent(services: &Services, headers: &HeaderMap, body: Read) -> Result<Arc<Patch>, Refusal> {
    let format = patch_format(headers)?;
    let body = body?;
    let patch = match format {
        PatchFormat::JsonPatch => Patch::json(&body, &services.parse_limits),
        PatchFormat::MergePatch => Ok(Patch::merge(parse(services, Format::Json, body)?)),
        PatchFormat::Json => {
            let tree = parse(services, Format::Json, body)?;
            match tree.resource_type().as_deref() {
                Some("Parameters") => Patch::fhirpath(tree),
                _ => Ok(Patch::merge(tree)),
            }
        }
        PatchFormat::Parameters(format) => Patch::fhirpath(parse(services, format, body)?),
    };
    Ok(Arc::new(patch.map_err(Error::from)?))
}
