//! A FHIR search as a tree: what the query string means, before any database is asked.
//!
//! <https://hl7.org/fhir/R4/search.html>. Parsing is `search::query`, SQL is `store::search_sql`.

use std::fmt;

use fhir_model::key::{LogicalId, ResourceType};

use crate::search::value::ParameterId;

/// A search over the resources of one type, several types or all.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    /// The types searched.
    pub types: Types,
    /// All of these must hold.
    pub filters: Vec<Filter>,
    /// Order of the matches; by the store's key (oldest first) where empty, and to break ties.
    pub sort: Vec<Sort>,
    /// Matches on one page.
    pub count: u32,
    /// Where the previous page ended.
    pub after: Option<Cursor>,
    /// `_include`.
    pub includes: Vec<Include>,
    /// `_revinclude`.
    pub revincludes: Vec<Include>,
    /// Whether the number of all matches is wanted (`_total=accurate`, `_summary=count`).
    pub total: Total,
}

/// Types of resources: one, several, or all there are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Types(Vec<ResourceType>);

impl Types {
    /// All types.
    pub const ALL: Self = Self(Vec::new());

    /// These types, each once; all types where there are none.
    pub fn new(mut types: Vec<ResourceType>) -> Self {
        types.sort_unstable();
        types.dedup();
        Self(types)
    }

    /// Whether all types are meant.
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// The types by name; empty where all are meant.
    pub fn named(&self) -> &[ResourceType] {
        &self.0
    }

    /// The type, if it is one.
    pub fn only(&self) -> Option<&ResourceType> {
        match self.0.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether the type is among them.
    pub fn contains(&self, resource_type: &ResourceType) -> bool {
        self.is_all() || self.0.contains(resource_type)
    }
}

impl From<ResourceType> for Types {
    fn from(only: ResourceType) -> Self {
        Self(vec![only])
    }
}

/// The names, separated by commas, as in `_type`; `*` for all.
impl fmt::Display for Types {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return formatter.write_str("*");
        }
        for (place, resource_type) in self.0.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(formatter, "{comma}{resource_type}")?;
        }
        Ok(())
    }
}

/// How much of the number of matches is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Total {
    /// Not counted.
    #[default]
    None,
    /// Counted as far as that is cheap, beside the page.
    Estimate,
    /// Counted, beside the page.
    Accurate,
    /// Only the number (`_summary=count`, `_count=0`).
    Only,
}

/// A condition that one parameter puts on a match.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// `_id`: any of these.
    Id(Vec<LogicalId>),
    /// `_lastUpdated`.
    LastUpdated(DateCriterion),
    /// Any of these values of the parameter; `negated` is the modifier `:not`.
    Any {
        /// The parameter.
        parameter: ParameterId,
        /// Values of which one must match.
        criteria: Vec<Criterion>,
        /// No value may match (resources without a value match too).
        negated: bool,
    },
    /// `:missing`.
    Missing {
        /// The parameter.
        parameter: ParameterId,
        /// Which table holds its values.
        kind: ValueKind,
        /// True: no value; false: at least one.
        missing: bool,
    },
    /// A chain: the reference parameter points at a match of the inner filters.
    Chain {
        /// The reference parameter.
        parameter: ParameterId,
        /// The types of the target.
        target: Types,
        /// What holds of the target.
        filters: Vec<Filter>,
    },
    /// A reverse chain (`_has`): a match of the inner filters points here.
    Has {
        /// The type that refers.
        source: ResourceType,
        /// Its reference parameter.
        parameter: ParameterId,
        /// What holds of the resource that refers.
        filters: Vec<Filter>,
    },
    /// All of these hold.
    And(Vec<Filter>),
    /// One of these holds.
    Or(Vec<Filter>),
    /// This does not hold.
    Not(Box<Filter>),
    /// The resource is of one of these types, and the filter of its type holds: what a parameter
    /// means where several types are searched.
    ByType(Vec<(ResourceType, Filter)>),
    /// In the compartment of a patient.
    Compartment(LogicalId),
    /// Nothing can match (an id that is none, a date range that is empty).
    Nothing,
}

impl Filter {
    /// Whether other resources than the one in hand decide.
    pub fn looks_further(&self) -> bool {
        match self {
            Self::Chain { .. } | Self::Has { .. } => true,
            Self::And(filters) | Self::Or(filters) => filters.iter().any(Self::looks_further),
            Self::Not(filter) => filter.looks_further(),
            Self::ByType(branches) => branches.iter().any(|(_, filter)| filter.looks_further()),
            Self::Id(_)
            | Self::LastUpdated(_)
            | Self::Any { .. }
            | Self::Missing { .. }
            | Self::Compartment(_)
            | Self::Nothing => false,
        }
    }
}

