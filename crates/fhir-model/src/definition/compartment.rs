//! Compartments: which resources belong to a patient, an encounter, a practitioner.
//!
//! Standard: <https://hl7.org/fhir/R4/compartmentdefinition.html>. Whether a resource is in a
//! compartment is left to search and access, which evaluate the search parameters named here.

use serde::{Deserialize, Serialize};

use super::types::TypeId;
use super::{Definitions, Span, Text};

/// A `CompartmentDefinition`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compartment {
    /// The canonical URL.
    pub url: Text,
    /// The type of resource that the compartment is about: `Patient`.
    pub code: TypeId,
    pub(crate) resources: Span,
}

/// How resources of one type get into a compartment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompartmentResource {
    /// The type of the resources.
    pub resource_type: TypeId,
    pub(crate) parameters: Span,
}

/// The tables behind the compartments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CompartmentTables {
    pub(crate) compartments: Vec<Compartment>,
    /// Those of a compartment are sorted by type; types without parameters are left out.
    pub(crate) resources: Vec<CompartmentResource>,
    pub(crate) parameters: Vec<Text>,
}

impl Definitions {
    /// The compartment about this type of resource: `compartment("Patient")`.
    pub fn compartment(&self, code: &str) -> Option<&Compartment> {
        let code = self.type_named(code)?;
        self.compartments
            .compartments
            .iter()
            .rev()
            .find(|compartment| compartment.code == code)
    }

    /// All compartments.
    pub fn compartments(&self) -> &[Compartment] {
        &self.compartments.compartments
    }

    /// The types that can be in a compartment, sorted by type number.
    pub fn compartment_resources(&self, compartment: &Compartment) -> &[CompartmentResource] {
        compartment.resources.of(&self.compartments.resources)
    }

    /// The codes of the search parameters by which a resource of this type is in a compartment;
    /// empty if none ever is. `{def}` stands for the resource itself.
    pub fn compartment_parameters(
        &self,
        compartment: &Compartment,
        resource_type: TypeId,
    ) -> &[Text] {
        let resources = self.compartment_resources(compartment);
        resources
            .binary_search_by_key(&resource_type, |resource| resource.resource_type)
            .ok()
            .and_then(|at| resources.get(at))
            .map_or(&[], |resource| {
                resource.parameters.of(&self.compartments.parameters)
            })
    }
}
