//! The way through everything: a compartment in the order of keys, then what it refers to.
//!
//! A walk holds one read at a time, of rows whose number follows from how long the last ones were,
//! and the names of what is referred to.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use fhir_model::element::Element;
use fhir_model::key::{LogicalId, ResourceKey, ResourceType};
use fhir_model::tree::Tree;

use crate::error::Error;
use crate::interaction::{Services, compartment};
use crate::operation::everything::request::Request;
use crate::operation::reference::{self, Target};
use crate::search::value::ParameterId;
use crate::store::{CompartmentQuery, Members, Stored};

/// Rows of one read at most.
pub(super) const ROWS_MAX: u32 = 256;
/// Rows of the first read.
const ROWS_FIRST: u32 = 32;
/// About so much text is read at once.
const READ_BYTES: usize = 1 << 20;
/// Resources outside the compartment at most.
pub(super) const OUTSIDE_MAX: usize = 10_000;

/// A place on the way; as text, the token of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Before the resource itself.
    Start,
    /// In the compartment, after this key of the store.
    Member(i64),
    /// Outside it, after this resource; at the first one without.
    Outside(Option<ResourceKey>),
    /// Behind everything.
    End,
}

impl Place {
    /// The place that a token means.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(row) = text.strip_prefix('m') {
            return row.parse().ok().map(Self::Member);
        }
        let outside = text.strip_prefix('o')?;
        if outside.is_empty() {
            return Some(Self::Outside(None));
        }
        let (resource_type, id) = outside.split_once('/')?;
        let resource_type = ResourceType::parse(resource_type).ok()?;
        let id = LogicalId::parse(id).ok()?;
        Some(Self::Outside(Some(ResourceKey { resource_type, id })))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start | Self::End => Ok(()),
            Self::Member(row) => write!(formatter, "m{row}"),
            Self::Outside(None) => formatter.write_str("o"),
            Self::Outside(Some(key)) => write!(formatter, "o{key}"),
        }
    }
}

/// A walk through everything.
pub(super) struct Walk {
    /// What was asked for.
    pub(super) request: Request,
    /// How far it has come.
    pub(super) place: Place,
    services: Arc<Services>,
    whose: Stored,
    members: Members,
    rows: u32,
    outside: Outside,
}

/// What is referred to and is in nobody's compartment.
#[derive(Default)]
struct Outside {
    keys: BTreeSet<ResourceKey>,
    /// Those of them that were not looked at yet for what they refer to.
    fresh: Vec<ResourceKey>,
    /// Whether all of the compartment was looked through.
    is_complete: bool,
    is_cut: bool,
}

impl Walk {
    /// A walk from the place that the request names.
    ///
    /// # Errors
    /// [`Error::NotSupported`] without a definition of the compartment.
    pub(super) fn new(
        services: Arc<Services>,
        whose: Stored,
        request: Request,
    ) -> Result<Self, Error> {
        Ok(Self {
            place: request.page.clone().unwrap_or(Place::Start),
            members: members(&services, &whose.key)?,
            request,
            services,
            whose,
            rows: ROWS_FIRST,
            outside: Outside::default(),
        })
    }

    /// Whether a resource is one of the compartment.
    pub(super) fn is_member(&self, stored: &Stored) -> bool {
        stored.key == self.whose.key || !self.is_outside(&stored.key)
    }

    /// Whether not everything that is referred to was followed.
    pub(super) fn is_cut(&self) -> bool {
        self.outside.is_cut
    }

