//! The `$validate` operation: <https://hl7.org/fhir/R4/resource-operation-validate.html>.

use std::borrow::Cow;

use fhir_model::issue::{Issue, IssueType, OperationOutcome};
use fhir_model::key::ResourceType;
use fhir_model::tree::Node;
use fhir_validation::Options;

use crate::error::Error;
use crate::interaction::write::{Document, issues};
use crate::interaction::{Services, invalid};

/// What validation finds in a resource, or in the parameter `resource` of a Parameters.
///
/// # Errors
/// [`Error::Invalid`] when the body is another type than the URL names.
pub fn validate(
    services: &Services,
    resource_type: &ResourceType,
    document: Document,
    profile: Option<String>,
) -> Result<OperationOutcome, Error> {
    let (document, profile) = unwrap(services, resource_type, document, profile)?;
    let found = document.resource_type(services)?;
    if found != *resource_type {
        return Err(invalid(
            IssueType::Invalid,
            format!("the resource is a {found}, the URL names {resource_type}"),
        ));
    }
    let mut issues = issues(
        services,
        &document,
        &found,
        profile.as_deref(),
        &Options::default(),
    );
    if issues.is_empty() {
        issues.push(Issue::information(IssueType::Informational, "No issues"));
    }
    Ok(OperationOutcome::new(issues))
}

/// The resource and the profile out of a Parameters; a bare resource stays as it is.
fn unwrap(
    services: &Services,
    resource_type: &ResourceType,
    document: Document,
    profile: Option<String>,
) -> Result<(Document, Option<String>), Error> {
    let found = document.resource_type(services)?;
    if found.as_str() != "Parameters" || resource_type.as_str() == "Parameters" {
        return Ok((document, profile));
    }
    let parameter = |name: &str| {
        let parameters = document.node().get_str("parameter").map(Node::items);
        parameters
            .into_iter()
            .flatten()
            .find(|parameter| text(*parameter, "name").as_deref() == Some(name))
    };
    let resource = parameter("resource")
        .and_then(|parameter| parameter.get_str("resource"))
        .ok_or_else(|| {
            invalid(
                IssueType::Required,
                "Parameters without a parameter \"resource\"",
            )
        })?;
    let named = parameter("profile").and_then(|parameter| {
        text(parameter, "valueUri").or_else(|| text(parameter, "valueCanonical"))
    });
    let profile = profile.or_else(|| named.map(Cow::into_owned));
    Ok((document.part(resource.id()), profile))
}

fn text<'a>(node: Node<'a>, key: &str) -> Option<Cow<'a, str>> {
    node.get_str(key)?.as_str()
}
