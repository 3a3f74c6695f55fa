//! Normalised search values: what a resource is found by.
//!
//! Extraction makes them from a resource, the store keeps them, a query is compared with them:
//! <https://hl7.org/fhir/R4/search.html>.

use fhir_model::key::{LogicalId, ResourceType};

/// A search parameter of a resource type, as the store knows it: a stable 32-bit hash of
/// `Type.code`, so that no dictionary has to be shared by writers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParameterId(pub i32);

impl ParameterId {
    /// The id of the parameter `code` of `resource_type` (FNV-1a of `Type.code`).
    pub fn new(resource_type: &str, code: &str) -> Self {
        let bytes = resource_type.bytes().chain([b'.']).chain(code.bytes());
        let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        Self(hash.cast_signed())
    }

    /// What values of the parameter are kept under that only one of its modifiers asks for: as if
    /// the code were `code:aspect`.
    #[must_use]
    pub fn aspect(self, aspect: &str) -> Self {
        let bytes = std::iter::once(b':').chain(aspect.bytes());
        let hash = bytes.fold(self.0.cast_unsigned(), |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        Self(hash.cast_signed())
    }
}

/// [`ParameterId::aspect`] of quantities in canonical UCUM units.
pub const CANONICAL: &str = "canonical";

/// [`ParameterId::aspect`] of the identifiers of references, and the modifier that asks for them.
pub const IDENTIFIER: &str = "identifier";

/// [`ParameterId::aspect`] of identifiers with their type, and the modifier that asks for them.
pub const OF_TYPE: &str = "of-type";

/// [`ParameterId::aspect`] of the texts of concepts, and the modifier that asks for them.
pub const TEXT: &str = "text";

/// Every search value of one version of one resource.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SearchValues {
    /// Codes, identifiers, booleans, contact points.
    pub tokens: Vec<Token>,
    /// Names, addresses, plain text.
    pub strings: Vec<Text>,
    /// Dates and periods.
    pub dates: Vec<DateRange>,
    /// References and canonicals of type reference.
    pub references: Vec<Reference>,
    /// Quantities.
    pub quantities: Vec<Quantity>,
    /// Numbers.
    pub numbers: Vec<Number>,
    /// URIs and canonicals of type uri.
    pub uris: Vec<Uri>,
    /// What codes are shown as.
    pub displays: Vec<Display>,
    /// Values that belong together.
    pub composites: Vec<Composite>,
}

impl SearchValues {
    /// Puts the values in order and leaves each in once.
    pub fn settle(&mut self) {
        fn settle<T: Ord>(values: &mut Vec<T>) {
            values.sort_unstable();
            values.dedup();
        }
        settle(&mut self.tokens);
        settle(&mut self.strings);
        settle(&mut self.dates);
        settle(&mut self.references);
        settle(&mut self.uris);
        self.quantities.sort_unstable_by(|one, other| {
            (one.parameter.cmp(&other.parameter))
                .then_with(|| one.system.cmp(&other.system))
                .then_with(|| one.code.cmp(&other.code))
                .then_with(|| one.low.total_cmp(&other.low))
                .then_with(|| one.high.total_cmp(&other.high))
        });
        self.quantities.dedup();
        self.numbers.sort_unstable_by(|one, other| {
            (one.parameter.cmp(&other.parameter))
                .then_with(|| one.low.total_cmp(&other.low))
                .then_with(|| one.high.total_cmp(&other.high))
        });
        self.numbers.dedup();
        settle(&mut self.displays);
        for composite in &mut self.composites {
            composite.values.settle();
        }
        self.composites.sort_by_key(|composite| composite.parameter);
        self.composites.dedup();
    }
}

impl SearchValues {
    /// Leaves of each kind and parameter so many values in.
    pub fn keep_first(&mut self, values_max: usize) {
        fn keep<T>(values: &mut Vec<T>, values_max: usize, of: impl Fn(&T) -> ParameterId) {
            let (mut parameter, mut count) = (None, 0);
            values.retain(|value| {
                count = if parameter == Some(of(value)) {
                    count + 1
                } else {
                    1
                };
                parameter = Some(of(value));
                count <= values_max
            });
        }
        keep(&mut self.tokens, values_max, |value| value.parameter);
        keep(&mut self.strings, values_max, |value| value.parameter);
        keep(&mut self.dates, values_max, |value| value.parameter);
        keep(&mut self.references, values_max, |value| value.parameter);
        keep(&mut self.quantities, values_max, |value| value.parameter);
        keep(&mut self.numbers, values_max, |value| value.parameter);
        keep(&mut self.uris, values_max, |value| value.parameter);
    }
}

/// A token: `system|code`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// The parameter this is a value of.
    pub parameter: ParameterId,
    /// The system; empty where there is none.
    pub system: String,
    /// The code or identifier value; a code as its code system writes it, where that ignores case.
    pub code: String,
}

/// A string, with what it is compared by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text {
    /// The parameter this is a value of.
    pub parameter: ParameterId,
    /// Lower case, accents and superfluous white space removed.
    pub normalised: String,
    /// As sent, for `:exact`.
    pub exact: String,
}

/// `[low, high)` in microseconds since 1970-01-01T00:00:00Z; an open end is `i64::MIN` or
/// `i64::MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateRange {
    /// The parameter this is a value of.
    pub parameter: ParameterId,
    /// The first microsecond inside.
    pub low: i64,
    /// The first microsecond after.
    pub high: i64,
}

/// A reference to another resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// The parameter this is a value of.
    pub parameter: ParameterId,
    /// What is referred to.
    pub target: Target,
}

/// What a reference points at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A resource of this server.
    Local(ResourceType, LogicalId),
    /// Anything else, by its URL; a canonical with a version as `url|version`, and beside it without.
    Url(String),
}

/// A quantity as sent. One in UCUM comes once more in the canonical unit, as [`CANONICAL`] aspect of
/// the parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity {
    /// The parameter this is a value of.
    pub parameter: ParameterId,
    /// The system of the unit; empty where there is none.
    pub system: String,
    /// The code of the unit, or the unit's text where there is no code.
    pub code: String,
    /// The lower end: of a number the number itself, however precise; of a range its low end;
    /// `f64::MIN` where it is open.
    pub low: f64,
    /// The upper end, both included; `f64::MAX` where it is open.
    pub high: f64,
}

/// A number, or a range of numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// The parameter this is a value of.
    pub parameter: ParameterId,
    /// The lower end; see [`Quantity::low`].
    pub low: f64,
    /// The upper end; see [`Quantity::high`].
    pub high: f64,
}

/// A URI, compared to the letter; a canonical with a version as `url|version`, and beside it without.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uri {
    /// The parameter this is a value of.
    pub parameter: ParameterId,
    /// The URI.
    pub uri: String,
}

/// The display of a coding. It belongs to the code, whoever sent it: the text of a concept that
/// says something else is a [`Text`] of the [`TEXT`] aspect.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Display {
    /// The token parameter.
    pub parameter: ParameterId,
    /// See [`Token::system`].
    pub system: String,
    /// See [`Token::code`].
    pub code: String,
    /// See [`Text::normalised`].
    pub normalised: String,
}

/// The values of one element that a composite parameter finds. None of its components is empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Composite {
    /// The composite parameter.
    pub parameter: ParameterId,
    /// The values of its components, each under [`component`].
    pub values: SearchValues,
}

/// What values of a component are kept under, by its place in the composite parameter.
pub fn component(place: usize) -> ParameterId {
    ParameterId(i32::try_from(place).unwrap_or(i32::MAX))
}
