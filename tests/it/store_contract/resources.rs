//! Create, read, vread, update, delete and history.

use baton::store::{CompartmentQuery, Error, HistoryQuery, HistoryScope, Members, Rows, Store};
use fhir_model::key::{LogicalId, ResourceType};

use super::{all_shown, instant, key, new_version, resource_type, script, shown, version, write};
use crate::support::database::on_each_engine;

async fn read(store: &Store, name: &str) -> Option<String> {
    store.read(&key(name)).await.unwrap().as_ref().map(shown)
}

#[tokio::test]
async fn a_resource_is_read_as_it_was_last_written() {
    on_each_engine(async |store| {
        assert_eq!(read(&store, "Patient/a").await, None);
        write(&store, vec![new_version("Patient/a", 1, "one")])
            .await
            .unwrap();
        assert_eq!(read(&store, "Patient/a").await.unwrap(), "Patient/a v1 one");
        write(&store, vec![new_version("Patient/a", 2, "two")])
            .await
            .unwrap();
        assert_eq!(read(&store, "Patient/a").await.unwrap(), "Patient/a v2 two");
        write(&store, vec![new_version("Patient/a", 3, "")])
            .await
            .unwrap();
        assert_eq!(
            read(&store, "Patient/a").await.unwrap(),
            "Patient/a v3 gone"
        );
        write(&store, vec![new_version("Patient/a", 4, "four")])
            .await
            .unwrap();
        assert_eq!(
            read(&store, "Patient/a").await.unwrap(),
            "Patient/a v4 four"
        );
        assert_eq!(read(&store, "Observation/a").await, None);
        let stored = store.read(&key("Patient/a")).await.unwrap().unwrap();
        assert_eq!(stored.last_updated, instant(4));
    })
    .await;
}

