//! Validation of FHIR resources: what is wrong, where, by which rule, and what would be right.
//!
//! A [`Validator`] holds resources to the base definitions of their type and to profiles, on the
//! tree of `fhir-model`, without I/O. It returns issues, never a `Result`: a wrong resource is not
//! an error of the validator. One problem gives one issue.
//!
//! A map: `rules` compiles what a type may contain and `walk` goes through the JSON of a resource
//! with it, asking `primitive`, `coded`, `binding`, `reference_target`, `contained`, `extension` and
//! `invariant`;
//! `beyond` lists the types with rules that stand in the text of the specification only (`bundle`,
//! `questionnaire`, `questionnaire_response`, `narrative`, `attachment`, `conformance`,
//! `value_set`);
//! `profile` compiles what profiles add to that, and holds instances to it; `beside` finds what a
//! reference leads to in a Bundle, and `surroundings` lets expressions ask for it; `finding` turns
//! what was found into issues. <https://hl7.org/fhir/R4/validation.html>

mod attachment;
mod beside;
mod beyond;
mod binding;
mod bundle;
mod coded;
mod compare;
mod conformance;
mod contained;
mod doubtful;
mod extension;
mod finding;
mod invariant;
mod narrative;
mod primitive;
mod profile;
mod questionnaire;
mod questionnaire_response;
mod reference_target;
mod rules;
mod suggest;
mod surroundings;
mod terminology;
mod value_set;
mod walk;

use std::sync::Arc;

use fhir_model::definition::Definitions;
use fhir_model::issue::{Issue, IssueType, Severity};
use fhir_model::tree::Node;
use fhir_terminology::Coded;
use fhirpath::{Resolver, Temporal};

use crate::profile::Claim;
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

/// What is said of an extension whose definition is not loaded. If it is a modifier, it is an
/// error in any case: <https://hl7.org/fhir/R4/extensibility.html#modifierExtension>.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum UnknownExtensions {
    /// Nothing.
    Ignore,
    /// That it was not checked, as information.
    #[default]
    Information,
    /// That, as a warning.
    Warning,
    /// That it may not be there.
    Error,
}

/// Which targets of references are looked at. What is contained, or in the same Bundle or
/// Parameters, always is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum References {
    /// Those only.
    #[default]
    Inside,
    /// Those elsewhere too, if the resolver finds them.
    IfFound,
    /// Those elsewhere too, and that the resolver does not find one is an error.
    MustExist,
}

/// What becomes of values that the standard admits and a server may not want.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Doubtful {
    /// They pass.
    #[default]
    Admit,
    /// They are errors.
    Refuse,
}

impl Doubtful {
    /// How grave it is, where one that passes is warned of.
    pub(crate) const fn severity(self) -> Severity {
        match self {
            Self::Admit => Severity::Warning,
            Self::Refuse => Severity::Error,
        }
    }
}

/// What is checked and what is reported.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Options {
    /// How much is checked.
    pub level: Level,
    /// Whether to say, as information, what could not be checked for want of terminology or of
    /// other resources. What is wrong with a profile itself is said in any case.
    pub report_unchecked: bool,
    /// Whether invariants are evaluated: of types and elements, and of profiles by the level.
    pub invariants: bool,
    /// Whether invariants that are advice only (`elementdefinition-bestpractice`) are among them.
    pub best_practice: bool,
    /// What is said of extensions that are not known.
    pub unknown_extensions: UnknownExtensions,
    /// Which targets of references are looked at.
    pub references: References,
    /// Markup in strings, which a careless page would take for its own.
    pub markup: Doubtful,
    /// URLs of the domains that are kept for examples.
    pub example_urls: Doubtful,
    /// Displays that are none of those of their code. If they pass, they are warned of.
    pub wrong_displays: Doubtful,
    /// Canonicals that are neither absolute nor `#id`. If they pass, they are warned of, because
    /// examples of the specification have some.
    pub relative_canonicals: Doubtful,
    /// What `now()` is in invariants, and what limits count from that are durations. Without it,
    /// neither is checked.
    pub now: Option<Temporal>,
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
            best_practice: false,
            unknown_extensions: UnknownExtensions::default(),
            references: References::default(),
            markup: Doubtful::default(),
            example_urls: Doubtful::default(),
            wrong_displays: Doubtful::default(),
            relative_canonicals: Doubtful::default(),
            now: None,
            issues_max: ISSUES_MAX,
        }
    }
}

/// Somebody who knows value sets and code systems that are not loaded.
pub trait CodeServer {
    /// Whether a code is in the value set with this canonical. `None` if that is not known, or not
    /// yet.
    fn is_member(&self, value_set: &str, coded: &Coded<'_>) -> Option<bool>;
}

/// Whom to ask for what is neither in the resource nor in the definitions.
#[derive(Clone, Copy, Default)]
pub struct Elsewhere<'a> {
    /// For resources: by invariants that follow references, for Questionnaires, and for the targets
    /// of references as [`Options::references`] says.
    pub resolver: Option<&'a dyn Resolver>,
    /// For codes that could not be checked otherwise.
    pub codes: Option<&'a dyn CodeServer>,
}

impl<'a> Elsewhere<'a> {
    /// Resources only.
    pub fn resources(resolver: &'a dyn Resolver) -> Self {
        Self {
            resolver: Some(resolver),
            codes: None,
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
        let elsewhere = Elsewhere::default();
        self.validate_with(resource, resource_type, profiles, options, elsewhere)
    }

    /// The same, with somebody to ask for what is not here.
    pub fn validate_with<'a>(
        &'a self,
        resource: Node<'a>,
        resource_type: &str,
        profiles: &[&str],
        options: &'a Options,
        elsewhere: Elsewhere<'a>,
    ) -> Vec<Issue> {
        if options.level == Level::Off {
            return Vec::new();
        }
        let mut walk = Walk::new(&self.definitions, &self.rules, options, resource, elsewhere);
        if let Some(type_id) = walk.check_resource(resource) {
            let actual = self.definitions.type_name(type_id);
            if actual != resource_type {
                let text = format!("A {resource_type} is expected here, and this is a {actual}");
                walk.findings
                    .error(resource, IssueType::Invalid, "Resource", text);
            }
            if options.level == Level::Profile {
                for canonical in profiles {
                    let claim = Claim::Requested;
                    walk.profile((resource, type_id), canonical, claim, resource);
                }
            }
        }
        walk.into_issues()
    }
}
