//! What the FHIR packages say: types, structures, search parameters, compartments, terminology.
//!
//! Everything that knows FHIR works on a [`Definitions`]: a set of flat tables that a compiler
//! makes from conformance resources ([`compile`]), ahead of time for the R4 core and our own
//! profiles, at run time for what is installed later. There is no Rust type per FHIR type.
//!
//! The tables refer to each other by small numbers ([`TypeId`], [`ElementId`], [`StructureId`],
//! …) that one set gives out and that stay valid in every set extended from it. Strings are
//! interned ([`Text`]) and read with [`Definitions::text`].
//!
//! A reading order: [`types`] is the graph that an instance is walked along; [`structure`] holds
//! the element definitions of base types, profiles and extensions; [`search_parameter`] and
//! [`compartment`] serve search and access; [`terminology`] answers which codes a binding admits, and
//! [`concept_map`] how they translate.
//! Judging an instance is left to the validator, evaluating expressions to `FHIRPath`.

use serde::{Deserialize, Serialize};

use crate::name::Names;
use crate::pool::Pool;

pub mod compartment;
pub mod compile;
pub mod concept_map;
mod image;
pub mod json_schema;
pub mod search_parameter;
pub mod structure;
pub mod terminology;
pub mod types;

pub use crate::pool::Text;
pub use compartment::{Compartment, CompartmentResource};
pub use compile::{Builder, Problem, ProblemKind};
pub use concept_map::{
    ConceptMap, ConceptMapId, Equivalence, MapElement, MapGroup, MapTarget, Unmapped,
};
pub use image::ImageError;
pub use search_parameter::{
    ResourceSearchParameter, SearchComponent, SearchParameter, SearchParameterId,
    SearchParameterType,
};
pub use structure::{
    Aggregation, Binding, BindingStrength, Constraint, ConstraintId, ContextKind, Derivation,
    Discriminator, DiscriminatorKind, Element, ElementId, ElementType, ExtensionContext, Severity,
    Slicing, SlicingRules, Structure, StructureId, StructureKind, TypedValue,
};
pub use terminology::{
    CodeSystem, CodeSystemContent, CodeSystemId, Concept, ConceptId, ConceptProperty,
    ConceptPropertyKind, Designation, Expansion, HierarchyMeaning, Member, Membership,
    NotEnumerable, PropertyDefinition, Question, Reason, ValueSet, ValueSetId,
};
pub use types::{Choice, PrimitiveKind, Property, SystemKind, Type, TypeId, TypeKind};

/// A complete, immutable set of definitions.
///
/// Build one with [`Builder`], or read one that was built before with [`Definitions::from_image`].
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Definitions {
    pool: Pool,
    names: Names,
    types: types::TypeTables,
    structures: structure::StructureTables,
    search: search_parameter::SearchTables,
    compartments: compartment::CompartmentTables,
    terminology: terminology::TerminologyTables,
}

impl Definitions {
    /// The string with this number.
    #[inline]
    pub fn text(&self, text: Text) -> &str {
        self.pool.text(text)
    }

    /// The number of a string, if any definition uses it.
    ///
    /// A code, url or type name that is not found here occurs in no definition at all.
    #[inline]
    pub fn find_text(&self, text: &str) -> Option<Text> {
        self.pool.find(text)
    }

    /// The property names of all types.
    pub fn names(&self) -> &Names {
        &self.names
    }
}

impl std::fmt::Debug for Definitions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Definitions")
            .field("types", &self.types.types.len())
            .field("structures", &self.structures.structures.len())
            .field("search_parameters", &self.search.parameters.len())
            .field("code_systems", &self.terminology.code_systems.len())
            .field("value_sets", &self.terminology.value_sets.len())
            .finish_non_exhaustive()
    }
}

/// A run of rows of one flat table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// The rows of this run; none if the run is of another table.
    #[inline]
    pub(crate) fn of<T>(self, table: &[T]) -> &[T] {
        let start = self.start as usize;
        table
            .get(start..start + self.len as usize)
            .unwrap_or_default()
    }

    /// The run from `start` to the end of `table`.
    pub(crate) fn since<T>(start: usize, table: &[T]) -> Self {
        Self {
            start: row(start),
            len: row(table.len().saturating_sub(start)),
        }
    }
}

/// A row number; tables stay far below four thousand million rows, as the pool does.
pub(crate) fn row(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Things that have a canonical URL and a version, found by either.
///
/// Rows are sorted by URL, then by the order of loading, so that the last one loaded wins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CanonicalIndex {
    rows: Vec<CanonicalRow>,
}

/// One thing with a canonical URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct CanonicalRow {
    url: Text,
    number: u32,
    version: Option<Text>,
}

impl CanonicalIndex {
    /// Adds a thing; [`CanonicalIndex::sort`] must follow before the next search.
    pub(crate) fn push(&mut self, url: Text, version: Option<Text>, number: u32) {
        self.rows.push(CanonicalRow {
            url,
            number,
            version,
        });
    }

    /// Brings the rows into the order that searching needs.
    pub(crate) fn sort(&mut self) {
        self.rows.sort_unstable();
    }

    /// The number of the thing that a canonical means: `url`, or `url|version`.
    ///
    /// Without a version the last one loaded is meant. A version may leave out its last parts
    /// (`url|4.0` finds 4.0.1), as <https://hl7.org/fhir/R4/references.html#canonical> suggests.
    /// A URL that contains `|` itself, as the version-specific v2 tables of R4 have, is found too.
    pub(crate) fn find(&self, pool: &Pool, canonical: &str) -> Option<u32> {
        self.find_version(pool, canonical, None, satisfies)
            .or_else(|| {
                let (url, version) = canonical.split_once('|')?;
                self.find_version(pool, url, Some(version), satisfies)
            })
    }

    /// The number of the thing with this URL and version, the last one loaded without a version.
    pub(crate) fn find_version(
        &self,
        pool: &Pool,
        url: &str,
        version: Option<&str>,
        is_meant: fn(&str, &str) -> bool,
    ) -> Option<u32> {
        let is_wanted = |row: &&CanonicalRow| {
            version.is_none_or(|wanted| {
                row.version
                    .is_some_and(|version| is_meant(pool.text(version), wanted))
            })
        };
        self.rows_of(pool, url)
            .iter()
            .rfind(is_wanted)
            .map(|row| row.number)
    }

    /// The numbers of all things with this URL, in the order of loading.
    pub(crate) fn all(&self, pool: &Pool, url: &str) -> impl Iterator<Item = u32> {
        self.rows_of(pool, url).iter().map(|row| row.number)
    }

    fn rows_of(&self, pool: &Pool, url: &str) -> &[CanonicalRow] {
        let Some(url) = pool.find(url) else {
            return &[];
        };
        let start = self.rows.partition_point(|row| row.url < url);
        let end = self.rows.partition_point(|row| row.url <= url);
        self.rows.get(start..end).unwrap_or_default()
    }
}

/// Whether a version is the wanted one, or the wanted one with more parts.
fn satisfies(version: &str, wanted: &str) -> bool {
    version
        .strip_prefix(wanted)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether the version of a code system is the wanted one, where a part `x` or `*` stands for any.
pub(crate) fn is_version(version: &str, wanted: &str) -> bool {
    version == wanted
        || (version.split('.').count() == wanted.split('.').count()
            && version
                .split('.')
                .zip(wanted.split('.'))
                .all(|(own, wanted)| own == wanted || matches!(wanted, "x" | "*")))
}
