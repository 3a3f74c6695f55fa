//! The table of operations: the routes, the CapabilityStatement and the `OpenAPI` document come from it.
//!
//! <https://hl7.org/fhir/R4/operationslist.html>. One row adds an operation everywhere; what it does
//! is left to the module `operation`, which has an arm for each [`Act`].

use std::fmt;
use std::sync::LazyLock;

use fhir_model::key::{ResourceKey, ResourceType, VersionId};

use crate::error::Error;
use crate::interaction::Services;

/// An operation.
#[derive(Debug)]
pub struct Operation {
    /// The name, without `$`.
    pub name: &'static str,
    /// The canonical of its definition.
    pub definition: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// The types of resources that it is about; any where there is none.
    pub types: &'static [&'static str],
    /// On what it is called.
    pub scopes: &'static [Scope],
    /// Whether something is different after it; what changes nothing is called by GET, too.
    pub affects_state: bool,
    /// Its parameters; `None` where the operation itself knows them.
    pub parameters: Option<&'static [Parameter]>,
    /// Whether a setting is needed for it.
    pub is_offered: fn(&Services) -> bool,
    /// What is done.
    pub act: Act,
}

/// On what an operation is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// `[base]/$name`
    System,
    /// `[base]/[type]/$name`
    Type,
    /// `[base]/[type]/[id]/$name`
    Instance,
    /// `[base]/[type]/[id]/_history/[vid]/$name`
    Version,
}

/// A parameter that goes in.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its type, as FHIR spells it.
    pub kind: &'static str,
    /// Whether there may be several.
    pub repeats: bool,
}

/// What an operation does.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "each variant is the operation of that name")]
pub enum Act {
    Document,
    Everything,
    Match,
    Meta,
    MetaAdd,
    MetaDelete,
    Purge,
    Terminology(&'static fhir_terminology::Operation),
    Validate,
}

/// What an operation is called on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// `[base]/$name`
    System,
    /// `[base]/[type]/$name`
    Type(ResourceType),
    /// `[base]/[type]/[id]/$name`
    Instance(ResourceKey),
    /// `[base]/[type]/[id]/_history/[vid]/$name`
    Version(ResourceKey, VersionId),
}

impl On {
    /// The type of resource, if it is not the whole system.
    pub fn resource_type(&self) -> Option<&ResourceType> {
        match self {
            Self::System => None,
            Self::Type(resource_type) => Some(resource_type),
            Self::Instance(key) | Self::Version(key, _) => Some(&key.resource_type),
        }
    }
}

impl fmt::Display for On {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => formatter.write_str("the system"),
            Self::Type(resource_type) => write!(formatter, "{resource_type}"),
            Self::Instance(key) => write!(formatter, "{key}"),
            Self::Version(key, version) => write!(formatter, "{key}/_history/{version}"),
        }
    }
}

const fn once(name: &'static str, kind: &'static str) -> Parameter {
    Parameter {
        name,
        kind,
        repeats: false,
    }
}

const fn many(name: &'static str, kind: &'static str) -> Parameter {
    Parameter {
        name,
        kind,
        repeats: true,
    }
}

