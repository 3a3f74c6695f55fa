//! Works that meet: rollback, claims, group commit, races.

use std::sync::Arc;

use baton::search::expression::{Criterion, Filter, Search, TokenCriterion, Total};
use baton::store::{
    AuditRow, Claim, Error, HistoryQuery, HistoryScope, MessageState, Received, Rows, Store, Timer,
    VisitMessage,
};
use futures_util::future::{join, join_all};
use sqlx::{Connection as _, SqliteConnection};

use super::inbox::new_message;
use super::{
    changes, code_parameter, instant, key, new_version, resource_type, script, version, with_token,
    write,
};
use crate::support::database::on_each_engine;

/// The search for a code of a type.
pub(super) fn by_code(name: &str, code: &str) -> Search {
    Search {
        types: resource_type(name).into(),
        filters: vec![Filter::Any {
            parameter: code_parameter(name),
            criteria: vec![Criterion::Token(TokenCriterion::SystemAndCode(
                "urn:test".to_owned(),
                code.to_owned(),
            ))],
            negated: false,
        }],
        sort: Vec::new(),
        count: 100,
        after: None,
        includes: Vec::new(),
        revincludes: Vec::new(),
        total: Total::None,
    }
}

async fn count_all(store: &Store) -> u64 {
    let query = HistoryQuery {
        scope: HistoryScope::System,
        since: None,
        count: 1,
        before: None,
    };
    store.history(&query).await.unwrap().total
}

#[tokio::test]
async fn a_work_that_fails_leaves_nothing() {
    on_each_engine(async |store| {
        let fail = script(|transaction| {
            Box::pin(async move {
                let row = match transaction.receive(&new_message("1", "a")).await? {
                    Received::New(stored) | Received::Duplicate(stored) => stored.row,
                };
                transaction.put_in_visit(VisitMessage {
                    visit: "v".to_owned(),
                    row,
                });
                transaction.set_message_state(row, MessageState::Processed, "");
                transaction.set_position("engine", 7).await?;
                transaction.append(Rows {
                    versions: vec![with_token(new_version("Patient/a", 1, "one"), "x")],
                    audit: vec![AuditRow {
                        at: instant(1),
                        caller: "test".into(),
                        interaction: "create",
                        key: key("Patient/a"),
                        version: version(1),
                    }],
                    timers: vec![Timer {
                        name: "t".to_owned(),
                        due: instant(1),
                        subject: key("Task/t"),
                        kind: "overdue".to_owned(),
                    }],
                    timers_cancelled: Vec::new(),
                });
                assert_eq!(
                    transaction
                        .search(&by_code("Patient", "x"))
                        .await?
                        .matches
                        .len(),
                    1
                );
                transaction.append(Rows {
                    versions: vec![new_version("Patient/b", 1, "two")],
                    ..Rows::default()
                });
                Err::<(), _>(Error::Corrupt("on purpose"))
            })
        });
        let failed = store.transact(fail).await;
        assert!(
            matches!(failed, Err(Error::Corrupt("on purpose"))),
            "{failed:?}"
        );
        assert_eq!(store.read(&key("Patient/a")).await.unwrap(), None);
        assert_eq!(store.read(&key("Patient/b")).await.unwrap(), None);
        assert!(
            store
                .search(&by_code("Patient", "x"))
                .await
                .unwrap()
                .matches
                .is_empty()
        );
        assert!(store.changes_after(0, 9).await.unwrap().is_empty());
        assert!(store.audit_after(0, 9).await.unwrap().is_empty());
        assert_eq!(store.next_timer().await.unwrap(), None);
        assert!(store.message_counts().await.unwrap().is_empty());
        let look = script(|transaction| {
            Box::pin(async {
                Ok((
                    transaction.position("engine").await?,
                    transaction.visit_messages("v").await?,
                ))
            })
        });
        assert_eq!(store.transact(look).await.unwrap(), (0, Vec::new()));
    })
    .await;
}

