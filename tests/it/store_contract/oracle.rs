//! What a search means, said as plainly as can be: every resource is looked at, every value is
//! compared. <https://hl7.org/fhir/R4/search.html>.

use baton::search::expression::{
    Criterion, DateCriterion, Filter, Prefix, ReferenceCriterion, SortBy, StringMatching,
    TokenCriterion, UriMatching, ValueKind,
};
use baton::search::value::{ParameterId, SearchValues, Target};
use baton::store::NewVersion;

/// The resources of a small world; deleted ones are left out.
pub(super) struct World(pub(super) Vec<NewVersion>);

/// One value, as its kind is compared.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Token(String, String),
    String(String, String),
    Date(i64, i64),
    Reference(Target),
    Quantity(f64, f64, String, String),
    Number(f64, f64),
    Uri(String),
}

fn values(values: &SearchValues, parameter: ParameterId) -> Vec<Value> {
    let mut found = Vec::new();
    let of = |other: ParameterId| other == parameter;
    for value in values.tokens.iter().filter(|value| of(value.parameter)) {
        found.push(Value::Token(value.system.clone(), value.code.clone()));
    }
    for value in values.strings.iter().filter(|value| of(value.parameter)) {
        found.push(Value::String(value.normalised.clone(), value.exact.clone()));
    }
    for value in values.dates.iter().filter(|value| of(value.parameter)) {
        found.push(Value::Date(value.low, value.high));
    }
    for value in values.references.iter().filter(|value| of(value.parameter)) {
        found.push(Value::Reference(value.target.clone()));
    }
    for value in values.quantities.iter().filter(|value| of(value.parameter)) {
        let (system, code) = (value.system.clone(), value.code.clone());
        found.push(Value::Quantity(value.low, value.high, system, code));
    }
    for value in values.numbers.iter().filter(|value| of(value.parameter)) {
        found.push(Value::Number(value.low, value.high));
    }
    for value in values.uris.iter().filter(|value| of(value.parameter)) {
        found.push(Value::Uri(value.uri.clone()));
    }
    found
}

impl World {
    /// Whether a resource matches a filter.
    pub(super) fn matches(&self, resource: &NewVersion, filter: &Filter) -> bool {
        match filter {
            Filter::Id(ids) => ids.contains(&resource.key.id),
            Filter::LastUpdated(date) => {
                let low = resource.last_updated.timestamp_micros();
                date_matches(low, low + 1, *date)
            }
            Filter::Any {
                parameter,
                criteria,
                negated,
            } => {
                let values = values(&resource.values, *parameter);
                let found = values.iter().any(|value| {
                    criteria
                        .iter()
                        .any(|criterion| value_matches(value, criterion))
                });
                found != *negated
            }
            Filter::Missing {
                parameter, missing, ..
            } => values(&resource.values, *parameter).is_empty() == *missing,
            Filter::Chain {
                parameter,
                target,
                filters,
            } => values(&resource.values, *parameter).iter().any(|value| {
                let Value::Reference(Target::Local(resource_type, id)) = value else {
                    return false;
                };
                target.contains(resource_type)
                    && self.0.iter().any(|other| {
                        other.key.resource_type == *resource_type
                            && other.key.id == *id
                            && filters.iter().all(|filter| self.matches(other, filter))
                    })
            }),
            Filter::Has {
                source,
                parameter,
                filters,
            } => self.0.iter().any(|other| {
                let this =
                    Target::Local(resource.key.resource_type.clone(), resource.key.id.clone());
                other.key.resource_type == *source
                    && values(&other.values, *parameter).contains(&Value::Reference(this))
                    && filters.iter().all(|filter| self.matches(other, filter))
            }),
            Filter::And(filters) => filters.iter().all(|filter| self.matches(resource, filter)),
            Filter::Or(filters) => filters.iter().any(|filter| self.matches(resource, filter)),
            Filter::Not(filter) => !self.matches(resource, filter),
            Filter::ByType(branches) => branches.iter().any(|(of, filter)| {
                *of == resource.key.resource_type && self.matches(resource, filter)
            }),
            Filter::Compartment(patient) => resource.patients.contains(patient),
            Filter::Nothing => false,
        }
    }
}