/// Operations that are done here.
static OWN: &[Operation] = &[
    Operation {
        name: "validate",
        definition: "http://hl7.org/fhir/OperationDefinition/Resource-validate",
        about: "Validates a resource against its type and profiles.",
        types: &[],
        scopes: &[Scope::Type, Scope::Instance],
        affects_state: false,
        parameters: Some(&[
            once("resource", "Resource"),
            once("mode", "code"),
            once("profile", "uri"),
        ]),
        is_offered: |_| true,
        act: Act::Validate,
    },
    Operation {
        name: "everything",
        definition: "http://hl7.org/fhir/OperationDefinition/Patient-everything",
        about: "Everything in the compartment of a patient, and what it refers to.",
        types: &["Patient"],
        scopes: &[Scope::Instance],
        affects_state: false,
        parameters: Some(&[
            once("start", "date"),
            once("end", "date"),
            once("_since", "instant"),
            many("_type", "code"),
            once("_count", "integer"),
            once("_page", "string"),
        ]),
        is_offered: |_| true,
        act: Act::Everything,
    },
    Operation {
        name: "everything",
        definition: "http://hl7.org/fhir/OperationDefinition/Encounter-everything",
        about: "Everything in the compartment of an encounter, and what it refers to.",
        types: &["Encounter"],
        scopes: &[Scope::Instance],
        affects_state: false,
        parameters: Some(&[
            once("_since", "instant"),
            many("_type", "code"),
            once("_count", "integer"),
            once("_page", "string"),
        ]),
        is_offered: |_| true,
        act: Act::Everything,
    },
    Operation {
        name: "meta",
        definition: "http://hl7.org/fhir/OperationDefinition/Resource-meta",
        about: "Profiles, tags and security labels: of a resource, or all that are in use.",
        types: &[],
        scopes: &[Scope::System, Scope::Type, Scope::Instance, Scope::Version],
        affects_state: false,
        parameters: Some(&[]),
        is_offered: |_| true,
        act: Act::Meta,
    },
    Operation {
        name: "meta-add",
        definition: "http://hl7.org/fhir/OperationDefinition/Resource-meta-add",
        about: "Adds profiles, tags and security labels to a resource.",
        types: &[],
        scopes: &[Scope::Instance],
        affects_state: true,
        parameters: Some(&[once("meta", "Meta")]),
        is_offered: |_| true,
        act: Act::MetaAdd,
    },
    Operation {
        name: "meta-delete",
        definition: "http://hl7.org/fhir/OperationDefinition/Resource-meta-delete",
        about: "Takes profiles, tags and security labels off a resource.",
        types: &[],
        scopes: &[Scope::Instance],
        affects_state: true,
        parameters: Some(&[once("meta", "Meta")]),
        is_offered: |_| true,
        act: Act::MetaDelete,
    },
    Operation {
        name: "document",
        definition: "http://hl7.org/fhir/OperationDefinition/Composition-document",
        about: "Makes a document of a composition and all that it refers to.",
        types: &["Composition"],
        scopes: &[Scope::Type, Scope::Instance],
        affects_state: false,
        parameters: Some(&[
            once("id", "uri"),
            once("persist", "boolean"),
            once("graph", "uri"),
        ]),
        is_offered: |_| true,
        act: Act::Document,
    },
    Operation {
        name: "match",
        definition: "http://hl7.org/fhir/OperationDefinition/Patient-match",
        about: "Finds the patients that a description may be of, with a score.",
        types: &["Patient"],
        scopes: &[Scope::Type],
        affects_state: false,
        parameters: Some(&[
            once("resource", "Resource"),
            once("onlyCertainMatches", "boolean"),
            once("count", "integer"),
        ]),
        is_offered: |_| true,
        act: Act::Match,
    },
    Operation {
        name: "purge",
        definition: "http://baton.health/fhir/OperationDefinition/purge",
        about: "Takes a resource or its history away for ever; for operators.",
        types: &[],
        scopes: &[Scope::Instance],
        affects_state: true,
        parameters: Some(&[once("history", "boolean"), once("force", "boolean")]),
        is_offered: |services| services.purge_by_rest,
        act: Act::Purge,
    },
];

static REGISTRY: LazyLock<Vec<&'static Operation>> = LazyLock::new(|| {
    let terminology = fhir_terminology::OPERATIONS.iter().map(of_terminology);
    OWN.iter().chain(terminology).collect()
});

/// An operation on terminology as a row of the table; made once, for the life of the process.
fn of_terminology(operation: &'static fhir_terminology::Operation) -> &'static Operation {
    Box::leak(Box::new(Operation {
        name: operation.name,
        definition: operation.definition,
        about: "An operation on terminology.",
        types: std::slice::from_ref(&operation.resource_type),
        scopes: match operation.instance {
            Some(_) => &[Scope::Type, Scope::Instance],
            None => &[Scope::Type],
        },
        affects_state: false,
        parameters: None,
        is_offered: |_| true,
        act: Act::Terminology(operation),
    }))
}

/// All operations.
pub fn all() -> impl Iterator<Item = &'static Operation> {
    REGISTRY.iter().copied()
}