    /// The next resources that are wanted, `count` at most; perhaps none before the end.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn next(&mut self, count: u32) -> Result<Vec<Stored>, Error> {
        match self.place.clone() {
            Place::Start => {
                let whose = self.whose.clone();
                self.place = Place::Member(i64::MIN);
                let found = self.seen(vec![whose], true)?;
                Ok(found)
            }
            Place::Member(after) => self.next_members(after, count).await,
            Place::Outside(after) => self.next_outside(after.as_ref(), count).await,
            Place::End => Ok(Vec::new()),
        }
    }

    async fn next_members(&mut self, after: i64, count: u32) -> Result<Vec<Stored>, Error> {
        let rows = self.rows.min(count);
        let read = self.read(after, rows).await?;
        let is_last = read.len() < usize::try_from(rows).unwrap_or(usize::MAX);
        let last = read.last().map_or(after, |stored| stored.row);
        let is_from_start = self.request.page.is_none();
        let others = read
            .into_iter()
            .filter(|stored| stored.key != self.whose.key);
        let found = self.seen(others.collect(), is_from_start)?;
        self.place = Place::Member(last);
        if is_last {
            self.outside.is_complete = is_from_start;
            let is_empty = self.outside.is_complete && self.outside.keys.is_empty();
            self.place = if self.wants_outside() && !is_empty {
                Place::Outside(None)
            } else {
                Place::End
            };
        }
        Ok(found)
    }

    /// A read of the compartment; what is not wanted stays where it is, unless it must be looked at
    /// for what it refers to.
    async fn read(&mut self, after: i64, rows: u32) -> Result<Vec<Stored>, Error> {
        let is_whole = self.wants_outside();
        let (types, since) = if is_whole {
            (Vec::new(), None)
        } else {
            (self.request.types.clone(), self.request.since)
        };
        let query = CompartmentQuery {
            members: self.members.clone(),
            types,
            since,
            after: Some(after),
            count: rows,
        };
        let read = self.services.store.compartment(&query).await?;
        let bytes: usize = read.iter().map(length).sum();
        self.rows = next_rows(read.len(), bytes);
        Ok(read)
    }

    /// Notes what resources refer to, and leaves those that are wanted.
    fn seen(&mut self, read: Vec<Stored>, looks: bool) -> Result<Vec<Stored>, Error> {
        let looks = looks && self.wants_outside();
        let mut wanted = Vec::with_capacity(read.len());
        for stored in read {
            let care_date = self.request.care_date(&stored.key.resource_type);
            let is_wanted = self.request.wants(&stored.key.resource_type)
                && self
                    .request
                    .since
                    .is_none_or(|since| stored.last_updated >= since);
            if !looks && (care_date.is_none() || !is_wanted) {
                wanted.extend(is_wanted.then_some(stored));
                continue;
            }
            let tree = reference::tree(&self.services, &stored)?;
            let is_of_time = match care_date {
                None => true,
                Some(parameter) => self.is_of_time(&stored, &tree, parameter)?,
            };
            if looks && is_of_time {
                self.note(&stored, &tree);
            }
            wanted.extend((is_wanted && is_of_time).then_some(stored));
        }
        Ok(wanted)
    }

    fn is_of_time(
        &self,
        stored: &Stored,
        tree: &Tree,
        parameter: ParameterId,
    ) -> Result<bool, Error> {
        let Some((low, high)) = self.request.care else {
            return Ok(true);
        };
        let type_id = self.services.type_id(&stored.key.resource_type)?;
        let extractor = &self.services.extractor;
        let values = extractor.extract(Element::of(tree.root()), type_id).values;
        let mut dates = values
            .dates
            .iter()
            .filter(|date| date.parameter == parameter);
        let has_date = dates.clone().next().is_some();
        Ok(!has_date || dates.any(|date| date.low < high && date.high > low))
    }

    /// Adds what a resource refers to.
    fn note(&mut self, stored: &Stored, tree: &Tree) {
        let services = Arc::clone(&self.services);
        for found in reference::all(tree.root(), &services.own_base) {
            let Target::Local(key, _) = found.target else {
                continue;
            };
            // An encounter is of a patient, whose record is part of it.
            let is_own_patient = stored.key == self.whose.key
                && key.resource_type.as_str() == "Patient"
                && key != self.whose.key;
            let is_encounter = self.whose.key.resource_type.as_str() == "Encounter";
            if !(self.is_outside(&key) || is_own_patient && is_encounter) {
                continue;
            }
            self.outside.add(key);
        }
    }

    /// Whether resources of this one's type are in no patient's compartment.
    fn is_outside(&self, key: &ResourceKey) -> bool {
        compartment::is_shared(&self.services, &key.resource_type)
    }

    /// Whether anything outside may be wanted.
    fn wants_outside(&self) -> bool {
        let of_encounter = self.whose.key.resource_type.as_str() == "Encounter";
        let mut types = self.request.types.iter();
        self.request.types.is_empty()
            || types.any(|one| compartment::is_shared(&self.services, one))
            || (of_encounter
                && self
                    .request
                    .types
                    .iter()
                    .any(|one| one.as_str() == "Patient"))
    }

    async fn next_outside(
        &mut self,
        after: Option<&ResourceKey>,
        count: u32,
    ) -> Result<Vec<Stored>, Error> {
        self.complete().await?;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = (start, Bound::Unbounded);
        let rows = usize::try_from(self.rows.min(count)).unwrap_or(usize::MAX);
        let next = self.outside.keys.range::<ResourceKey, _>(range);
        let keys: Vec<ResourceKey> = next.take(rows).cloned().collect();
        let Some(last) = keys.last() else {
            self.place = Place::End;
            return Ok(Vec::new());
        };
        self.place = if self.outside.keys.last() == Some(last) {
            Place::End
        } else {
            Place::Outside(Some(last.clone()))
        };
        let read = self.services.store.read_all(&keys).await?;
        self.rows = next_rows(read.len(), read.iter().map(length).sum());
        self.seen(read, false)
    }

    /// Knows all that is outside: looks the compartment through where that was not done on the way,
    /// and follows what is outside to what that refers to.
    async fn complete(&mut self) -> Result<(), Error> {
        if !self.outside.is_complete {
            let whose = self.whose.clone();
            self.seen(vec![whose], true)?;
            let mut after = i64::MIN;
            loop {
                let rows = self.rows;
                let read = self.read(after, rows).await?;
                let is_last = read.len() < usize::try_from(rows).unwrap_or(usize::MAX);
                after = read.last().map_or(after, |stored| stored.row);
                self.seen(read, true)?;
                if is_last {
                    break;
                }
            }
        }
        self.outside.is_complete = true;
        self.follow().await
    }

    /// Adds what the resources outside refer to, until there is nothing new.
    async fn follow(&mut self) -> Result<(), Error> {
        let batch = usize::try_from(ROWS_FIRST).unwrap_or(usize::MAX);
        while !self.outside.fresh.is_empty() {
            let rest = self.outside.fresh.len().saturating_sub(batch);
            let keys = self.outside.fresh.split_off(rest);
            let read = self.services.store.read_all(&keys).await?;
            self.seen(read, true)?;
        }
        Ok(())
    }
}

