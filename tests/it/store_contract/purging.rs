//! What is purged is gone from everywhere but the audit trail; what only refers to it stays.

use baton::search::value::{Reference, Target};
use baton::store::{CompartmentQuery, HistoryQuery, HistoryScope, Members, Purge, Store, Timer};

use super::together::by_code;
use super::{all_shown, code_parameter, id, instant, key, new_version, script, with_token, write};
use crate::support::database::on_each_engine;
use baton::store::Rows;

async fn purge(store: &Store, name: &'static str, what: Purge) -> u64 {
    let work = script(move |transaction| {
        Box::pin(async move { transaction.purge(&key(name), what).await })
    });
    store.transact(work).await.unwrap()
}

async fn history(store: &Store, scope: HistoryScope) -> (Vec<String>, u64) {
    let query = HistoryQuery {
        scope,
        since: None,
        during: None,
        is_counted: true,
        count: 10,
        before: None,
    };
    let page = store.history(&query).await.unwrap();
    (all_shown(&page.versions), page.total.unwrap())
}

fn in_compartment(name: &str, number: u64, code: &str) -> baton::store::NewVersion {
    let mut version = with_token(new_version(name, number, code), code);
    version.patients = vec![id("p")];
    version
}

#[tokio::test]
async fn a_purged_resource_leaves_nothing() {
    on_each_engine(async |store| {
        for version in [
            in_compartment("Observation/a", 1, "one"),
            in_compartment("Observation/b", 1, "other"),
            in_compartment("Observation/a", 2, "two"),
        ] {
            write(&store, vec![version]).await.unwrap();
        }
        let timer = Timer {
            name: "t".to_owned(),
            due: instant(9),
            subject: key("Observation/a"),
            kind: "overdue".to_owned(),
        };
        let set = script(move |transaction| {
            transaction.append(Rows {
                timers: vec![timer.clone()],
                ..Rows::default()
            });
            Box::pin(async { Ok(()) })
        });
        store.transact(set).await.unwrap();
        assert_eq!(purge(&store, "Observation/a", Purge::Everything).await, 2);
        assert!(store.read(&key("Observation/a")).await.unwrap().is_none());
        let first = store.vread(&key("Observation/a"), super::version(1)).await;
        assert!(first.unwrap().is_none());
        for code in ["one", "two"] {
            let found = store.search(&by_code("Observation", code)).await.unwrap();
            assert!(found.matches.is_empty(), "{code}");
        }
        let compartment = CompartmentQuery {
            members: Members::Patient(id("p")),
            types: Vec::new(),
            since: None,
            after: None,
            count: 10,
        };
        let members = store.compartment(&compartment).await.unwrap();
        assert_eq!(all_shown(&members), ["Observation/b v1 other"]);
        let (versions, total) = history(&store, HistoryScope::System).await;
        assert_eq!(versions, ["Observation/b v1 other"]);
        assert_eq!(total, 1);
        let changes = super::changes(&store, 1).await;
        assert_eq!(changes.len(), 1);
        assert_eq!(store.next_timer().await.unwrap(), None);
        // it may be made anew, and nothing of before is seen
        write(&store, vec![in_compartment("Observation/a", 1, "new")])
            .await
            .unwrap();
        let (versions, total) = history(&store, HistoryScope::Instance(key("Observation/a"))).await;
        assert_eq!((versions.len(), total), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn a_purged_history_leaves_the_current_version() {
    on_each_engine(async |store| {
        for number in 1..4 {
            let version = in_compartment("Observation/a", number, &format!("v{number}"));
            write(&store, vec![version]).await.unwrap();
        }
        assert_eq!(purge(&store, "Observation/a", Purge::History).await, 2);
        assert_eq!(purge(&store, "Observation/a", Purge::History).await, 0);
        assert_eq!(purge(&store, "Observation/x", Purge::Everything).await, 0);
        let found = store.search(&by_code("Observation", "v3")).await.unwrap();
        assert_eq!(all_shown(&found.matches), ["Observation/a v3 v3"]);
        let (versions, total) = history(&store, HistoryScope::Instance(key("Observation/a"))).await;
        assert_eq!(versions, ["Observation/a v3 v3"]);
        assert_eq!(total, 1);
        let next = in_compartment("Observation/a", 4, "v4");
        write(&store, vec![next]).await.unwrap();
        let (_, total) = history(&store, HistoryScope::System).await;
        assert_eq!(total, 2);
    })
    .await;
}

#[tokio::test]
async fn who_refers_to_a_resource_is_found() {
    on_each_engine(async |store| {
        let parameter = code_parameter("Observation");
        let mut referring = new_version("Observation/a", 1, "one");
        referring.values.references.push(Reference {
            parameter,
            target: Target::Local(super::resource_type("Patient"), id("p")),
        });
        write(&store, vec![new_version("Patient/p", 1, "p"), referring])
            .await
            .unwrap();
        let find = |name: &'static str, parameters: Vec<_>| {
            script(move |transaction| {
                let parameters = parameters.clone();
                Box::pin(async move { transaction.referring(&key(name), &parameters).await })
            })
        };
        let by = |name, parameters| store.transact(find(name, parameters));
        let found = by("Patient/p", vec![parameter]).await.unwrap();
        assert_eq!(found, Some(key("Observation/a")));
        assert_eq!(by("Patient/p", Vec::new()).await.unwrap(), None);
        assert_eq!(by("Patient/q", vec![parameter]).await.unwrap(), None);
        let members = CompartmentQuery {
            members: Members::Referring {
                target: key("Patient/p"),
                parameters: vec![parameter],
            },
            types: Vec::new(),
            since: None,
            after: None,
            count: 10,
        };
        let members = store.compartment(&members).await.unwrap();
        assert_eq!(all_shown(&members), ["Observation/a v1 one"]);
    })
    .await;
}