#[tokio::test]
async fn sixty_four_conditional_creates_make_one_resource() {
    on_each_engine(async |store| {
        let works = (0..64).map(|number| {
            let create = script(move |transaction| {
                Box::pin(async move {
                    transaction
                        .claim(&[Claim("Patient?code=urn:test|x".to_owned())])
                        .await?;
                    let found = transaction.search(&by_code("Patient", "x")).await?;
                    if !found.matches.is_empty() {
                        return Ok(false);
                    }
                    let version = new_version(&format!("Patient/p{number}"), 1, "one");
                    let versions = vec![with_token(version, "x")];
                    transaction.append(Rows {
                        versions,
                        ..Rows::default()
                    });
                    Ok(true)
                })
            });
            store.transact(create)
        });
        let created: Vec<bool> = join_all(works)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(created.iter().filter(|created| **created).count(), 1);
        assert_eq!(
            store
                .search(&by_code("Patient", "x"))
                .await
                .unwrap()
                .matches
                .len(),
            1
        );
    })
    .await;
}

/// Claims `first`, pauses, claims `second`, creates a patient.
async fn claim_twice(store: &Store, number: i32, first: &[&str], second: &[&str]) {
    let claims = |names: &[&str]| -> Vec<Claim> {
        names.iter().map(|name| Claim((*name).to_owned())).collect()
    };
    let (first, second) = (claims(first), claims(second));
    let claim = script(move |transaction| {
        let (first, second) = (first.clone(), second.clone());
        Box::pin(async move {
            transaction.claim(&first).await?;
            transaction.read(&[key("Patient/none")]).await?;
            transaction.claim(&second).await?;
            let version = new_version(&format!("Patient/p{number}"), 1, "one");
            transaction.append(Rows {
                versions: vec![version],
                ..Rows::default()
            });
            Ok(())
        })
    });
    store.transact(claim).await.unwrap();
}

#[tokio::test]
async fn claims_are_taken_in_one_order() {
    on_each_engine(async |store| {
        let works = (0..32).map(|number| {
            let names = if number % 2 == 0 {
                ["a", "b"]
            } else {
                ["b", "a"]
            };
            let store = &store;
            async move { claim_twice(store, number, &names, &[]).await }
        });
        join_all(works).await;
        assert_eq!(count_all(&store).await, 32);
    })
    .await;
}

