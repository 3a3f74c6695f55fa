//! What one version of a resource is found by, as rows of the `search_*` tables.
//!
//! The same values are kept once more as JSON beside the resource (`resource.entries`): an update
//! writes only the difference, `_include` follows references and `_sort` finds values without an
//! index by resource. The document is `{"<kind>":{…}}`, see [`document`].

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use fhir_model::key::LogicalId;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::search::expression::{Criterion, Filter, TokenCriterion, ValueKind};
use crate::search::value::{SearchValues, Target};
use crate::store::Error;
use crate::store::batch::{Batches, Table};
use crate::store::search_sql::document_name;
use crate::store::shape;
use crate::store::sql::Bind;

mod composite;
pub(crate) mod document;

/// Longest text in an index; PostgreSQL's B-trees take 2,704 bytes per row. Longer values are cut,
/// and so are the texts they are compared with.
pub(crate) const INDEXED_BYTES_MAX: usize = 512;

/// An open end of an interval is stored as this, so that it is the same number on every path.
const TIME_MAX: i64 = 4_000_000_000_000_000_000;

/// A time as the index stores and compares it.
pub(crate) fn indexed_time(micros: i64) -> i64 {
    micros.clamp(-TIME_MAX, TIME_MAX)
}

/// A time as the index of composites has it, which keeps the order but not each microsecond.
#[expect(
    clippy::cast_precision_loss,
    reason = "the index is rough, and checked"
)]
pub(crate) fn real_time(micros: i64) -> f64 {
    micros as f64
}

/// A text as the index stores and compares it.
pub(crate) fn indexed_text(text: &str) -> String {
    let cut = text
        .get(..text.floor_char_boundary(INDEXED_BYTES_MAX))
        .unwrap_or_default();
    if cut.contains('\0') {
        cut.replace('\0', " ")
    } else {
        cut.to_owned()
    }
}

/// A system as the index stores it: the first 64 bits of its SHA-256, 0 for none.
pub(crate) fn system_hash(system: &str) -> i64 {
    if system.is_empty() {
        return 0;
    }
    let digest = Sha256::digest(system.as_bytes());
    digest
        .iter()
        .take(8)
        .fold(0_i64, |hash, byte| hash << 8 | i64::from(*byte))
}

/// A number with a total order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Real(pub(crate) f64);

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Real {}

impl PartialOrd for Real {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Real {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Serialize for Real {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Self)
    }
}

type Values<T> = BTreeMap<i32, BTreeSet<T>>;

/// (parameter, normalised, code, system)
pub(crate) type Display = (i32, String, String, i64);

/// The search rows of one version; columns in the order of the tables, without parameter and key.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Entries {
    /// (code, system)
    #[serde(
        rename = "t",
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        with = "document"
    )]
    tokens: Values<(String, i64)>,
    /// (normalised, exact)
    #[serde(
        rename = "s",
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        with = "document"
    )]
    strings: Values<(String, String)>,
    /// (low, high)
    #[serde(
        rename = "d",
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        with = "document"
    )]
    dates: Values<(i64, i64)>,
    /// (id or URL, type or nothing)
    #[serde(
        rename = "r",
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        with = "document"
    )]
    references: Values<(String, String)>,
    /// (low, high, system, code)
    #[serde(
        rename = "q",
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        with = "document"
    )]
    quantities: Values<(Real, Real, i64, String)>,
    /// (low, high)
    #[serde(
        rename = "n",
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        with = "document"
    )]
    numbers: Values<(Real, Real)>,
    /// (uri)
    #[serde(
        rename = "u",
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        with = "document"
    )]
    uris: Values<(String,)>,
    /// Of each element, the values of its components.
    #[serde(
        rename = "c",
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        with = "document"
    )]
    composites: Values<Entries>,
    /// What codes are shown as: rows that are not of one resource, and never taken back.
    #[serde(skip)]
    displays: BTreeSet<Display>,
    /// Patients in whose compartment the resource is.
    #[serde(rename = "p", default, skip_serializing_if = "BTreeSet::is_empty")]
    patients: BTreeSet<String>,
}