impl Operation {
    /// Whether it is about resources of this type.
    pub fn is_about(&self, resource_type: &str) -> bool {
        self.types.is_empty() || self.types.contains(&resource_type)
    }

    /// Whether it can be called on this.
    fn takes(&self, on: &On) -> bool {
        let scope = match on {
            On::System => Scope::System,
            On::Type(_) => Scope::Type,
            On::Instance(_) => Scope::Instance,
            On::Version(..) => Scope::Version,
        };
        let resource_type = on.resource_type();
        let is_about = resource_type.is_none_or(|it| self.is_about(it.as_str()));
        is_about && self.scopes.contains(&scope)
    }

    /// Where it is called, for people: `Patient/[id]/$everything`.
    fn places(&self) -> impl Iterator<Item = String> {
        let types = if self.types.is_empty() {
            "[type]".to_owned()
        } else {
            self.types.join("|")
        };
        self.scopes.iter().map(move |scope| match scope {
            Scope::System => format!("${}", self.name),
            Scope::Type => format!("{types}/${}", self.name),
            Scope::Instance => format!("{types}/[id]/${}", self.name),
            Scope::Version => format!("{types}/[id]/_history/[vid]/${}", self.name),
        })
    }
}

/// The operation of this name on this.
///
/// # Errors
/// [`Error::UnknownOperation`], saying where there is one of this name; [`Error::Forbidden`] where a
/// setting withholds it.
pub fn find(services: &Services, name: &str, on: &On) -> Result<&'static Operation, Error> {
    let Some(operation) = all().find(|operation| operation.name == name && operation.takes(on))
    else {
        let named = all().filter(|operation| operation.name == name);
        let places: Vec<String> = named.flat_map(Operation::places).collect();
        let known = match places.as_slice() {
            [] => String::new(),
            places => format!(" (there is {})", places.join(", ")),
        };
        return Err(Error::UnknownOperation(format!("${name} on {on}{known}")));
    };
    if !(operation.is_offered)(services) {
        return Err(Error::Forbidden(format!(
            "${name} is not offered: it needs a setting of this server"
        )));
    }
    Ok(operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_operations_answer_one_call() {
        for operation in all() {
            for other in all().filter(|other| !std::ptr::eq(*other, operation)) {
                let same_name = other.name == operation.name;
                let shared = operation.types.is_empty()
                    || other.types.is_empty()
                    || operation.types.iter().any(|it| other.types.contains(it));
                assert!(!(same_name && shared), "{} twice", operation.name);
            }
        }
    }

    #[test]
    fn one_name_is_called_by_the_same_methods_everywhere() {
        for operation in all() {
            let mut named = all().filter(|other| other.name == operation.name);
            assert!(named.all(|other| other.affects_state == operation.affects_state));
        }
    }

    #[test]
    fn our_own_definitions_are_published() {
        let own = crate::definitions::own_resource("OperationDefinition", "purge").unwrap();
        let operation = all().find(|operation| operation.name == "purge").unwrap();
        assert!(own.json.contains(operation.definition));
        for parameter in operation.parameters.unwrap() {
            assert!(
                own.json
                    .contains(&format!("\"name\": \"{}\"", parameter.name))
            );
        }
    }

    #[test]
    fn definitions_are_those_of_the_standard_or_our_own() {
        for operation in all() {
            let is_known = operation.definition.starts_with("http://hl7.org/fhir/")
                || operation
                    .definition
                    .starts_with("http://baton.health/fhir/");
            assert!(is_known, "{}", operation.definition);
            assert!(operation.about.ends_with('.'), "{}", operation.name);
        }
    }
}