/// The table that holds a parameter's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueKind {
    /// `search_token`.
    Token,
    /// `search_string`.
    String,
    /// `search_date`.
    Date,
    /// `search_reference`.
    Reference,
    /// `search_quantity`.
    Quantity,
    /// `search_number`.
    Number,
    /// `search_uri`.
    Uri,
}

/// One acceptable value.
#[derive(Debug, Clone, PartialEq)]
pub enum Criterion {
    /// A token.
    Token(TokenCriterion),
    /// A string, already normalised (or as is, for `:exact`).
    String {
        /// What to compare with.
        text: String,
        /// How.
        matching: StringMatching,
    },
    /// A date.
    Date(DateCriterion),
    /// A reference.
    Reference(ReferenceCriterion),
    /// A quantity.
    Quantity {
        /// The comparison.
        prefix: Prefix,
        /// The interval of the number given.
        low: f64,
        /// See `low`.
        high: f64,
        /// The system of the unit, where given.
        system: Option<String>,
        /// The unit, where given.
        code: Option<String>,
    },
    /// A number.
    Number {
        /// The comparison.
        prefix: Prefix,
        /// The interval of the number given.
        low: f64,
        /// See `low`.
        high: f64,
    },
    /// A URI: equal, below (starts with) or above.
    Uri {
        /// The URI.
        uri: String,
        /// How.
        matching: UriMatching,
    },
}

/// Forms of a token in a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenCriterion {
    /// `code`: any system.
    Code(String),
    /// `system|code`; `|code` has an empty system: none may be there.
    SystemAndCode(String, String),
    /// `system|`: any code of the system.
    System(String),
}

/// How strings are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StringMatching {
    /// The value starts with the text.
    StartsWith,
    /// `:contains`.
    Contains,
    /// `:exact`: as sent, case and accents included.
    Exact,
    /// The value is the text.
    Whole,
    /// The value ends with the text.
    Ends,
}

/// How URIs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UriMatching {
    /// To the letter.
    Equal,
    /// `:below`.
    Below,
    /// `:above`.
    Above,
}

/// A date in a query: `[low, high)` in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateCriterion {
    /// The comparison.
    pub prefix: Prefix,
    /// The first microsecond of the date given.
    pub low: i64,
    /// The first microsecond after it.
    pub high: i64,
}

/// Forms of a reference in a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferenceCriterion {
    /// `Type/id`, or `id` where the parameter has one target type or the modifier names it.
    Local(ResourceType, LogicalId),
    /// `id` where the type is open.
    AnyType(LogicalId),
    /// A URL or canonical.
    Url(String),
}

/// Prefixes of ordered parameters: <https://hl7.org/fhir/R4/search.html#prefix>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Prefix {
    /// Equal: the value's interval lies within the given one.
    #[default]
    Eq,
    /// Not equal.
    Ne,
    /// Greater.
    Gt,
    /// Less.
    Lt,
    /// Greater or equal.
    Ge,
    /// Less or equal.
    Le,
    /// Starts after.
    Sa,
    /// Ends before.
    Eb,
    /// Approximately.
    Ap,
}

/// One `_sort` key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// `-code`.
    pub descending: bool,
}

/// What matches are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortBy {
    /// `_id`.
    Id,
    /// `_lastUpdated`.
    LastUpdated,
    /// The lowest value of a parameter (the highest when descending); resources without one last.
    Parameter(ParameterId, ValueKind),
}

/// Where a page ended: the sort values and the store's key of its last match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// One per sort key, as the store printed it; `None` where the match had no value.
    pub values: Vec<Option<SortValue>>,
    /// The store's key of the last match.
    pub key: i64,
}

/// A sort value of a match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SortValue {
    /// Dates.
    Integer(i64),
    /// Numbers and quantities: the bits of the `f64`.
    Real(u64),
    /// Everything else.
    Text(String),
}

/// `_include=Source:parameter[:target]`, and the same of `_revinclude`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// The type that holds the reference; `None` is any.
    pub source: Option<ResourceType>,
    /// The reference parameters; none stand for all references.
    pub parameters: Vec<ParameterId>,
    /// Only targets of this type.
    pub target: Option<ResourceType>,
    /// `:iterate`: of what was included, too.
    pub iterate: bool,
}