fn value_matches(value: &Value, criterion: &Criterion) -> bool {
    match (value, criterion) {
        (Value::Token(system, code), Criterion::Token(token)) => match token {
            TokenCriterion::Code(wanted) => code == wanted,
            TokenCriterion::SystemAndCode(wanted_system, wanted) => {
                system == wanted_system && code == wanted
            }
            TokenCriterion::System(wanted) => system == wanted,
        },
        (Value::String(normalised, exact), Criterion::String { text, matching }) => {
            match matching {
                StringMatching::StartsWith => normalised.starts_with(text),
                StringMatching::Contains => normalised.contains(text),
                StringMatching::Exact => exact == text,
                StringMatching::Whole => normalised == text,
                StringMatching::Ends => normalised.ends_with(text.as_str()),
            }
        }
        (Value::Date(low, high), Criterion::Date(date)) => date_matches(*low, *high, *date),
        (Value::Reference(target), Criterion::Reference(reference)) => match (target, reference) {
            (Target::Local(a_type, a), ReferenceCriterion::Local(b_type, b)) => {
                a_type == b_type && a == b
            }
            (Target::Local(_, a), ReferenceCriterion::AnyType(b)) => a == b,
            (Target::Url(a), ReferenceCriterion::Url(b)) => a == b,
            _ => false,
        },
        (
            Value::Quantity(low, high, a_system, a_code),
            Criterion::Quantity {
                prefix,
                low: wanted_low,
                high: wanted_high,
                system,
                code,
            },
        ) => {
            number_matches(*low, *high, *prefix, *wanted_low, *wanted_high)
                && system.as_ref().is_none_or(|system| system == a_system)
                && code.as_ref().is_none_or(|code| code == a_code)
        }
        (
            Value::Number(low, high),
            Criterion::Number {
                prefix,
                low: wanted_low,
                high: wanted_high,
            },
        ) => number_matches(*low, *high, *prefix, *wanted_low, *wanted_high),
        (
            Value::Uri(uri),
            Criterion::Uri {
                uri: wanted,
                matching,
            },
        ) => match matching {
            UriMatching::Equal => uri == wanted,
            UriMatching::Below => uri.starts_with(wanted),
            UriMatching::Above => wanted.starts_with(uri),
        },
        _ => panic!("a criterion of another kind"),
    }
}

fn date_matches(low: i64, high: i64, date: DateCriterion) -> bool {
    let is_within = date.low <= low && high <= date.high;
    match date.prefix {
        Prefix::Eq => is_within,
        Prefix::Ne => !is_within,
        Prefix::Gt => high > date.high,
        Prefix::Lt => low < date.low,
        Prefix::Ge => high > date.high || is_within,
        Prefix::Le => low < date.low || is_within,
        Prefix::Sa => low >= date.high,
        Prefix::Eb => high <= date.low,
        Prefix::Ap => low < date.high && date.low < high,
    }
}

/// Equality goes by the intervals, order by the numbers in their middle.
fn number_matches(low: f64, high: f64, prefix: Prefix, wanted_low: f64, wanted_high: f64) -> bool {
    let is_within = wanted_low <= low && high <= wanted_high;
    let (number, wanted) = (
        f64::midpoint(low, high),
        f64::midpoint(wanted_low, wanted_high),
    );
    let is_same = (number - wanted).abs() < 1e-9;
    match prefix {
        Prefix::Eq => is_within,
        Prefix::Ne => !is_within,
        Prefix::Gt | Prefix::Sa => number > wanted && !is_same,
        Prefix::Lt | Prefix::Eb => number < wanted && !is_same,
        Prefix::Ge => number > wanted || is_same,
        Prefix::Le => number < wanted || is_same,
        Prefix::Ap => low <= wanted_high && wanted_low <= high,
    }
}

/// A sort value; missing ones are `None`.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub(super) enum SortKey {
    Integer(i64),
    Real(f64),
    Text(String),
}

/// What a resource is sorted by: the lowest value, or the highest.
pub(super) fn sort_key(resource: &NewVersion, by: SortBy, descending: bool) -> Option<SortKey> {
    let (parameter, kind) = match by {
        SortBy::Id => return Some(SortKey::Text(resource.key.id.as_str().to_owned())),
        SortBy::LastUpdated => {
            return Some(SortKey::Integer(resource.last_updated.timestamp_micros()));
        }
        SortBy::Parameter(parameter, kind) => (parameter, kind),
    };
    let keys = values(&resource.values, parameter)
        .into_iter()
        .map(|value| match (kind, value) {
            (ValueKind::Token, Value::Token(_, code)) => SortKey::Text(code),
            (ValueKind::String, Value::String(normalised, _)) => SortKey::Text(normalised),
            (ValueKind::Date, Value::Date(low, _)) => SortKey::Integer(low),
            (ValueKind::Reference, Value::Reference(Target::Local(_, id))) => {
                SortKey::Text(id.as_str().to_owned())
            }
            (ValueKind::Reference, Value::Reference(Target::Url(url))) => SortKey::Text(url),
            (ValueKind::Quantity, Value::Quantity(low, ..))
            | (ValueKind::Number, Value::Number(low, _)) => SortKey::Real(low),
            (ValueKind::Uri, Value::Uri(uri)) => SortKey::Text(uri),
            _ => panic!("a value of another kind"),
        });
    let is_better =
        |key: &SortKey, best: &SortKey| if descending { key > best } else { key < best };
    keys.reduce(|best, key| if is_better(&key, &best) { key } else { best })
}
