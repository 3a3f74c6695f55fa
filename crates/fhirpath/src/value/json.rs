//! Items as JSON, for whoever shows what an expression gives: names of types as `FHIRPath` has them,
//! values as FHIR writes them, decimals with the digits that they have.

use std::borrow::Cow;

use fhir_model::definition::{Definitions, TypeKind};
use fhir_model::element::Element;
use fhir_model::tree::push_json_string;

use crate::value::{Item, Quantity, TypeInfo, system_name};

impl Item<'_> {
    /// The name of its type with the namespace: `FHIR.HumanName`, `System.Boolean`. That of a nested
    /// element is the one it specialises, as `type()` says: `FHIR.BackboneElement`.
    pub fn qualified_type_name(&self, definitions: &Definitions) -> Cow<'static, str> {
        if let Self::Type(_) = self {
            return "System.SimpleTypeInfo".into();
        }
        let (namespace, name) = name_of(self.type_info(definitions), definitions);
        format!("{namespace}.{name}").into()
    }

    /// Appends its value as JSON: what a resource has, as it has it; `null` for a primitive without a
    /// value and for a resource of which only the type is known.
    pub fn write_json(&self, definitions: &Definitions, out: &mut String) {
        match self {
            Self::Boolean(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Self::Integer(number) => out.push_str(&number.to_string()),
            Self::Decimal(number) => out.push_str(&number.to_string()),
            Self::String(text) => push_json_string(out, text),
            Self::Date(moment) | Self::DateTime(moment) => {
                push_json_string(out, &moment.to_string());
            }
            Self::Time(time) => push_json_string(out, &time.time_text()),
            Self::Quantity(quantity) => write_quantity(quantity, out),
            Self::Node { element, .. } => write_element(*element, out),
            Self::Resource(_) => out.push_str("null"),
            Self::Type(info) => {
                let (namespace, name) = name_of(*info, definitions);
                out.push_str("{\"namespace\":");
                push_json_string(out, namespace);
                out.push_str(",\"name\":");
                push_json_string(out, name);
                out.push('}');
            }
        }
    }
}

/// The namespace and the name of a type: <http://hl7.org/fhirpath/N1/#reflection>.
pub(crate) fn name_of(info: TypeInfo, definitions: &Definitions) -> (&'static str, &str) {
    match info {
        TypeInfo::System(kind) => ("System", system_name(kind)),
        TypeInfo::Fhir(type_id) => match definitions.type_of(type_id) {
            // The type of a nested element has no name of its own in FHIR.
            nested if nested.kind == TypeKind::Backbone => {
                let base = nested.base.map(|base| definitions.type_name(base));
                ("FHIR", base.unwrap_or("Element"))
            }
            _ => ("FHIR", definitions.type_name(type_id)),
        },
    }
}

fn write_quantity(quantity: &Quantity<'_>, out: &mut String) {
    out.push_str("{\"value\":");
    out.push_str(&quantity.value.to_string());
    out.push_str(",\"unit\":");
    push_json_string(out, quantity.unit.text());
    out.push('}');
}

fn write_element(element: Element<'_>, out: &mut String) {
    match element.value() {
        Some(node) => node.write(out),
        None => out.push_str("null"),
    }
}