impl Entries {
    /// The rows for these values.
    pub(crate) fn new(values: &SearchValues, patients: &[LogicalId]) -> Self {
        let mut entries = Self::default();
        for token in &values.tokens {
            let value = (indexed_text(&token.code), system_hash(&token.system));
            entries
                .tokens
                .entry(token.parameter.0)
                .or_default()
                .insert(value);
        }
        for text in &values.strings {
            let value = (indexed_text(&text.normalised), indexed_text(&text.exact));
            entries
                .strings
                .entry(text.parameter.0)
                .or_default()
                .insert(value);
        }
        for date in &values.dates {
            let value = (indexed_time(date.low), indexed_time(date.high));
            entries
                .dates
                .entry(date.parameter.0)
                .or_default()
                .insert(value);
        }
        for reference in &values.references {
            let value = match &reference.target {
                Target::Local(resource_type, id) => {
                    (id.as_str().to_owned(), resource_type.as_str().to_owned())
                }
                Target::Url(url) => (indexed_text(url), String::new()),
            };
            entries
                .references
                .entry(reference.parameter.0)
                .or_default()
                .insert(value);
        }
        for quantity in &values.quantities {
            let value = (
                Real(quantity.low),
                Real(quantity.high),
                system_hash(&quantity.system),
                indexed_text(&quantity.code),
            );
            entries
                .quantities
                .entry(quantity.parameter.0)
                .or_default()
                .insert(value);
        }
        for number in &values.numbers {
            let value = (Real(number.low), Real(number.high));
            entries
                .numbers
                .entry(number.parameter.0)
                .or_default()
                .insert(value);
        }
        for uri in &values.uris {
            entries
                .uris
                .entry(uri.parameter.0)
                .or_default()
                .insert((indexed_text(&uri.uri),));
        }
        for composite in &values.composites {
            entries
                .composites
                .entry(composite.parameter.0)
                .or_default()
                .insert(Self::new(&composite.values, &[]));
        }
        let displays = values.displays.iter().map(|display| {
            let normalised = indexed_text(&display.normalised);
            let (code, system) = (indexed_text(&display.code), system_hash(&display.system));
            (display.parameter.0, normalised, code, system)
        });
        entries.displays = displays.collect();
        entries.patients = patients
            .iter()
            .map(|patient| patient.as_str().to_owned())
            .collect();
        entries
    }

    /// What is kept beside a resource: without rows that are not of it alone.
    pub(crate) fn of_one_resource(mut self) -> Self {
        self.displays.clear();
        self
    }

    /// Reads what [`Entries::to_json`] wrote.
    pub(crate) fn from_json(json: &str) -> Result<Self, Error> {
        serde_json::from_str(json).map_err(|_| Error::Corrupt("search entries"))
    }

