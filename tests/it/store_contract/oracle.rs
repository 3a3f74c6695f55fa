//! What a search means: every resource is looked at, as `search::matching` says.
//! <https://hl7.org/fhir/R4/search.html>.

use baton::search::expression::{Search, SortBy, ValueKind};
use baton::search::matching::{Candidate, matches};
use baton::search::value::{ParameterId, Target};
use baton::store::NewVersion;

/// The resources of a small world; deleted ones are left out.
pub(super) struct World(pub(super) Vec<NewVersion>);

impl World {
    /// The resources that a search finds, in no order.
    pub(super) fn matches(&self, search: &Search) -> Vec<&NewVersion> {
        let world: Vec<Candidate<'_>> = self.0.iter().map(candidate).collect();
        let is_match = |resource: &&NewVersion| {
            let mut filters = search.filters.iter();
            search.types.contains(&resource.key.resource_type)
                && filters.all(|filter| matches(candidate(resource), filter, &world))
        };
        self.0.iter().filter(is_match).collect()
    }
}

fn candidate(resource: &NewVersion) -> Candidate<'_> {
    Candidate {
        resource_type: &resource.key.resource_type,
        id: &resource.key.id,
        last_updated: resource.last_updated.timestamp_micros(),
        patients: &resource.patients,
        values: &resource.values,
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
    let found = &resource.values;
    let keys: Vec<SortKey> = match kind {
        ValueKind::Token => of(
            &found.tokens,
            |it| (it.parameter, text(&it.code)),
            parameter,
        ),
        ValueKind::String => of(
            &found.strings,
            |it| (it.parameter, text(&it.normalised)),
            parameter,
        ),
        ValueKind::Date => of(
            &found.dates,
            |it| (it.parameter, SortKey::Integer(it.low)),
            parameter,
        ),
        ValueKind::Reference => {
            let key = |target: &Target| match target {
                Target::Local(_, id) => text(id.as_str()),
                Target::Url(url) => text(url),
            };
            let references = &found.references;
            of(references, |it| (it.parameter, key(&it.target)), parameter)
        }
        ValueKind::Quantity => of(
            &found.quantities,
            |it| (it.parameter, SortKey::Real(it.low)),
            parameter,
        ),
        ValueKind::Number => of(
            &found.numbers,
            |it| (it.parameter, SortKey::Real(it.low)),
            parameter,
        ),
        ValueKind::Uri => of(&found.uris, |it| (it.parameter, text(&it.uri)), parameter),
        ValueKind::Composite => panic!("nothing is sorted by composites"),
    };
    let is_better =
        |key: &SortKey, best: &SortKey| if descending { key > best } else { key < best };
    let keys = keys.into_iter();
    keys.reduce(|best, key| if is_better(&key, &best) { key } else { best })
}

fn text(text: &str) -> SortKey {
    SortKey::Text(text.to_owned())
}

/// The sort keys of the values of a parameter.
fn of<T>(
    values: &[T],
    key: impl Fn(&T) -> (ParameterId, SortKey),
    wanted: ParameterId,
) -> Vec<SortKey> {
    let keys = values.iter().map(key);
    let own = keys.filter(|(parameter, _)| *parameter == wanted);
    own.map(|(_, key)| key).collect()
}
