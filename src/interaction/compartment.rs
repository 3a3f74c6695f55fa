//! Compartments: which resources belong to a patient, an encounter, a practitioner, a related person
//! or a device.
//!
//! <https://hl7.org/fhir/R4/compartmentdefinition.html>. The compartments of patients have an index;
//! those of others are what refers to them by the parameters that the definition names.

use fhir_model::definition::Compartment;
use fhir_model::issue::IssueType;
use fhir_model::key::{ResourceKey, ResourceType};

use crate::error::Error;
use crate::interaction::{Services, invalid};
use crate::search::expression::{Criterion, Filter, ReferenceCriterion, Types};
use crate::search::value::ParameterId;

/// The compartment whose members are indexed.
const INDEXED: &str = "Patient";

/// The condition that a resource of one of these types is in the compartment of `key`.
///
/// # Errors
/// [`Error::NotSupported`] where no compartment is defined of this type, [`Error::Invalid`] where the
/// one type that is wanted is never in it.
pub fn filter(services: &Services, key: &ResourceKey, types: &Types) -> Result<Filter, Error> {
    let compartment = definition(services, &key.resource_type)?;
    if let Some(member) = types.only() {
        let filters = memberships(services, compartment, key, member);
        if filters.is_empty() {
            let text = format!(
                "resources of type {member} are not in the compartment of a {}",
                key.resource_type
            );
            return Err(invalid(IssueType::NotSupported, text));
        }
        return Ok(if key.resource_type.as_str() == INDEXED {
            Filter::Compartment(key.id.clone())
        } else {
            Filter::Or(filters)
        });
    }
    if key.resource_type.as_str() == INDEXED {
        return Ok(Filter::Compartment(key.id.clone()));
    }
    let definitions = &services.definitions;
    let all = definitions.concrete_resource_types();
    let members = all.filter_map(|type_id| {
        let member = ResourceType::parse(definitions.type_name(type_id)).ok()?;
        let filters = memberships(services, compartment, key, &member);
        (!filters.is_empty()).then_some((member, Filter::Or(filters)))
    });
    Ok(Filter::ByType(members.collect()))
}

fn definition<'s>(
    services: &'s Services,
    resource_type: &ResourceType,
) -> Result<&'s Compartment, Error> {
    let definitions = &services.definitions;
    definitions
        .compartment(resource_type.as_str())
        .ok_or_else(|| {
            let known = definitions.compartments().iter();
            let known: Vec<&str> = known.map(|one| definitions.type_name(one.code)).collect();
            Error::NotSupported(format!(
                "there is no compartment of a {resource_type}; there is one of {}",
                known.join(", ")
            ))
        })
}

/// The ways in which a resource of a type gets into a compartment; none where it never does.
fn memberships(
    services: &Services,
    compartment: &Compartment,
    key: &ResourceKey,
    member: &ResourceType,
) -> Vec<Filter> {
    let definitions = &services.definitions;
    let Some(type_id) = definitions.resource_type(member.as_str()) else {
        return Vec::new();
    };
    let codes = definitions.compartment_parameters(compartment, type_id);
    let mut filters: Vec<Filter> = codes
        .iter()
        .map(|code| Filter::Any {
            parameter: ParameterId::new(member.as_str(), definitions.text(*code)),
            criteria: vec![Criterion::Reference(ReferenceCriterion::Local(
                key.resource_type.clone(),
                key.id.clone(),
            ))],
            negated: false,
        })
        .collect();
    if *member == key.resource_type {
        filters.push(Filter::Id(vec![key.id.clone()]));
    }
    filters
}

/// The parameters by which resources of all types get into the compartment of `key`.
///
/// # Errors
/// [`Error::NotSupported`] where no compartment is defined of this type.
pub fn parameters(services: &Services, key: &ResourceKey) -> Result<Vec<ParameterId>, Error> {
    let compartment = definition(services, &key.resource_type)?;
    let definitions = &services.definitions;
    let parameters = definitions.concrete_resource_types().flat_map(|type_id| {
        let name = definitions.type_name(type_id);
        let codes = definitions.compartment_parameters(compartment, type_id);
        codes
            .iter()
            .map(move |code| ParameterId::new(name, definitions.text(*code)))
    });
    Ok(parameters.collect())
}

/// Whether resources of a type are in no patient's compartment.
pub fn is_shared(services: &Services, resource_type: &ResourceType) -> bool {
    let definitions = &services.definitions;
    let compartment = definitions.compartment(INDEXED);
    let type_id = definitions.resource_type(resource_type.as_str());
    let (Some(compartment), Some(type_id)) = (compartment, type_id) else {
        return false;
    };
    let is_patient = type_id == compartment.code;
    let codes = definitions.compartment_parameters(compartment, type_id);
    !is_patient && codes.is_empty()
}
