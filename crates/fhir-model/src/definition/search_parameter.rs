//! Search parameters, as each resource type sees them.
//!
//! One `SearchParameter` may serve many types with one long expression
//! (`Patient.name | Practitioner.name`). Each type gets its own row with the branches that
//! concern it: <https://hl7.org/fhir/R4/searchparameter.html>. Evaluating expressions and
//! normalising values is left to the search module.

use serde::{Deserialize, Serialize};

use super::types::TypeId;
use super::{CanonicalIndex, Definitions, Span, Text};

/// A search parameter by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SearchParameterId(pub(crate) u32);

impl SearchParameterId {
    /// The number, to index with.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A `SearchParameter`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchParameter {
    /// The canonical URL, without a version.
    pub url: Text,
    /// The name in a search URL: `birthdate`.
    pub code: Text,
    /// The type of its values.
    pub kind: SearchParameterType,
    /// Its `FHIRPath` expression for all its types; `None` where the standard gives none.
    pub expression: Option<Text>,
    /// Whether several values may be given as alternatives, if the definition says so.
    pub multiple_or: Option<bool>,
    /// Whether it may be repeated, if the definition says so.
    pub multiple_and: Option<bool>,
    pub(crate) bases: Span,
    pub(crate) targets: Span,
    pub(crate) modifiers: Span,
    pub(crate) comparators: Span,
    pub(crate) components: Span,
}

/// <https://hl7.org/fhir/R4/search.html#ptypes>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each variant is the code of that name")]
pub enum SearchParameterType {
    Number,
    Date,
    String,
    Token,
    Reference,
    Composite,
    Quantity,
    Uri,
    Special,
}

impl SearchParameterType {
    /// The types by their codes.
    pub(crate) const CODES: &[(&str, Self)] = &[
        ("number", Self::Number),
        ("date", Self::Date),
        ("string", Self::String),
        ("token", Self::Token),
        ("reference", Self::Reference),
        ("composite", Self::Composite),
        ("quantity", Self::Quantity),
        ("uri", Self::Uri),
        ("special", Self::Special),
    ];

    /// The code of the type.
    pub fn code(self) -> &'static str {
        let mut codes = Self::CODES.iter();
        codes
            .find(|(_, known)| *known == self)
            .map_or("", |(code, _)| code)
    }
}

/// A part of a composite search parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SearchComponent {
    /// The canonical of the search parameter that the part is like.
    pub definition: Text,
    /// Its `FHIRPath` expression, from what the composite's own expression finds.
    pub expression: Text,
}

/// A search parameter as one resource type sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceSearchParameter {
    /// The name in a search URL.
    pub code: Text,
    /// The search parameter.
    pub parameter: SearchParameterId,
    /// The branches of its expression that concern the type.
    pub expression: Option<Text>,
}

/// The tables behind the search parameters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SearchTables {
    pub(crate) parameters: Vec<SearchParameter>,
    pub(crate) by_url: CanonicalIndex,
    pub(crate) texts: Vec<Text>,
    pub(crate) components: Vec<SearchComponent>,
    /// Those of a resource type are sorted by the text of their code.
    pub(crate) by_resource: Vec<ResourceSearchParameter>,
    /// The rows of `by_resource` for each resource type; sorted by type.
    pub(crate) resources: Vec<(TypeId, Span)>,
}

impl Definitions {
    /// The search parameter with this number.
    ///
    /// # Panics
    ///
    /// If the number is of another set of definitions.
    #[expect(
        clippy::indexing_slicing,
        reason = "a number is only given out by the set it is of"
    )]
    pub fn search_parameter_of(&self, parameter: SearchParameterId) -> &SearchParameter {
        &self.search.parameters[parameter.index()]
    }

    /// The search parameter that a canonical means.
    pub fn search_parameter_by_url(&self, canonical: &str) -> Option<SearchParameterId> {
        self.search
            .by_url
            .find(&self.pool, canonical)
            .map(SearchParameterId)
    }

    /// All search parameters, with their numbers.
    pub fn all_search_parameters(
        &self,
    ) -> impl Iterator<Item = (SearchParameterId, &SearchParameter)> {
        (0..).map(SearchParameterId).zip(&self.search.parameters)
    }

    /// The search parameters of a resource type by code, those of `Resource` and
    /// `DomainResource` among them.
    pub fn search_parameters(&self, resource_type: TypeId) -> &[ResourceSearchParameter] {
        let resources = &self.search.resources;
        resources
            .binary_search_by_key(&resource_type, |(type_id, _)| *type_id)
            .ok()
            .and_then(|at| resources.get(at))
            .map_or(&[], |(_, span)| span.of(&self.search.by_resource))
    }

    /// The search parameter of a resource type with this code.
    pub fn search_parameter(
        &self,
        resource_type: TypeId,
        code: &str,
    ) -> Option<&ResourceSearchParameter> {
        let parameters = self.search_parameters(resource_type);
        let at = parameters
            .binary_search_by(|row| self.text(row.code).cmp(code))
            .ok()?;
        parameters.get(at)
    }

    /// The expression of a search parameter for one resource type.
    pub fn expression_for(&self, resource_type: TypeId, code: &str) -> Option<&str> {
        let expression = self.search_parameter(resource_type, code)?.expression?;
        Some(self.text(expression))
    }

    /// The types that the search parameter is defined for, `Resource` perhaps.
    pub fn bases<'a>(
        &'a self,
        parameter: &'a SearchParameter,
    ) -> impl Iterator<Item = TypeId> + 'a {
        let names = parameter.bases.of(&self.search.texts).iter();
        names.filter_map(|name| self.type_by_text(*name))
    }

    /// The types of resources that a reference parameter may point at; empty if it may be any.
    pub fn targets<'a>(
        &'a self,
        parameter: &'a SearchParameter,
    ) -> impl Iterator<Item = TypeId> + 'a {
        let names = parameter.targets.of(&self.search.texts).iter();
        names.filter_map(|name| self.type_by_text(*name))
    }

    /// The modifiers that the definition lists; R4 core lists none.
    pub fn modifiers(&self, parameter: &SearchParameter) -> &[Text] {
        parameter.modifiers.of(&self.search.texts)
    }

    /// The comparators (prefixes) that the definition lists.
    pub fn comparators(&self, parameter: &SearchParameter) -> &[Text] {
        parameter.comparators.of(&self.search.texts)
    }

    /// The parts of a composite parameter; empty for all others.
    pub fn components(&self, parameter: &SearchParameter) -> &[SearchComponent] {
        parameter.components.of(&self.search.components)
    }
}
