//! Whether a resource matches a filter, decided in memory.
//!
//! <https://hl7.org/fhir/R4/search.html#prefix>. This is what a filter means; the stores' contract
//! suite holds their SQL against it. Finding candidates is left to who asks.

use fhir_model::key::{LogicalId, ResourceType};

use crate::search::expression::{
    Criterion, DateCriterion, Filter, Prefix, ReferenceCriterion, StringMatching, TokenCriterion,
    UriMatching, ValueKind,
};
use crate::search::value::{
    DateRange, ParameterId, Reference, SearchValues, Target, Text, Token, Uri,
};

/// A resource as far as filters look at it.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Its type.
    pub resource_type: &'a ResourceType,
    /// Its logical id.
    pub id: &'a LogicalId,
    /// When its current version was written, in microseconds.
    pub last_updated: i64,
    /// The patients whose compartment it is in.
    pub patients: &'a [LogicalId],
    /// Its search values.
    pub values: &'a SearchValues,
}

/// Whether a resource matches a filter; `world` is what references lead to, and what refers to it.
pub fn matches(candidate: Candidate<'_>, filter: &Filter, world: &[Candidate<'_>]) -> bool {
    let all = |candidate: &Candidate<'_>, filters: &[Filter]| {
        let mut filters = filters.iter();
        filters.all(|filter| matches(*candidate, filter, world))
    };
    match filter {
        Filter::Id(ids) => ids.contains(candidate.id),
        Filter::LastUpdated(date) => {
            let instant = candidate.last_updated;
            date_matches((instant, instant.saturating_add(1)), date)
        }
        Filter::Any {
            parameter,
            criteria,
            negated,
        } => {
            let is_match = |criterion| has_match(candidate.values, *parameter, criterion);
            criteria.iter().any(is_match) != *negated
        }
        Filter::Missing {
            parameter,
            kind,
            missing,
        } => has_value(candidate.values, *parameter, *kind) != *missing,
        Filter::Chain {
            parameter,
            target,
            filters,
        } => world
            .iter()
            .filter(|other| target.contains(other.resource_type))
            .any(|other| refers(candidate, *parameter, *other) && all(other, filters)),
        Filter::Has {
            source,
            parameter,
            filters,
        } => world
            .iter()
            .filter(|other| other.resource_type == source)
            .any(|other| refers(*other, *parameter, candidate) && all(other, filters)),
        Filter::And(filters) => all(&candidate, filters),
        Filter::Or(filters) => filters
            .iter()
            .any(|filter| matches(candidate, filter, world)),
        Filter::Not(filter) => !matches(candidate, filter, world),
        Filter::ByType(branches) => branches
            .iter()
            .any(|(of, filter)| of == candidate.resource_type && matches(candidate, filter, world)),
        Filter::Compartment(patient) => candidate.patients.contains(patient),
        Filter::Nothing => false,
    }
}

/// Whether a resource refers to another by a parameter.
fn refers(from: Candidate<'_>, parameter: ParameterId, to: Candidate<'_>) -> bool {
    from.values.references.iter().any(|reference| {
        let is_target = |of: &ResourceType, id: &LogicalId| of == to.resource_type && id == to.id;
        reference.parameter == parameter
            && matches!(&reference.target, Target::Local(of, id) if is_target(of, id))
    })
}

fn has_value(values: &SearchValues, parameter: ParameterId, kind: ValueKind) -> bool {
    match kind {
        ValueKind::Token => values
            .tokens
            .iter()
            .any(|value| value.parameter == parameter),
        ValueKind::String => values
            .strings
            .iter()
            .any(|value| value.parameter == parameter),
        ValueKind::Date => values
            .dates
            .iter()
            .any(|value| value.parameter == parameter),
        ValueKind::Reference => {
            let mut references = values.references.iter();
            references.any(|value| value.parameter == parameter)
        }
        ValueKind::Quantity => {
            let mut quantities = values.quantities.iter();
            quantities.any(|value| value.parameter == parameter)
        }
        ValueKind::Number => values
            .numbers
            .iter()
            .any(|value| value.parameter == parameter),
        ValueKind::Uri => values.uris.iter().any(|value| value.parameter == parameter),
    }
}