impl Outside {
    fn add(&mut self, key: ResourceKey) {
        if self.keys.contains(&key) {
            return;
        }
        if self.keys.len() >= OUTSIDE_MAX {
            self.is_cut = true;
            return;
        }
        self.fresh.push(key.clone());
        self.keys.insert(key);
    }
}

/// How the compartment of a resource is found.
fn members(services: &Services, key: &ResourceKey) -> Result<Members, Error> {
    if key.resource_type.as_str() == "Patient" {
        return Ok(Members::Patient(key.id.clone()));
    }
    Ok(Members::Referring {
        target: key.clone(),
        parameters: compartment::parameters(services, key)?,
    })
}

fn length(stored: &Stored) -> usize {
    stored.text.as_ref().map_or(0, |text| text.len())
}

/// How many rows to read next, so that they are about [`READ_BYTES`].
fn next_rows(rows: usize, bytes: usize) -> u32 {
    let average = (bytes / rows.max(1)).max(1);
    let wanted = u32::try_from(READ_BYTES / average).unwrap_or(ROWS_MAX);
    wanted.clamp(1, ROWS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_place_that_it_was_made_of() {
        let key = ResourceKey {
            resource_type: ResourceType::parse("Organization").unwrap(),
            id: LogicalId::parse("o-1.2").unwrap(),
        };
        for place in [
            Place::Member(i64::MIN),
            Place::Member(17),
            Place::Outside(None),
            Place::Outside(Some(key)),
        ] {
            assert_eq!(Place::parse(&place.to_string()), Some(place));
        }
        for wrong in ["", "m", "mx", "p1", "oOrganization", "oOrganization/a_b"] {
            assert_eq!(Place::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn reads_are_about_as_long_as_they_may_be() {
        assert_eq!(next_rows(32, 32 * 2_000), ROWS_MAX);
        assert_eq!(next_rows(32, 32 * 60_000), 17);
        assert_eq!(next_rows(1, 60 << 20), 1);
        assert_eq!(next_rows(0, 0), ROWS_MAX);
    }
}
