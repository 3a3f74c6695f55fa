//! Paging while others write: every match of the moment of the first page comes exactly once, in
//! its order, as it was then; forwards and backwards.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use baton::search::expression::{Criterion, Cursor, Search, Sort, SortBy, ValueKind};
use baton::search::value::{ParameterId, SearchValues};
use baton::store::{CHANGED_MAX, ChangeKind, Claim, Error, NewVersion, Rows, SearchPage, Store};
use fhir_model::key::{LogicalId, ResourceType};
use futures_util::future::join;
use tokio::sync::Notify;

use super::oracle::World;
use super::searching::{
    Dice, criteria, expected, random_filter, random_patients, random_sort, random_values, search,
};
use super::together::by_code;
use super::{instant, new_version, script, with_token, write};
use crate::support::database::on_each_engine;

const TIME: Duration = Duration::from_mins(1);

/// What each text that was ever written is found by.
type Texts = HashMap<String, (SearchValues, Vec<LogicalId>)>;

/// A world that others write to.
struct Moving {
    store: Store,
    dice: Dice,
    world: World,
    deleted: Vec<NewVersion>,
    texts: Texts,
    written: usize,
}

impl Moving {
    async fn new(store: Store, seed: u64) -> Self {
        let mut moving = Self {
            store,
            dice: Dice(seed),
            world: World(Vec::new()),
            deleted: Vec::new(),
            texts: Texts::new(),
            written: 0,
        };
        for patient in ["1", "2", "3"] {
            let version = new_version(&format!("Patient/{patient}"), 1, "x");
            moving.put(version).await;
        }
        for _ in 0..30 {
            moving.create().await;
        }
        moving
    }

    /// Writes a version with other values than the one before.
    async fn put(&mut self, mut version: NewVersion) {
        self.written += 1;
        let text = format!("text {}", self.written);
        version.text = Some(text.as_str().into());
        version.last_updated = instant(i64::try_from(self.dice.roll(20)).unwrap());
        let name = version.key.resource_type.as_str();
        version.values = random_values(&mut self.dice, name);
        version.patients = random_patients(&mut self.dice);
        let found_by = (version.values.clone(), version.patients.clone());
        self.texts.insert(text, found_by);
        write(&self.store, vec![version.clone()]).await.unwrap();
        self.world.0.push(version);
        // In the order of their creation, which is that of the store's keys.
        self.world.0.sort_by_key(|version| {
            let number: usize = version.key.id.as_str().parse().unwrap();
            (version.key.resource_type.as_str() != "Patient", number)
        });
    }

    async fn create(&mut self) {
        let name = format!("Observation/{}", self.written);
        self.put(new_version(&name, 1, "x")).await;
    }

    /// One to four changes.
    async fn disturb(&mut self) {
        for _ in 0..=self.dice.roll(4) {
            let observations = 3..self.world.0.len();
            match self.dice.roll(4) {
                0 => self.create().await,
                1 if !self.deleted.is_empty() => {
                    let mut version = self.deleted.swap_remove(self.dice.roll(self.deleted.len()));
                    version.version = version.version.next();
                    version.kind = ChangeKind::Create;
                    self.put(version).await;
                }
                2 if observations.len() > 20 => {
                    let place = 3 + self.dice.roll(observations.len());
                    let gone = self.world.0.remove(place);
                    let number = gone.version.number() + 1;
                    let gone = new_version(&gone.key.to_string(), number, "");
                    write(&self.store, vec![gone.clone()]).await.unwrap();
                    self.deleted.push(gone);
                }
                _ => {
                    let place = 3 + self.dice.roll(observations.len());
                    let mut version = self.world.0.remove(place);
                    version.version = version.version.next();
                    version.kind = ChangeKind::Update;
                    self.put(version).await;
                }
            }
        }
    }

    async fn page(&self, search: &Search) -> SearchPage {
        page(&self.store, search, &self.texts).await.unwrap()
    }

    /// What should be found now: id and text.
    fn expected(&self, search: &Search) -> Vec<String> {
        let text = |id: &String| {
            let mut resources = self.world.0.iter();
            let found = resources.find(|resource| {
                resource.key.id.as_str() == id
                    && resource.key.resource_type.as_str() == "Observation"
            });
            found.unwrap().text.clone().unwrap()
        };
        let ids = expected(&self.world, search);
        ids.iter().map(|id| format!("{id} {}", text(id))).collect()
    }
}

async fn page(store: &Store, search: &Search, texts: &Texts) -> Result<SearchPage, Error> {
    let extract = |_: &ResourceType, text: &str| texts.get(text).cloned();
    store.search_isolated(search, &extract, TIME).await
}

fn shown(page: &SearchPage) -> Vec<String> {
    let text = |stored: &baton::store::Stored| stored.text.clone().unwrap();
    let shown = page.matches.iter();
    shown
        .map(|stored| format!("{} {}", stored.key.id, text(stored)))
        .collect()
}

