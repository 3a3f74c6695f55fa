//! The change feed and the audit trail.

use std::collections::BTreeSet;
use std::time::Duration;

use baton::store::{AuditRow, ChangeKind, Error, Rows};
use futures_util::future::{join, join_all};

use super::{changes, eventually, instant, key, new_version, script, version, write};
use crate::support::database::on_each_engine;

#[tokio::test]
async fn changes_come_in_the_order_of_their_commits() {
    on_each_engine(async |store| {
        let mut changed = store.changed();
        changed.mark_unchanged();
        for (name, number, text) in [
            ("Patient/a", 1, "one"),
            ("Patient/a", 2, "two"),
            ("Patient/a", 3, ""),
        ] {
            write(&store, vec![new_version(name, number, text)])
                .await
                .unwrap();
        }
        assert!(changed.has_changed().unwrap());
        changes(&store, 3).await;
        let changes = store.changes_after(0, 2).await.unwrap();
        let kinds: Vec<ChangeKind> = changes.iter().map(|change| change.kind).collect();
        assert_eq!(kinds, [ChangeKind::Create, ChangeKind::Update]);
        assert_eq!(changes[1].key, key("Patient/a"));
        assert_eq!(changes[1].version, version(2));
        assert_eq!(changes[1].at, instant(2));
        assert_eq!(changes[1].cause, "test");
        let rest = store.changes_after(changes[1].sequence, 9).await.unwrap();
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].kind, ChangeKind::Delete);
        assert!(
            store
                .changes_after(rest[0].sequence, 9)
                .await
                .unwrap()
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn a_work_that_changes_nothing_does_not_tick() {
    on_each_engine(async |store| {
        let mut changed = store.changed();
        changed.mark_unchanged();
        let look = script(|transaction| {
            Box::pin(async { transaction.read(&[key("Patient/a")]).await.map(|_| ()) })
        });
        store.transact(look).await.unwrap();
        assert!(!changed.has_changed().unwrap());
    })
    .await;
}

/// One reader follows the feed while writers, some of them slow, commit out of order.
#[tokio::test]
async fn a_reader_of_the_feed_misses_nothing() {
    const WRITERS: usize = 24;
    on_each_engine(async |store| {
        let writes = (0..WRITERS).map(|number| {
            let slow = script(move |transaction| {
                Box::pin(async move {
                    // takes its place in the order of transactions long before it commits
                    transaction
                        .set_position(&format!("engine {number}"), 1)
                        .await?;
                    let name = format!("Patient/p{number}");
                    let versions = vec![new_version(&name, 1, "one")];
                    transaction.append(Rows {
                        versions,
                        ..Rows::default()
                    });
                    tokio::time::sleep(Duration::from_millis((number as u64 * 7) % 20)).await;
                    if number % 5 == 0 {
                        Err(Error::Corrupt("on purpose"))
                    } else {
                        Ok(())
                    }
                })
            });
            store.transact(slow)
        });
        let expected = WRITERS - WRITERS.div_ceil(5);
        let follow = async {
            let mut position = 0;
            let mut seen = BTreeSet::new();
            while seen.len() < expected {
                for change in store.changes_after(position, 3).await.unwrap() {
                    assert!(change.sequence > position);
                    position = change.sequence;
                    assert!(seen.insert(change.key));
                }
                tokio::task::yield_now().await;
            }
            seen.len()
        };
        let (results, seen) =
            tokio::time::timeout(Duration::from_secs(30), join(join_all(writes), follow))
                .await
                .unwrap();
        assert_eq!(
            results.iter().filter(|result| result.is_ok()).count(),
            expected
        );
        assert_eq!(seen, expected);
    })
    .await;
}

#[tokio::test]
async fn the_audit_trail_is_read_in_order() {
    on_each_engine(async |store| {
        let row = |interaction, number| AuditRow {
            at: instant(5),
            caller: "caller".into(),
            interaction,
            key: key("Patient/a"),
            version: version(number),
        };
        let audit = vec![row("create", 1), row("update", 2)];
        let append = script(move |transaction| {
            transaction.append(Rows {
                audit: audit.clone(),
                ..Rows::default()
            });
            Box::pin(async { Ok(()) })
        });
        store.transact(append).await.unwrap();
        let first = eventually(async || {
            let audit = store.audit_after(0, 1).await.unwrap();
            (!audit.is_empty()).then_some(audit)
        })
        .await;
        assert_eq!(
            (first[0].interaction.as_str(), first[0].caller.as_str()),
            ("create", "caller")
        );
        let rest = store.audit_after(first[0].row, 9).await.unwrap();
        assert_eq!(rest.len(), 1);
        assert_eq!(
            (rest[0].interaction.as_str(), rest[0].version),
            ("update", version(2))
        );
    })
    .await;
}
