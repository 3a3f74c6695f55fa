//! Several processes on one database of PostgreSQL, and one on a file of SQLite.

use std::time::{Duration, Instant};

use baton::store::{Claim, Error, ReadPosition, SetPosition, Store, TakeOrphans};

use sqlx::{Connection as _, PgConnection};

use super::inbox::new_message;
use super::{eventually, key, new_version, script, write};
use crate::support::database::{on_each_url, on_postgres_url};

const ORPHANS: TakeOrphans = TakeOrphans {
    count: 10,
    is_thorough: false,
};

/// A store of another process that says nothing any more, as if it were killed.
async fn killed(store: Store) {
    // Dropping it ends its tasks; nothing is said to others.
    drop(store);
    tokio::task::yield_now().await;
}

#[tokio::test]
async fn a_file_serves_one_process() {
    on_each_url(async |url| {
        let first = Store::open(&url).await.unwrap();
        let second = Store::open(&url).await;
        if url.starts_with("sqlite:") {
            let refused = second.unwrap_err();
            assert!(matches!(refused, Error::InUse));
            assert!(
                refused
                    .to_string()
                    .contains("SQLite serves one Baton at a time")
            );
            write(&first, vec![new_version("Patient/a", 1, "one")])
                .await
                .unwrap();
            let reader = Store::open_to_read(&url).await.unwrap();
            assert!(reader.read(&key("Patient/a")).await.unwrap().is_some());
            let refused = write(&reader, vec![new_version("Patient/b", 1, "one")]).await;
            assert!(matches!(refused, Err(Error::Closed)), "{refused:?}");
            reader.close().await;
        } else {
            second.unwrap().close().await;
        }
        first.close().await;
        Store::open(&url).await.unwrap().close().await;
    })
    .await;
}

#[tokio::test]
async fn a_lease_goes_over_when_its_process_ends() {
    on_postgres_url(async |url| {
        let first = Store::open(&url).await.unwrap();
        let second = Store::open(&url).await.unwrap();
        let lease = first.hold("engine").await.unwrap().unwrap();
        assert_eq!(first.hold("engine").await.unwrap(), Some(lease.clone()));
        assert_eq!(second.hold("engine").await.unwrap(), None);
        first
            .under(lease)
            .transact(SetPosition("p".into(), 5))
            .await
            .unwrap();
        first.close().await;
        // An orderly end is known at once.
        let lease = second.hold("engine").await.unwrap().unwrap();
        assert_eq!(lease.token, 2);
        assert_eq!(second.transact(ReadPosition("p")).await.unwrap(), 5);
        second.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_process_held_to_be_dead_writes_nothing_under_its_lease() {
    on_postgres_url(async |url| {
        let first = Store::open(&url).await.unwrap();
        let second = Store::open(&url).await.unwrap();
        let lease = first.hold("engine").await.unwrap().unwrap();
        let fenced = first.under(lease);
        let mut admin = PgConnection::connect(&url).await.unwrap();
        fenced.transact(SetPosition("p".into(), 1)).await.unwrap();
        // As if the first had been stopped for a while; it goes on a moment later.
        while second.hold("engine").await.unwrap().is_none() {
            sqlx::query("UPDATE process SET expires = 0")
                .execute(&mut admin)
                .await
                .unwrap();
        }
        let refused = fenced.transact(SetPosition("p".into(), 2)).await;
        assert!(matches!(refused, Err(Error::NotHeld)), "{refused:?}");
        assert_eq!(second.transact(ReadPosition("p")).await.unwrap(), 1);
        admin.close().await.unwrap();
        first.close().await;
        second.close().await;
    })
    .await;
}

#[tokio::test]
async fn messages_of_a_dead_process_are_taken_over_once() {
    on_postgres_url(async |url| {
        let first = Store::open(&url).await.unwrap();
        let second = Store::open(&url).await.unwrap();
        let third = Store::open(&url).await.unwrap();
        let mut rows = Vec::new();
        for number in 0..5 {
            let message = new_message(&number.to_string(), "a");
            let receive = script(move |transaction| {
                let message = message.clone();
                Box::pin(async move { transaction.receive(&message).await })
            });
            match first.transact(receive).await.unwrap() {
                baton::store::Received::New(stored) => rows.push((stored.row, 0)),
                baton::store::Received::Duplicate(_) => panic!("a duplicate"),
            }
        }
        assert_eq!(second.transact(ORPHANS).await.unwrap(), []);
        killed(first).await;
        let (second, third) = (&second, &third);
        let taken = eventually(async || {
            let (second, third) =
                futures_util::future::join(second.transact(ORPHANS), third.transact(ORPHANS)).await;
            let mut taken = second.unwrap();
            taken.extend(third.unwrap());
            taken.sort_unstable();
            (!taken.is_empty()).then_some(taken)
        })
        .await;
        assert_eq!(taken, rows, "each by one of them");
        second.close().await;
        third.close().await;
    })
    .await;
}

/// What waits for a lock longer than the configuration allows fails, and is not tried again.
#[tokio::test]
async fn waiting_has_a_limit() {
    on_postgres_url(async |url| {
        let limits = baton::config::Store {
            lock_timeout_secs: 1,
            ..baton::config::Store::default()
        };
        let store = Store::open_with(&url, &limits).await.unwrap();
        let claim = |held: Duration| {
            store.transact(script(move |transaction| {
                Box::pin(async move {
                    transaction.claim(&[Claim("one".to_owned())]).await?;
                    tokio::time::sleep(held).await;
                    Ok(())
                })
            }))
        };
        let begun = Instant::now();
        let late = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            claim(Duration::ZERO).await
        };
        let (first, late) = futures_util::future::join(claim(Duration::from_secs(4)), late).await;
        first.unwrap();
        assert!(matches!(late, Err(Error::Database(_))), "{late:?}");
        assert!(begun.elapsed() < Duration::from_secs(30));
        store.close().await;
    })
    .await;
}

/// Prints how long a change takes to wake another process.
#[tokio::test]
async fn a_change_wakes_other_processes_soon() {
    const CHANGES: usize = 40;
    on_postgres_url(async |url| {
        let first = Store::open(&url).await.unwrap();
        let second = Store::open(&url).await.unwrap();
        let mut changed = second.changed();
        tokio::time::sleep(Duration::from_millis(300)).await; // it listens by now
        let mut waited = Vec::new();
        for number in 0..CHANGES {
            tokio::time::sleep(Duration::from_millis(70)).await;
            changed.mark_unchanged();
            let name = format!("Patient/p{number}");
            write(&first, vec![new_version(&name, 1, "one")])
                .await
                .unwrap();
            let begun = Instant::now();
            tokio::time::timeout(Duration::from_secs(10), changed.changed())
                .await
                .unwrap()
                .unwrap();
            waited.push(begun.elapsed());
        }
        waited.sort_unstable();
        let at = |part: usize| waited[CHANGES * part / 100];
        println!("woken after {:?} (median), {:?} (95 %)", at(50), at(95));
        assert!(
            at(50) < Duration::from_millis(500),
            "notices, not polling: {waited:?}"
        );
        first.close().await;
        second.close().await;
    })
    .await;
}