async fn check(moving: &mut Moving, search: &Search) {
    let expected = moving.expected(search);
    let mut search = search.clone();
    let mut pages = Vec::new();
    loop {
        let page = moving.page(&search).await;
        pages.push(shown(&page));
        assert_eq!(page.previous.is_some(), pages.len() > 1, "{search:?}");
        let Some(next) = page.next else {
            search.after = page.previous;
            break;
        };
        search.after = Some(next);
        moving.disturb().await;
    }
    assert_eq!(pages.concat(), expected, "{search:?}");
    // And back again, page by page.
    let mut earlier = pages.len() - 1;
    while search.after.is_some() {
        moving.disturb().await;
        let page = moving.page(&search).await;
        earlier -= 1;
        assert_eq!(shown(&page), pages[earlier], "{search:?}");
        assert!(page.next.is_some());
        search.after = page.previous;
    }
    assert_eq!(earlier, 0, "{search:?}");
}

#[tokio::test]
async fn pages_show_the_moment_of_the_first_while_others_write() {
    on_each_engine(async |store| {
        let mut moving = Moving::new(store, 11).await;
        let criteria: Vec<Criterion> = criteria();
        for round in 0..16 {
            let mut filters: Vec<_> = (0..round % 3)
                .map(|_| random_filter(&mut moving.dice, &criteria, 1, "Observation"))
                .collect();
            filters.retain(|filter| !filter.looks_further());
            let sort = (0..moving.dice.roll(3))
                .map(|_| random_sort(&mut moving.dice))
                .collect();
            let search = Search {
                sort,
                count: moving.dice.one(&[4, 7, 17]),
                ..search(filters)
            };
            check(&mut moving, &search).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_search_begins_anew_when_too_much_was_changed() {
    on_each_engine(async |store| {
        let count = CHANGED_MAX + 1;
        let names: Vec<String> = (0..count).map(|n| format!("Observation/{n}")).collect();
        let versions = |number, text: &str| {
            let version = |name: &String| with_token(new_version(name, number, text), "x");
            names.iter().map(version).collect::<Vec<_>>()
        };
        write(&store, versions(1, "one")).await.unwrap();
        let mut search = Search {
            count: 5,
            ..by_code("Observation", "x")
        };
        let values = versions(1, "one")[0].values.clone();
        let texts = Texts::from([("one".to_owned(), (values, Vec::new()))]);
        let first = page(&store, &search, &texts).await.unwrap();
        search.after = first.next;
        let mut changes = versions(2, "two");
        let rest = changes.split_off(count / 2);
        write(&store, changes).await.unwrap();
        let second = page(&store, &search, &texts).await.unwrap();
        let ids: Vec<&str> = second.matches.iter().map(|s| s.key.id.as_str()).collect();
        assert_eq!(ids, ["5", "6", "7", "8", "9"]);
        write(&store, rest).await.unwrap();
        write(&store, versions(3, "three")).await.unwrap();
        search.after = search.after.map(|after| Cursor { key: 0, ..after });
        let refused = page(&store, &search, &texts).await;
        assert!(matches!(refused, Err(Error::Expired)), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn what_still_ran_at_the_first_page_is_not_on_a_later_one() {
    on_each_engine(async |store| {
        let versions = |number, text: &str| {
            let name = |place| format!("Observation/{place}");
            let version = |place| with_token(new_version(&name(place), number, text), "x");
            (0..6).map(version).collect::<Vec<_>>()
        };
        write(&store, versions(1, "one")).await.unwrap();
        let (started, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let slow = store.transact(script({
            let (started, go) = (Arc::clone(&started), Arc::clone(&go));
            let changes = versions(2, "two");
            move |transaction| {
                let (started, go) = (Arc::clone(&started), Arc::clone(&go));
                let versions = changes.clone();
                Box::pin(async move {
                    // PostgreSQL gives the transaction its number with the first write.
                    transaction.claim(&[Claim("x".to_owned())]).await?;
                    transaction.append(Rows {
                        versions,
                        ..Rows::default()
                    });
                    started.notify_one();
                    go.notified().await;
                    Ok(())
                })
            }
        }));
        let values = versions(1, "one")[0].values.clone();
        let texts = Texts::from([("one".to_owned(), (values, Vec::new()))]);
        let mut search = Search {
            count: 2,
            ..by_code("Observation", "x")
        };
        let first = async {
            started.notified().await;
            let first = page(&store, &search, &texts).await.unwrap();
            go.notify_one();
            first
        };
        let (first, written) = join(first, slow).await;
        written.unwrap();
        search.after = first.next;
        let second = page(&store, &search, &texts).await.unwrap();
        assert_eq!(shown(&second), ["2 one", "3 one"]);
    })
    .await;
}

#[tokio::test]
async fn a_search_ends_at_its_deadline_and_leaves_the_connection_usable() {
    on_each_engine(async |store| {
        let version = |number| {
            with_token(
                new_version(&format!("Observation/{number}"), 1, "text"),
                "x",
            )
        };
        write(&store, (0..6_000).map(version).collect())
            .await
            .unwrap();
        let sort = vec![Sort {
            by: SortBy::Parameter(ParameterId::new("Observation", "none"), ValueKind::Number),
            descending: false,
        }];
        let search = Search {
            sort,
            ..search(Vec::new())
        };
        let extract = |_: &ResourceType, _: &str| None;
        for _ in 0..8 {
            let refused = store
                .search_isolated(&search, &extract, Duration::ZERO)
                .await;
            assert!(matches!(refused, Err(Error::TooCostly)), "{refused:?}");
            let found = store
                .search_isolated(&search, &extract, TIME)
                .await
                .unwrap();
            assert!(!found.matches.is_empty());
        }
    })
    .await;
}