#[tokio::test]
async fn works_that_wait_for_each_other_are_tried_again() {
    on_each_engine(async |store| {
        let forth = claim_twice(&store, 1, &["a"], &["b"]);
        let back = claim_twice(&store, 2, &["b"], &["a"]);
        join(forth, back).await;
        assert_eq!(count_all(&store).await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_failing_work_does_not_hurt_its_neighbours() {
    on_each_engine(async |store| {
        write(&store, vec![new_version("Patient/taken", 1, "first")])
            .await
            .unwrap();
        let works = (0..60).map(|number| {
            let one = script(move |transaction| {
                Box::pin(async move {
                    let name = match number % 6 {
                        0 => "Patient/taken".to_owned(), // fails when it is written
                        _ => format!("Patient/p{number}"),
                    };
                    let version = with_token(new_version(&name, 1, "one"), "x");
                    transaction.append(Rows {
                        versions: vec![version],
                        ..Rows::default()
                    });
                    match number % 6 {
                        1 => return Err(Error::Corrupt("on purpose")),
                        2 => {
                            transaction
                                .receive(&new_message(&number.to_string(), "a"))
                                .await?;
                        }
                        3 => {
                            transaction
                                .receive(&new_message(&number.to_string(), "a"))
                                .await?;
                            return Err(Error::Corrupt("on purpose"));
                        }
                        _ => {}
                    }
                    Ok(())
                })
            });
            store.transact(one)
        });
        let results = join_all(works).await;
        for (number, result) in results.iter().enumerate() {
            let is_kept = matches!(number % 6, 2 | 4 | 5);
            assert_eq!(result.is_ok(), is_kept, "work {number}: {result:?}");
            let stored = store
                .read(&key(&format!("Patient/p{number}")))
                .await
                .unwrap();
            assert_eq!(stored.is_some(), is_kept, "work {number}");
        }
        assert_eq!(
            store
                .search(&by_code("Patient", "x"))
                .await
                .unwrap()
                .matches
                .len(),
            30
        );
        assert_eq!(count_all(&store).await, 31);
        let messages: u64 = store
            .message_counts()
            .await
            .unwrap()
            .iter()
            .map(|(_, _, n)| n)
            .sum();
        assert_eq!(messages, 10);
    })
    .await;
}

#[tokio::test]
async fn updates_of_one_resource_follow_each_other() {
    on_each_engine(async |store| {
        write(&store, vec![new_version("Patient/a", 1, "one")])
            .await
            .unwrap();
        let works = (0..40).map(|_| {
            let update = script(|transaction| {
                Box::pin(async {
                    let stored = transaction.read(&[key("Patient/a")]).await?;
                    let next = stored[0].as_ref().unwrap().version.number() + 1;
                    let version = with_token(new_version("Patient/a", next, "more"), "x");
                    transaction.append(Rows {
                        versions: vec![version],
                        ..Rows::default()
                    });
                    Ok(())
                })
            });
            store.transact(update)
        });
        for result in join_all(works).await {
            result.unwrap();
        }
        let stored = store.read(&key("Patient/a")).await.unwrap().unwrap();
        assert_eq!(stored.version, version(41));
        let changes = changes(&store, 41).await;
        let numbers: Vec<u64> = changes
            .iter()
            .map(|change| change.version.number())
            .collect();
        assert_eq!(numbers, (1..=41).collect::<Vec<_>>());
        assert_eq!(
            store
                .search(&by_code("Patient", "x"))
                .await
                .unwrap()
                .matches
                .len(),
            1
        );
    })
    .await;
}

#[tokio::test]
async fn creates_of_one_id_make_one_create() {
    on_each_engine(async |store| {
        let works = (0..32).map(|_| {
            let put = script(|transaction| {
                Box::pin(async {
                    let stored = transaction.read(&[key("Patient/a")]).await?;
                    let next = stored[0]
                        .as_ref()
                        .map_or(1, |stored| stored.version.number() + 1);
                    let version = new_version("Patient/a", next, "text");
                    transaction.append(Rows {
                        versions: vec![version],
                        ..Rows::default()
                    });
                    Ok(next == 1)
                })
            });
            store.transact(put)
        });
        let created: Vec<bool> = join_all(works)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(created.iter().filter(|created| **created).count(), 1);
        let stored = store.read(&key("Patient/a")).await.unwrap().unwrap();
        assert_eq!(stored.version, version(32));
    })
    .await;
}

#[tokio::test]
async fn a_work_that_panics_does_so_where_it_was_asked_for() {
    on_each_engine(async |store| {
        let panics = store.clone();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let work = script(|_| Box::pin(async { panic!("on purpose") }));
            panics.transact::<_>(work).await.map(|(): ()| ())
        });
        assert!(tasks.join_next().await.unwrap().unwrap_err().is_panic());
        write(&store, vec![new_version("Patient/a", 1, "one")])
            .await
            .unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_error_that_a_work_overlooks_still_undoes_it() {
    on_each_engine(async |store| {
        let overlook = script(|transaction| {
            Box::pin(async {
                let versions = vec![
                    new_version("Patient/a", 1, "one"),
                    new_version("Patient/a", 9, "nine"),
                ];
                transaction.append(Rows {
                    versions,
                    ..Rows::default()
                });
                let _ = transaction.search(&by_code("Patient", "x")).await;
                Ok(())
            })
        });
        store.transact(overlook).await.unwrap_err();
        assert_eq!(store.read(&key("Patient/a")).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_closed_store_refuses_and_a_reopened_one_remembers() {
    let directory = tempfile::tempdir().unwrap();
    let url: Arc<str> = format!("sqlite:{}", directory.path().join("store.db").display()).into();
    let store = Store::open(&url).await.unwrap();
    write(
        &store,
        vec![with_token(new_version("Patient/a", 1, "one"), "x")],
    )
    .await
    .unwrap();
    let first = store.read(&key("Patient/a")).await.unwrap().unwrap();
    store.close().await;
    let refused = write(&store, vec![new_version("Patient/b", 1, "two")]).await;
    assert!(matches!(refused, Err(Error::Closed)), "{refused:?}");

    let store = Store::open(&url).await.unwrap();
    write(
        &store,
        vec![with_token(new_version("Patient/b", 1, "two"), "x")],
    )
    .await
    .unwrap();
    let second = store.read(&key("Patient/b")).await.unwrap().unwrap();
    assert!(second.row > first.row);
    let changes = store.changes_after(0, 9).await.unwrap();
    assert!(changes[0].sequence < changes[1].sequence);
    store.close().await;
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("store.db").display());
    Store::open(&url).await.unwrap().close().await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 4")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let refused = Store::open(&url).await;
    assert!(
        matches!(refused, Err(Error::NewerSchema { found: 9999, .. })),
        "{refused:?}"
    );
}
