//! The operations by name: what a server offers, and how each is called.

use fhir_model::definition::Definitions;
use serde_json::Value;

use crate::expand::{Stamp, expand};
use crate::validate_code::{Scope, validate_code};
use crate::{Error, Parameters, lookup, subsumes, translate};

/// An operation on a type, and on its instances.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The resource type: `ValueSet`.
    pub resource_type: &'static str,
    /// The name, without `$`.
    pub name: &'static str,
    /// The canonical of its definition.
    pub definition: &'static str,
    /// The parameter that takes an instance, if the operation can be called on one.
    pub instance: Option<&'static str>,
    call: Call,
}

type Call = fn(&Definitions, &Parameters, &Stamp<'_>) -> Result<Value, Error>;

impl Operation {
    /// Calls the operation.
    pub fn call(
        &self,
        definitions: &Definitions,
        parameters: &Parameters,
        stamp: &Stamp<'_>,
    ) -> Result<Value, Error> {
        (self.call)(definitions, parameters, stamp)
    }
}

/// All operations.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        resource_type: "ValueSet",
        name: "expand",
        definition: "http://hl7.org/fhir/OperationDefinition/ValueSet-expand",
        instance: Some("valueSet"),
        call: expand,
    },
    Operation {
        resource_type: "ValueSet",
        name: "validate-code",
        definition: "http://hl7.org/fhir/OperationDefinition/ValueSet-validate-code",
        instance: Some("valueSet"),
        call: |definitions, parameters, _| validate_code(definitions, Scope::ValueSet, parameters),
    },
    Operation {
        resource_type: "CodeSystem",
        name: "validate-code",
        definition: "http://hl7.org/fhir/OperationDefinition/CodeSystem-validate-code",
        instance: Some("codeSystem"),
        call: |definitions, parameters, _| {
            validate_code(definitions, Scope::CodeSystem, parameters)
        },
    },
    Operation {
        resource_type: "CodeSystem",
        name: "lookup",
        definition: "http://hl7.org/fhir/OperationDefinition/CodeSystem-lookup",
        instance: None,
        call: |definitions, parameters, _| lookup(definitions, parameters),
    },
    Operation {
        resource_type: "CodeSystem",
        name: "subsumes",
        definition: "http://hl7.org/fhir/OperationDefinition/CodeSystem-subsumes",
        instance: Some("codeSystem"),
        call: |definitions, parameters, _| subsumes(definitions, parameters),
    },
    Operation {
        resource_type: "ConceptMap",
        name: "translate",
        definition: "http://hl7.org/fhir/OperationDefinition/ConceptMap-translate",
        instance: Some("conceptMap"),
        call: |definitions, parameters, _| translate(definitions, parameters),
    },
];
