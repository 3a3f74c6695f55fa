//! The names and types of FHIR that the functions themselves must know.

use fhir_model::definition::{Definitions, TypeId};
use fhir_model::name::Name;

/// Names and types, looked up once per expression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) value: Name,
    pub(crate) unit: Name,
    pub(crate) code: Name,
    pub(crate) reference: Name,
    pub(crate) kind: Name,
    pub(crate) contained: Name,
    pub(crate) extension: Name,
    pub(crate) modifier_extension: Name,
    pub(crate) url: Name,
    pub(crate) system: Name,
    pub(crate) coding: Name,
    pub(crate) item: Name,
    pub(crate) link_id: Name,
    pub(crate) answer_option: Name,
    pub(crate) extension_type: Option<TypeId>,
    quantity: Option<TypeId>,
    boolean: Option<TypeId>,
}

impl Known {
    pub(crate) fn new(definitions: &Definitions) -> Self {
        let name = |text| definitions.names().get(text).unwrap_or(Name::UNKNOWN);
        Self {
            value: name("value"),
            unit: name("unit"),
            code: name("code"),
            reference: name("reference"),
            kind: name("type"),
            contained: name("contained"),
            extension: name("extension"),
            modifier_extension: name("modifierExtension"),
            url: name("url"),
            system: name("system"),
            coding: name("coding"),
            item: name("item"),
            link_id: name("linkId"),
            answer_option: name("answerOption"),
            extension_type: definitions.type_named("Extension"),
            quantity: definitions.type_named("Quantity"),
            boolean: definitions.type_named("boolean"),
        }
    }

    /// Whether a type is `boolean`.
    pub(crate) fn is_boolean(&self, type_id: TypeId) -> bool {
        self.boolean == Some(type_id)
    }

    /// Whether a type is `Quantity` or one like it (`Age`, `Duration`).
    pub(crate) fn is_quantity(&self, type_id: TypeId, definitions: &Definitions) -> bool {
        self.quantity.is_some_and(|quantity| {
            type_id == quantity || definitions.is_subtype_of(type_id, quantity)
        })
    }
}