fn has_match(values: &SearchValues, parameter: ParameterId, criterion: &Criterion) -> bool {
    match criterion {
        Criterion::Token(wanted) => {
            let is_match = |value: &Token| token_matches(value, wanted);
            let mut tokens = values.tokens.iter();
            tokens.any(|value| value.parameter == parameter && is_match(value))
        }
        Criterion::String { text, matching } => {
            let is_match = |value: &Text| string_matches(value, text, *matching);
            let mut strings = values.strings.iter();
            strings.any(|value| value.parameter == parameter && is_match(value))
        }
        Criterion::Date(wanted) => {
            let is_match = |value: &DateRange| date_matches((value.low, value.high), wanted);
            let mut dates = values.dates.iter();
            dates.any(|value| value.parameter == parameter && is_match(value))
        }
        Criterion::Reference(wanted) => {
            let is_match = |value: &Reference| reference_matches(&value.target, wanted);
            let mut references = values.references.iter();
            references.any(|value| value.parameter == parameter && is_match(value))
        }
        Criterion::Quantity {
            prefix,
            low,
            high,
            system,
            code,
        } => {
            let is_given = |wanted: &Option<String>, value: &String| {
                wanted.as_ref().is_none_or(|wanted| wanted == value)
            };
            values.quantities.iter().any(|value| {
                value.parameter == parameter
                    && is_given(system, &value.system)
                    && is_given(code, &value.code)
                    && number_matches((value.low, value.high), *prefix, (*low, *high))
            })
        }
        Criterion::Number { prefix, low, high } => values.numbers.iter().any(|value| {
            value.parameter == parameter
                && number_matches((value.low, value.high), *prefix, (*low, *high))
        }),
        Criterion::Uri { uri, matching } => {
            let is_match = |value: &Uri| uri_matches(&value.uri, uri, *matching);
            let mut uris = values.uris.iter();
            uris.any(|value| value.parameter == parameter && is_match(value))
        }
    }
}

fn token_matches(value: &Token, wanted: &TokenCriterion) -> bool {
    match wanted {
        TokenCriterion::Code(code) => value.code == *code,
        TokenCriterion::SystemAndCode(system, code) => {
            value.system == *system && value.code == *code
        }
        TokenCriterion::System(system) => value.system == *system,
    }
}

fn string_matches(value: &Text, text: &str, matching: StringMatching) -> bool {
    match matching {
        StringMatching::StartsWith => value.normalised.starts_with(text),
        StringMatching::Contains => value.normalised.contains(text),
        StringMatching::Exact => value.exact == text,
        StringMatching::Whole => value.normalised == text,
        StringMatching::Ends => value.normalised.ends_with(text),
    }
}

fn reference_matches(target: &Target, wanted: &ReferenceCriterion) -> bool {
    match (target, wanted) {
        (Target::Local(of, id), ReferenceCriterion::Local(wanted_of, wanted_id)) => {
            of == wanted_of && id == wanted_id
        }
        (Target::Local(_, id), ReferenceCriterion::AnyType(wanted)) => id == wanted,
        (Target::Url(url), ReferenceCriterion::Url(wanted)) => url == wanted,
        _ => false,
    }
}

fn uri_matches(value: &str, uri: &str, matching: UriMatching) -> bool {
    match matching {
        UriMatching::Equal => value == uri,
        UriMatching::Below => value.starts_with(uri),
        UriMatching::Above => uri.starts_with(value),
    }
}

/// The prefixes, for the interval of a value against that of the query, both `[low, high)`.
fn date_matches((low, high): (i64, i64), wanted: &DateCriterion) -> bool {
    let is_within = low >= wanted.low && high <= wanted.high;
    match wanted.prefix {
        Prefix::Eq => is_within,
        Prefix::Ne => !is_within,
        Prefix::Gt => high > wanted.high,
        Prefix::Lt => low < wanted.low,
        Prefix::Ge => is_within || high > wanted.high,
        Prefix::Le => is_within || low < wanted.low,
        Prefix::Sa => low >= wanted.high,
        Prefix::Eb => high <= wanted.low,
        Prefix::Ap => low < wanted.high && high > wanted.low,
    }
}