    /// The document kept beside the resource.
    pub(crate) fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string(self).map_err(|_| Error::Corrupt("search entries"))
    }

    /// The local references of a parameter, or of all: (type, id).
    pub(crate) fn local_references(
        &self,
        parameter: Option<i32>,
    ) -> impl Iterator<Item = (&str, &str)> {
        let wanted = move |key: &i32| parameter.is_none_or(|parameter| parameter == *key);
        self.references
            .iter()
            .filter(move |(key, _)| wanted(key))
            .flat_map(|(_, values)| values)
            .filter(|(_, target_type)| !target_type.is_empty())
            .map(|(id, target_type)| (target_type.as_str(), id.as_str()))
    }

    /// Whether a resource with these values may match a filter. Where that takes more than a look
    /// at tokens it is said to.
    pub(crate) fn may_match(&self, filter: &Filter) -> bool {
        let Filter::Any {
            parameter,
            criteria,
            negated: false,
        } = filter
        else {
            return true;
        };
        let tokens = self.tokens.get(&parameter.0);
        let has = |wanted: &dyn Fn(&str, i64) -> bool| {
            tokens.is_some_and(|tokens| tokens.iter().any(|(code, system)| wanted(code, *system)))
        };
        criteria.iter().any(|criterion| match criterion {
            Criterion::Token(TokenCriterion::Code(wanted)) => {
                let wanted = indexed_text(wanted);
                has(&|code, _| code == wanted)
            }
            Criterion::Token(TokenCriterion::SystemAndCode(wanted_system, wanted)) => {
                let (wanted_system, wanted) = (system_hash(wanted_system), indexed_text(wanted));
                has(&|code, system| code == wanted && system == wanted_system)
            }
            _ => true,
        })
    }

    /// The parameters that have values, as shapes name them.
    pub(crate) fn present(&self) -> Vec<String> {
        fn of<T>(kind: ValueKind, values: &Values<T>) -> impl Iterator<Item = String> {
            let document = document_name(kind);
            values
                .keys()
                .map(move |parameter| shape::name(document, *parameter))
        }
        of(ValueKind::Token, &self.tokens)
            .chain(of(ValueKind::String, &self.strings))
            .chain(of(ValueKind::Date, &self.dates))
            .chain(of(ValueKind::Reference, &self.references))
            .chain(of(ValueKind::Quantity, &self.quantities))
            .chain(of(ValueKind::Number, &self.numbers))
            .chain(of(ValueKind::Uri, &self.uris))
            .chain(of(ValueKind::Composite, &self.composites))
            .collect()
    }

    /// Adds to `batches` what makes the tables say `self` where they say `old`.
    pub(crate) fn replace(self, old: Self, row_key: i64, batches: &mut Batches) {
        let row = |binds: Vec<Bind>| binds;
        difference(
            self.tokens,
            old.tokens,
            Table::Token,
            batches,
            |parameter, (code, system)| {
                row(vec![parameter, code.into(), system.into(), row_key.into()])
            },
        );
        difference(
            self.strings,
            old.strings,
            Table::String,
            batches,
            |parameter, (text, exact)| {
                row(vec![parameter, text.into(), exact.into(), row_key.into()])
            },
        );
        difference(
            self.dates,
            old.dates,
            Table::Date,
            batches,
            |parameter, (low, high)| row(vec![parameter, low.into(), high.into(), row_key.into()]),
        );
        difference(
            self.references,
            old.references,
            Table::Reference,
            batches,
            |parameter, (id, target_type)| {
                row(vec![
                    parameter,
                    id.into(),
                    target_type.into(),
                    row_key.into(),
                ])
            },
        );
        difference(
            self.quantities,
            old.quantities,
            Table::Quantity,
            batches,
            |parameter, (low, high, system, code)| {
                let (low, high) = (low.0.into(), high.0.into());
                row(vec![
                    parameter,
                    low,
                    high,
                    system.into(),
                    code.into(),
                    row_key.into(),
                ])
            },
        );
        difference(
            self.numbers,
            old.numbers,
            Table::Number,
            batches,
            |parameter, (low, high)| {
                row(vec![parameter, low.0.into(), high.0.into(), row_key.into()])
            },
        );
        difference(
            self.uris,
            old.uris,
            Table::Uri,
            batches,
            |parameter, (uri,)| row(vec![parameter, uri.into(), row_key.into()]),
        );
        difference(
            composite_rows(&self.composites),
            composite_rows(&old.composites),
            Table::Composite,
            batches,
            |parameter, (key, low, high)| {
                let (low, high) = (low.0.into(), high.0.into());
                row(vec![parameter, key.into(), low, high, row_key.into()])
            },
        );
        batches.displays.extend(self.displays);
        let (gone, added) = apart(self.patients, old.patients);
        for patient in gone {
            batches.delete(Table::Compartment, vec![patient.into(), row_key.into()]);
        }
        for patient in added {
            batches.insert(Table::Compartment, vec![patient.into(), row_key.into()]);
        }
    }
}

/// The rows of all composites.
fn composite_rows(composites: &Values<Entries>) -> Values<composite::Row> {
    let of_all = composites.iter().map(|(parameter, elements)| {
        let rows = elements.iter().flat_map(Entries::composite_rows);
        (*parameter, rows.collect())
    });
    of_all.collect()
}

/// What only `old` has, and what only `new` has.
fn apart<T: Ord>(
    mut new: BTreeSet<T>,
    mut old: BTreeSet<T>,
) -> (impl Iterator<Item = T>, impl Iterator<Item = T>) {
    if !old.is_empty() {
        let mut gone = BTreeSet::new();
        for value in std::mem::take(&mut old) {
            if !new.remove(&value) {
                gone.insert(value);
            }
        }
        old = gone;
    }
    (old.into_iter(), new.into_iter())
}

fn difference<T: Ord>(
    new: Values<T>,
    mut old: Values<T>,
    table: Table,
    batches: &mut Batches,
    row: impl Fn(Bind, T) -> Vec<Bind>,
) {
    for (parameter, values) in new {
        let (gone, added) = apart(values, old.remove(&parameter).unwrap_or_default());
        let bind = || Bind::Integer(i64::from(parameter));
        gone.for_each(|value| batches.delete(table, row(bind(), value)));
        added.for_each(|value| batches.insert(table, row(bind(), value)));
    }
    for (parameter, values) in old {
        for value in values {
            batches.delete(table, row(Bind::Integer(i64::from(parameter)), value));
        }
    }
}
