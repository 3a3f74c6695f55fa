//! The rows of a composite: see `store::search_sql::composite`, which looks for them.

use std::collections::{BTreeMap, BTreeSet};

use crate::search::value::{CANONICAL, ParameterId, component};
use crate::store::entries::{Entries, Real, real_time};
use crate::store::search_sql::key;

/// A row: key, lower and upper end.
pub(super) type Row = (String, Real, Real);

impl Entries {
    /// The rows of the values of one element.
    pub(super) fn composite_rows(&self) -> BTreeSet<Row> {
        let places = || (0..).map(component).take_while(|place| self.has(*place));
        let lead = places()
            .find(|place| self.tokens.contains_key(&place.0))
            .or_else(|| places().find(|place| self.texts(*place).next().is_some()));
        let other =
            places().find(|place| lead != Some(*place) && self.texts(*place).next().is_some());
        let ranges: BTreeSet<_> = places()
            .map(|place| self.ranges(place))
            .find(|ranges| !ranges.is_empty())
            .unwrap_or_else(|| BTreeSet::from([("", Real(0.0), Real(0.0))]));
        let all = |place: Option<ParameterId>| {
            let texts = place.into_iter().flat_map(|place| self.texts(place));
            let mut texts: Vec<&str> = texts.collect();
            texts.extend(place.is_none().then_some(""));
            texts
        };
        let others = all(other);
        let mut rows = BTreeSet::new();
        for lead in all(lead) {
            for other in &others {
                let rows_of =
                    |(unit, low, high): &(&str, Real, Real)| (key(lead, other, unit), *low, *high);
                rows.extend(ranges.iter().map(rows_of));
            }
        }
        rows
    }

    /// Whether the component at this place has values.
    fn has(&self, place: ParameterId) -> bool {
        self.texts(place).next().is_some() || !self.ranges(place).is_empty()
    }

    fn texts(&self, place: ParameterId) -> impl Iterator<Item = &str> {
        fn of<T>(
            values: &BTreeMap<i32, BTreeSet<T>>,
            place: ParameterId,
        ) -> impl Iterator<Item = &T> {
            values.get(&place.0).into_iter().flatten()
        }
        let tokens = of(&self.tokens, place).map(|(code, _)| code.as_str());
        let strings = of(&self.strings, place).map(|(normalised, _)| normalised.as_str());
        let references = of(&self.references, place).map(|(id, _)| id.as_str());
        let uris = of(&self.uris, place).map(|(uri,)| uri.as_str());
        tokens.chain(strings).chain(references).chain(uris)
    }

    /// (canonical unit or nothing, lower end, upper end)
    fn ranges(&self, place: ParameterId) -> BTreeSet<(&str, Real, Real)> {
        let of = |place: ParameterId| self.quantities.get(&place.0).into_iter().flatten();
        let sent = of(place).map(|(low, high, ..)| ("", *low, *high));
        let canonical = of(place.aspect(CANONICAL));
        let canonical = canonical.map(|(low, high, _, unit)| (unit.as_str(), *low, *high));
        let numbers = self.numbers.get(&place.0).into_iter().flatten();
        let numbers = numbers.map(|(low, high)| ("", *low, *high));
        let dates = self.dates.get(&place.0).into_iter().flatten();
        let dates = dates.map(|(low, high)| ("", Real(real_time(*low)), Real(real_time(*high))));
        sent.chain(canonical).chain(numbers).chain(dates).collect()
    }
}