/// The same for numbers: of the value both ends are included, of the query the high end is not,
/// but where both ends are one, as for all comparisons with a number to the letter.
fn number_matches((low, high): (f64, f64), prefix: Prefix, wanted: (f64, f64)) -> bool {
    let is_within = low >= wanted.0 && low < wanted.1 && high <= wanted.1;
    match prefix {
        Prefix::Eq => is_within,
        Prefix::Ne => !is_within,
        Prefix::Gt => high > wanted.1,
        Prefix::Lt => low < wanted.0,
        Prefix::Ge => high >= wanted.1,
        Prefix::Le => low <= wanted.0,
        Prefix::Sa => low > wanted.1,
        Prefix::Eb => high < wanted.0,
        Prefix::Ap => low <= wanted.1 && high >= wanted.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::interval;

    /// `low..high`, an open end left out, or a single date.
    fn interval(text: &str) -> (i64, i64) {
        let (start, end) = text.split_once("..").unwrap_or((text, text));
        let end_of = |text: &str| interval::date(text).map(|(_, high)| high);
        let start_of = |text: &str| interval::date(text).map(|(low, _)| low);
        (
            start_of(start).unwrap_or(i64::MIN),
            end_of(end).unwrap_or(i64::MAX),
        )
    }

    #[track_caller]
    fn check_date(prefix: Prefix, date: &str, value: &str, expected: bool) {
        let (low, high) = interval::date(date).unwrap();
        let wanted = DateCriterion { prefix, low, high };
        let actual = date_matches(interval(value), &wanted);
        assert_eq!(actual, expected, "{prefix:?} {date} {value}");
    }

    #[test]
    fn dates_match_as_in_the_examples_of_the_standard() {
        // https://hl7.org/fhir/R4/search.html#date
        check_date(Prefix::Eq, "2013-01-14", "2013-01-14T00:00:00Z", true);
        check_date(Prefix::Eq, "2013-01-14", "2013-01-14T10:00:00Z", true);
        check_date(Prefix::Eq, "2013-01-14", "2013-01-15T00:00:00Z", false);
        check_date(Prefix::Ne, "2013-01-14", "2013-01-15T00:00:00Z", true);
        check_date(Prefix::Ne, "2013-01-14", "2013-01-14T00:00:00Z", false);
        check_date(Prefix::Lt, "2013-01-14T10:00", "2013-01-14", true);
        check_date(Prefix::Gt, "2013-01-14T10:00", "2013-01-14", true);
        check_date(Prefix::Ge, "2013-03-14", "2013-01-21..", true);
        check_date(Prefix::Le, "2013-03-14", "2013-01-21..", true);
        check_date(Prefix::Sa, "2013-03-14", "2013-03-15..", true);
        check_date(Prefix::Sa, "2013-03-14", "2013-01-21..", false);
        check_date(Prefix::Sa, "2013-03-14", "..2013-01-21", false);
        check_date(Prefix::Eb, "2013-03-14", "..2013-01-21", true);
        check_date(Prefix::Eb, "2013-03-14", "2013-01-21..", false);
        check_date(Prefix::Ap, "2013-03-14", "2013-03-14", true);
        check_date(Prefix::Ap, "2013-03-14", "2013-01-21..", true);
        check_date(Prefix::Ap, "2013-03-14", "2013-01-21", false);
        // A period matches a day only where it lies within.
        check_date(Prefix::Eq, "2013-01", "2013-01-31..2013-02-01", false);
        check_date(Prefix::Eq, "2013", "2013-01-31..2013-02-01", true);
    }

    #[track_caller]
    fn check_number(prefix: Prefix, wanted: (f64, f64), value: (f64, f64), expected: bool) {
        let actual = number_matches(value, prefix, wanted);
        assert_eq!(actual, expected, "{prefix:?} {wanted:?} {value:?}");
    }

    #[test]
    fn numbers_match_by_what_they_round_to() {
        // https://hl7.org/fhir/R4/search.html#number: 100 is [99.5, 100.5), gt100 is beyond 100.
        let (hundred, exact) = ((99.5, 100.5), (100.0, 100.0));
        check_number(Prefix::Eq, hundred, (100.4, 100.4), true);
        check_number(Prefix::Eq, hundred, (99.5, 99.5), true);
        check_number(Prefix::Eq, hundred, (100.5, 100.5), false);
        check_number(Prefix::Ne, hundred, (100.5, 100.5), true);
        check_number(Prefix::Gt, exact, (100.0, 100.0), false);
        check_number(Prefix::Gt, exact, (100.001, 100.001), true);
        check_number(Prefix::Ge, exact, (100.0, 100.0), true);
        check_number(Prefix::Lt, exact, (100.0, 100.0), false);
        check_number(Prefix::Le, exact, (100.0, 100.0), true);
        // A Range, and a Quantity with a comparator: > 100.
        check_number(Prefix::Gt, exact, (90.0, 110.0), true);
        check_number(Prefix::Sa, exact, (90.0, 110.0), false);
        check_number(Prefix::Sa, exact, (100.5, 110.0), true);
        check_number(Prefix::Eb, exact, (100.0, f64::MAX), false);
        check_number(Prefix::Gt, (200.0, 200.0), (100.0, f64::MAX), true);
        check_number(Prefix::Ap, (90.0, 110.0), (109.0, 109.0), true);
        check_number(Prefix::Ap, (90.0, 110.0), (111.0, 111.0), false);
    }
}
