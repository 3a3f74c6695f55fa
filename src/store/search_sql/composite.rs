//! The index of composites: one key and one range for each way to combine the values of an element.
//!
//! <https://hl7.org/fhir/R4/search.html#combining>. The key is the code of the first token, then the
//! first other text, then the canonical unit; the range that of the first number, quantity or date.
//! That is enough to find few rows. Whether all components match within one element is checked on the
//! document beside the resource.

use crate::search::expression::{
    Criterion, Prefix, ReferenceCriterion, StringMatching, TokenCriterion, UriMatching, ValueKind,
};
use crate::search::normalise::fold;
use crate::store::entries::{indexed_text, indexed_time, real_time};
use crate::store::search_sql::condition::{Condition, Place};
use crate::store::search_sql::lookup::{Part, parts_of_numbers};
use crate::store::sql::Sql;

/// Between the parts of a key.
const SEPARATOR: char = '\u{1f}';

/// The key of these parts; those that there are not are empty.
pub(crate) fn key(lead: &str, text: &str, unit: &str) -> String {
    indexed_text(&whole_key(lead, text, unit))
}

fn whole_key(lead: &str, text: &str, unit: &str) -> String {
    format!("{lead}{SEPARATOR}{text}{SEPARATOR}{unit}")
}

/// What is known of a text that a criterion asks for.
enum Asked {
    Exactly(String),
    StartingWith(String),
}

fn asked(criterion: &Criterion) -> Option<Asked> {
    let nothing = Asked::StartingWith(String::new());
    Some(match criterion {
        Criterion::Token(TokenCriterion::Code(code) | TokenCriterion::SystemAndCode(_, code)) => {
            Asked::Exactly(indexed_text(code))
        }
        Criterion::String { text, matching } => match matching {
            StringMatching::StartsWith => Asked::StartingWith(indexed_text(text)),
            StringMatching::Exact => Asked::StartingWith(indexed_text(&fold(text))),
            StringMatching::Whole => Asked::Exactly(indexed_text(text)),
            StringMatching::Contains | StringMatching::Ends => nothing,
        },
        Criterion::Reference(reference) => match reference {
            ReferenceCriterion::Local(_, id) | ReferenceCriterion::AnyType(id) => {
                Asked::Exactly(id.as_str().to_owned())
            }
            ReferenceCriterion::Url(url) => Asked::Exactly(indexed_text(url)),
            ReferenceCriterion::Below(_) | ReferenceCriterion::Above(_) => nothing,
        },
        Criterion::Uri { uri, matching } => match matching {
            UriMatching::Equal => Asked::Exactly(indexed_text(uri)),
            UriMatching::Below | UriMatching::Above => nothing,
        },
        Criterion::Token(_) => nothing,
        _ => return None,
    })
}

/// Whether the index finds what matches: it is by the first token.
pub(super) fn is_indexed(criteria: &[Criterion]) -> bool {
    let (lead, _) = texts(criteria);
    matches!(lead, Some(Asked::Exactly(_)))
}

/// What is asked of the first token (without one, the first text), and of the first other text.
fn texts(criteria: &[Criterion]) -> (Option<Asked>, Option<Asked>) {
    let is_token = |criterion: &Criterion| matches!(criterion, Criterion::Token(_));
    let is_text = |criterion: &Criterion| asked(criterion).is_some();
    let lead = (criteria.iter().position(is_token)).or_else(|| criteria.iter().position(is_text));
    let others = criteria.iter().enumerate();
    let mut others = others.filter(|(place, _)| Some(*place) != lead);
    let other = others.find_map(|(_, criterion)| asked(criterion));
    let lead = lead.and_then(|lead| criteria.get(lead)).and_then(asked);
    (lead, other)
}

/// A comparison with a range, and the canonical unit.
struct Range<'c> {
    prefix: Prefix,
    low: f64,
    high: f64,
    unit: &'c str,
}

/// What is asked of the first number, quantity or date.
fn range(criteria: &[Criterion]) -> Option<Range<'_>> {
    criteria.iter().find_map(|criterion| {
        let (prefix, low, high, unit) = match criterion {
            Criterion::Date(date) => {
                let real = |time| real_time(indexed_time(time));
                (date.prefix, real(date.low), real(date.high), "")
            }
            Criterion::Number { prefix, low, high }
            | Criterion::Quantity {
                prefix, low, high, ..
            } => (*prefix, *low, *high, ""),
            Criterion::CanonicalQuantity {
                prefix,
                low,
                high,
                unit,
            } => (*prefix, *low, *high, unit.as_str()),
            _ => return None,
        };
        Some(Range {
            prefix,
            low,
            high,
            unit,
        })
    })
}

/// The parts that rows of a composite are looked up in.
pub(super) fn parts(criteria: &[Criterion]) -> &'static [Part] {
    let (_, other) = texts(criteria);
    match (other, range(criteria)) {
        (None | Some(Asked::Exactly(_)), Some(range)) if range.prefix != Prefix::Ne => {
            parts_of_numbers(range.prefix)
        }
        _ => &[Part::Whole],
    }
}

/// Adds a condition on a row that all matches meet, and few others.
pub(super) fn push_rough(sql: &mut Sql, criteria: &[Criterion], part: Part) {
    let (lead, other) = texts(criteria);
    let range = range(criteria);
    let mut condition = Condition::new(sql, Place::Table, ValueKind::Composite);
    let Some(Asked::Exactly(lead)) = lead else {
        condition.push("1 = 1");
        return;
    };
    let other = match other {
        Some(Asked::StartingWith(start)) => {
            condition.starts_with(0, &format!("{lead}{SEPARATOR}{start}"));
            return;
        }
        Some(Asked::Exactly(other)) => other,
        None => String::new(),
    };
    let unit = range.as_ref().map_or("", |range| range.unit);
    condition.compare(0, " = ", key(&lead, &other, unit));
    if let Some(range) = range {
        push_range(&mut condition, &range, part);
    }
}

/// Dates are rounded in this index, so that ends are always included.
fn push_range(condition: &mut Condition<'_>, range: &Range<'_>, part: Part) {
    let Range {
        prefix, low, high, ..
    } = *range;
    if part == Part::Span {
        condition.push(" AND ").column(2).push(" > ").column(1);
    }
    let upper = if part == Part::High { 1 } else { 2 };
    let comparisons: &[(usize, &str, f64)] = match prefix {
        Prefix::Eq => &[(1, " >= ", low), (1, " <= ", high), (2, " <= ", high)],
        Prefix::Gt | Prefix::Ge => &[(upper, " >= ", low)],
        Prefix::Lt | Prefix::Le => &[(1, " <= ", high)],
        Prefix::Sa => &[(1, " >= ", high)],
        Prefix::Eb => &[(1, " <= ", low), (2, " <= ", low)],
        Prefix::Ap => &[(1, " <= ", high), (upper, " >= ", low)],
        Prefix::Ne => &[],
    };
    for (column, operator, value) in comparisons {
        condition.push(" AND ").compare(*column, operator, *value);
    }
}
