//! Validation of FHIR resources: what is wrong, where, by which rule, and what would be right.
//!
//! A [`Validator`] holds resources to the base definitions of their type and to profiles, on the
//! tree of `fhir-model`, without I/O. It returns issues, never a `Result`: a wrong resource is not
//! an error of the validator. One problem gives one issue.
//!
//! A map: `rules` compiles what a type may contain and `walk` goes through the JSON of a resource
//! with it, asking `primitive`, `binding`, `reference_target`, `extension` and `invariant`; `profile` compiles
//! what profiles add to that, and holds instances to it; `finding` turns what was found into
//! issues. <https://hl7.org/fhir/R4/validation.html>

mod binding;
mod extension;
mod finding;
mod invariant;
mod primitive;
mod profile;
mod reference_target;
mod rules;
mod suggest;
mod walk;

use std::sync::Arc;

use fhir_model::definition::Definitions;
use fhir_model::issue::{Issue, IssueType};
use fhir_model::tree::Node;

use crate::rules::Rules;
use crate::walk::Walk;

/// How much is checked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Level {
    /// Nothing.
    Off,
    /// The base definitions of the types.
    Base,
    /// Those, and the profiles that are claimed or asked for.
    #[default]
    Profile,
}

/// What is checked and what is reported.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Options {
    /// How much is checked.
    pub level: Level,
    /// Whether to say, as information, which bindings and invariants could not be checked.
    pub report_unchecked: bool,
    /// Whether invariants are evaluated: of types and elements, and of profiles by the level.
    pub invariants: bool,
    /// How many issues are reported; what follows is not looked for.
    pub issues_max: usize,
}

/// Enough to see what is wrong with a resource; nobody reads more.
const ISSUES_MAX: usize = 200;

impl Default for Options {
    fn default() -> Self {
        Self {
            level: Level::default(),
            report_unchecked: false,
            invariants: true,
            issues_max: ISSUES_MAX,
        }
    }
}

/// Validates resources by one set of definitions.
///
/// Types and profiles are compiled when they are first met, and kept; share one validator.
#[derive(Debug)]
pub struct Validator {
    definitions: Arc<Definitions>,
    rules: Rules,
}

impl Validator {
    /// A validator by these definitions. Trees must be parsed with the names of the same set.
    pub fn new(definitions: Arc<Definitions>) -> Self {
        let rules = Rules::new(&definitions);
        Self { definitions, rules }
    }

    /// The definitions it goes by.
    pub fn definitions(&self) -> &Arc<Definitions> {
        &self.definitions
    }

    /// What there is to say about a resource that should be of this type and satisfy these
    /// profiles (canonicals, with a version or without), beside those that it claims itself.
    ///
    /// The node may be the root of a tree or a resource within, as an entry of a Bundle; locations
    /// start at the root. The texts of issues quote the resource: they are for its sender, not
    /// for a log.
    pub fn validate(
        &self,
        resource: Node<'_>,
        resource_type: &str,
        profiles: &[&str],
        options: &Options,
    ) -> Vec<Issue> {
        if options.level == Level::Off {
            return Vec::new();
        }
        let mut walk = Walk::new(&self.definitions, &self.rules, options, resource);
        if let Some(type_id) = walk.check_resource(resource) {
            let actual = self.definitions.type_name(type_id);
            if actual != resource_type {
                let text = format!("A {resource_type} is expected here, and this is a {actual}");
                walk.findings
                    .error(resource, IssueType::Invalid, "Resource", text);
            }
            if options.level == Level::Profile {
                for canonical in profiles {
                    walk.profile(resource, type_id, canonical, resource);
                }
            }
        }
        walk.into_issues()
    }
}