#[tokio::test]
async fn every_version_can_be_read() {
    on_each_engine(async |store| {
        for (number, text) in [(1, "one"), (2, "two"), (3, ""), (4, "four")] {
            write(&store, vec![new_version("Patient/a", number, text)])
                .await
                .unwrap();
        }
        for (number, expected) in [
            (1, Some("Patient/a v1 one")),
            (2, Some("Patient/a v2 two")),
            (3, Some("Patient/a v3 gone")),
            (4, Some("Patient/a v4 four")),
            (5, None),
        ] {
            let stored = store
                .vread(&key("Patient/a"), version(number))
                .await
                .unwrap();
            assert_eq!(stored.as_ref().map(shown).as_deref(), expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_version_that_does_not_follow_is_refused() {
    on_each_engine(async |store| {
        write(&store, vec![new_version("Patient/a", 1, "one")])
            .await
            .unwrap();
        let skipped = write(&store, vec![new_version("Patient/a", 3, "three")]).await;
        assert!(matches!(skipped, Err(Error::Conflict)), "{skipped:?}");
        write(&store, vec![new_version("Patient/a", 1, "again")])
            .await
            .unwrap_err();
        assert_eq!(read(&store, "Patient/a").await.unwrap(), "Patient/a v1 one");
    })
    .await;
}

#[tokio::test]
async fn two_versions_of_one_resource_fit_in_one_transaction() {
    on_each_engine(async |store| {
        let versions = vec![
            new_version("Patient/a", 1, "one"),
            new_version("Patient/b", 1, "other"),
            new_version("Patient/a", 2, "two"),
            new_version("Patient/a", 3, "three"),
        ];
        write(&store, versions).await.unwrap();
        assert_eq!(
            read(&store, "Patient/a").await.unwrap(),
            "Patient/a v3 three"
        );
        assert_eq!(
            history(&store, HistoryScope::System, 10).await,
            [[
                "Patient/a v3 three",
                "Patient/a v2 two",
                "Patient/b v1 other",
                "Patient/a v1 one"
            ]]
        );
    })
    .await;
}

#[tokio::test]
async fn a_transaction_reads_what_it_appended() {
    on_each_engine(async |store| {
        write(&store, vec![new_version("Patient/a", 1, "one")])
            .await
            .unwrap();
        let read = script(|transaction| {
            let keys = [key("Patient/b"), key("Patient/a"), key("Patient/c")];
            Box::pin(async move {
                let before = transaction.read(&keys).await?;
                let versions = vec![
                    new_version("Patient/a", 2, "two"),
                    new_version("Patient/c", 1, "new"),
                ];
                transaction.append(Rows {
                    versions,
                    ..Rows::default()
                });
                Ok((before, transaction.read(&keys).await?))
            })
        });
        let (before, after) = store.transact(read).await.unwrap();
        let shown = |stored: Vec<Option<_>>| -> Vec<Option<String>> {
            stored
                .iter()
                .map(|stored| stored.as_ref().map(shown))
                .collect()
        };
        assert_eq!(
            shown(before),
            [None, Some("Patient/a v1 one".to_owned()), None]
        );
        let expected = [
            None,
            Some("Patient/a v2 two".into()),
            Some("Patient/c v1 new".into()),
        ];
        assert_eq!(shown(after), expected);
    })
    .await;
}

/// The pages of a history.
async fn history(store: &Store, scope: HistoryScope, count: u32) -> Vec<Vec<String>> {
    let mut query = HistoryQuery {
        scope,
        since: None,
        during: None,
        is_counted: true,
        count,
        before: None,
    };
    let mut pages = Vec::new();
    loop {
        let page = store.history(&query).await.unwrap();
        pages.push(all_shown(&page.versions));
        query.before = page.next;
        if page.next.is_none() {
            let versions: usize = pages.iter().map(Vec::len).sum();
            assert_eq!(page.total, Some(versions as u64));
            return pages;
        }
    }
}

#[tokio::test]
async fn histories_are_paged_newest_first() {
    on_each_engine(async |store| {
        for (name, number, text) in [
            ("Patient/a", 1, "one"),
            ("Observation/o", 1, "first"),
            ("Patient/b", 1, "other"),
            ("Patient/a", 2, "two"),
            ("Patient/a", 3, ""),
        ] {
            write(&store, vec![new_version(name, number, text)])
                .await
                .unwrap();
        }
        assert_eq!(
            history(&store, HistoryScope::Instance(key("Patient/a")), 2).await,
            [
                vec!["Patient/a v3 gone", "Patient/a v2 two"],
                vec!["Patient/a v1 one"]
            ]
        );
        assert_eq!(
            history(&store, HistoryScope::Type(resource_type("Patient")), 3).await,
            [
                vec![
                    "Patient/a v3 gone",
                    "Patient/a v2 two",
                    "Patient/b v1 other"
                ],
                vec!["Patient/a v1 one"]
            ]
        );
        assert_eq!(
            history(&store, HistoryScope::System, 4).await,
            [
                vec![
                    "Patient/a v3 gone",
                    "Patient/a v2 two",
                    "Patient/b v1 other",
                    "Observation/o v1 first"
                ],
                vec!["Patient/a v1 one"]
            ]
        );
        let none = history(&store, HistoryScope::Instance(key("Patient/none")), 3).await;
        assert_eq!(none, [Vec::<String>::new()]);
    })
    .await;
}

#[tokio::test]
async fn a_history_may_begin_at_an_instant() {
    on_each_engine(async |store| {
        for (name, number, text) in [
            ("Patient/a", 1, "one"),
            ("Patient/a", 2, "two"),
            ("Observation/o", 1, "first"),
        ] {
            write(&store, vec![new_version(name, number, text)])
                .await
                .unwrap();
        }
        for (scope, expected) in [
            (
                HistoryScope::Instance(key("Patient/a")),
                vec!["Patient/a v2 two"],
            ),
            (
                HistoryScope::Type(resource_type("Patient")),
                vec!["Patient/a v2 two"],
            ),
            (HistoryScope::Type(resource_type("Observation")), vec![]),
            (HistoryScope::System, vec!["Patient/a v2 two"]),
        ] {
            let query = HistoryQuery {
                scope,
                since: Some(instant(2)),
                during: None,
                is_counted: true,
                count: 9,
                before: None,
            };
            let page = store.history(&query).await.unwrap();
            assert_eq!(all_shown(&page.versions), expected);
            assert_eq!(page.total, Some(expected.len() as u64));
        }
    })
    .await;
}

#[tokio::test]
async fn a_compartment_holds_what_names_its_patient() {
    on_each_engine(async |store| {
        let in_compartment = |name, number, text, patients: &[&str]| {
            let mut version = new_version(name, number, text);
            version.patients = patients
                .iter()
                .map(|id| LogicalId::parse(id).unwrap())
                .collect();
            version
        };
        let versions = vec![
            in_compartment("Patient/p", 1, "patient", &["p"]),
            in_compartment("Observation/1", 1, "one", &["p"]),
            in_compartment("Observation/2", 1, "two", &["p", "q"]),
            in_compartment("Observation/3", 1, "three", &["q"]),
            in_compartment("Observation/4", 1, "four", &["p"]),
        ];
        write(&store, versions).await.unwrap();
        write(
            &store,
            vec![in_compartment("Observation/1", 2, "moved", &["q"])],
        )
        .await
        .unwrap();
        write(&store, vec![in_compartment("Observation/4", 2, "", &[])])
            .await
            .unwrap();
        let query = |types: &[&str], since, after, count| CompartmentQuery {
            members: Members::Patient(LogicalId::parse("p").unwrap()),
            types: types
                .iter()
                .map(|name| ResourceType::parse(name).unwrap())
                .collect(),
            since,
            after,
            count,
        };
        let first = store.compartment(&query(&[], None, None, 1)).await.unwrap();
        assert_eq!(all_shown(&first), ["Patient/p v1 patient"]);
        let after = Some(first[0].row);
        let rest = query(&[], None, after, 10);
        let rest = store.compartment(&rest).await.unwrap();
        assert_eq!(all_shown(&rest), ["Observation/2 v1 two"]);
        let of_type = query(&["Observation", "Task"], None, None, 10);
        let of_type = store.compartment(&of_type).await.unwrap();
        assert_eq!(all_shown(&of_type), ["Observation/2 v1 two"]);
        let later = first[0].last_updated + chrono::Duration::days(1);
        let since = query(&[], Some(later), None, 10);
        assert!(store.compartment(&since).await.unwrap().is_empty());
    })
    .await;
}
