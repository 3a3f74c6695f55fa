//! The inbox of messages, visits, timers and the positions of engines.

use baton::store::{
    Error, MessageQuery, MessageState, NewMessage, Received, Rows, Store, StoredMessage, Timer,
    VisitMessage,
};
use futures_util::future::join_all;
use sha2::{Digest as _, Sha256};

use super::{instant, key, script};
use crate::support::database::on_each_engine;

pub(super) fn new_message(control_id: &str, content: &str) -> NewMessage {
    let bytes = format!("MSH|{control_id}|{content}").into_bytes();
    NewMessage {
        feed: "feed".into(),
        sender: "SENDER^HOSPITAL".to_owned(),
        control_id: control_id.to_owned(),
        hash: Sha256::digest(&bytes).into(),
        received: instant(0),
        event: "ADT^A01".to_owned(),
        bytes,
        lane: 0,
        state: MessageState::Received,
        acknowledgement: "AA".to_owned(),
        reason: String::new(),
    }
}

async fn receive(store: &Store, message: NewMessage) -> Received {
    let receive = script(move |transaction| {
        let message = message.clone();
        Box::pin(async move { transaction.receive(&message).await })
    });
    store.transact(receive).await.unwrap()
}

async fn received(store: &Store, message: NewMessage) -> StoredMessage {
    match receive(store, message).await {
        Received::New(stored) => stored,
        Received::Duplicate(_) => panic!("a duplicate"),
    }
}

#[tokio::test]
async fn a_message_is_received_once() {
    on_each_engine(async |store| {
        let first = received(&store, new_message("1", "a")).await;
        assert!(!first.control_id_reused);
        assert_eq!(
            receive(&store, new_message("1", "a")).await,
            Received::Duplicate(first.clone())
        );
        assert!(
            received(&store, new_message("1", "b"))
                .await
                .control_id_reused
        );
        assert!(
            !received(&store, new_message("2", "a"))
                .await
                .control_id_reused
        );
        assert_eq!(
            receive(&store, new_message("1", "a")).await,
            Received::Duplicate(first)
        );
        let other_feed = NewMessage {
            feed: "other".into(),
            ..new_message("1", "a")
        };
        assert!(!received(&store, other_feed).await.control_id_reused);
        for content in ["x", "y"] {
            assert!(
                !received(&store, new_message("", content))
                    .await
                    .control_id_reused
            );
        }
    })
    .await;
}

#[tokio::test]
async fn one_of_many_copies_of_a_message_is_new() {
    on_each_engine(async |store| {
        let copies = (0..32).map(|_| receive(&store, new_message("1", "a")));
        let new = join_all(copies).await;
        let new = new
            .iter()
            .filter(|received| matches!(received, Received::New(_)));
        assert_eq!(new.count(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_message_is_listed_and_counted_by_how_it_stands() {
    on_each_engine(async |store| {
        let mut rows = Vec::new();
        for control_id in ["1", "2", "3"] {
            rows.push(received(&store, new_message(control_id, "a")).await.row);
        }
        let second = rows[1];
        let set_aside = script(move |transaction| {
            Box::pin(async move {
                let before = transaction.message(second).await?;
                transaction.set_message_state(second, MessageState::Failed, "first");
                transaction.set_message_state(second, MessageState::SetAside, "no PID");
                Ok((
                    before,
                    transaction.message(second).await?,
                    transaction.message(-1).await?,
                ))
            })
        });
        let (before, after, none) = store.transact(set_aside).await.unwrap();
        assert_eq!(before.unwrap().attempts, 0);
        let after = after.unwrap();
        assert_eq!(
            (after.attempts, after.message.reason.as_str()),
            (2, "no PID")
        );
        assert_eq!(after.message.bytes, new_message("2", "a").bytes);
        let again = script(move |transaction| Box::pin(transaction.message(second)));
        assert_eq!(store.transact(again).await.unwrap(), Some(after));
        assert_eq!(none, None);

        let list = async |query: MessageQuery| -> Vec<i64> {
            let messages = store.messages(&query).await.unwrap();
            messages.iter().map(|message| message.row).collect()
        };
        let query = MessageQuery {
            count: 9,
            ..MessageQuery::default()
        };
        assert_eq!(list(query.clone()).await, rows);
        assert_eq!(
            list(MessageQuery {
                after: Some(rows[0]),
                ..query.clone()
            })
            .await,
            rows[1..]
        );
        let state = Some(MessageState::SetAside);
        assert_eq!(
            list(MessageQuery {
                state,
                ..query.clone()
            })
            .await,
            [second]
        );
        let feed = Some("other".to_owned());
        assert_eq!(list(MessageQuery { feed, ..query }).await, [0_i64; 0]);
        let counts = store.message_counts().await.unwrap();
        let feed = || "feed".to_owned();
        assert_eq!(
            counts,
            [
                (feed(), MessageState::Received, 2),
                (feed(), MessageState::SetAside, 1)
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn a_visit_has_its_messages_in_order_of_arrival() {
    on_each_engine(async |store| {
        let first = received(&store, new_message("1", "a")).await;
        let second = received(&store, new_message("2", "a")).await;
        let place = move |row| VisitMessage {
            visit: "visit".to_owned(),
            row,
        };
        let (later, earlier) = (second.row, first.row);
        let put = script(move |transaction| {
            Box::pin(async move {
                for row in [later, earlier, later] {
                    transaction.put_in_visit(place(row));
                }
                transaction.visit_messages("visit").await
            })
        });
        assert_eq!(store.transact(put).await.unwrap(), [first, second]);
    })
    .await;
}

fn timer(name: &str, second: i64) -> Timer {
    Timer {
        name: name.to_owned(),
        due: instant(second),
        subject: key("Task/t"),
        kind: "overdue".to_owned(),
    }
}

async fn set(store: &Store, timers: Vec<Timer>, cancelled: Vec<String>) -> Result<(), Error> {
    let set = script(move |transaction| {
        let (timers, timers_cancelled) = (timers.clone(), cancelled.clone());
        transaction.append(Rows {
            timers,
            timers_cancelled,
            ..Rows::default()
        });
        Box::pin(async { Ok(()) })
    });
    store.transact(set).await
}

#[tokio::test]
async fn timers_are_set_moved_cancelled_and_due_in_order() {
    on_each_engine(async |store| {
        assert_eq!(store.next_timer().await.unwrap(), None);
        set(
            &store,
            vec![timer("c", 30), timer("a", 20), timer("b", 20)],
            vec![],
        )
        .await
        .unwrap();
        let due = store.due_timers(instant(30), 9).await.unwrap();
        assert_eq!(due, [timer("a", 20), timer("b", 20), timer("c", 30)]);
        assert_eq!(
            store.due_timers(instant(20), 1).await.unwrap(),
            [timer("a", 20)]
        );
        set(
            &store,
            vec![timer("a", 40)],
            vec!["b".to_owned(), "a".to_owned()],
        )
        .await
        .unwrap();
        let due = store.due_timers(instant(99), 9).await.unwrap();
        assert_eq!(due, [timer("c", 30), timer("a", 40)]);
        assert_eq!(store.next_timer().await.unwrap(), Some(instant(30)));
    })
    .await;
}

#[tokio::test]
async fn a_timer_is_taken_once() {
    on_each_engine(async |store| {
        set(&store, vec![timer("a", 1)], vec![]).await.unwrap();
        let takes = (0..16)
            .map(|_| store.transact(script(|transaction| Box::pin(transaction.take_timer("a")))));
        let taken = join_all(takes).await;
        let taken: Vec<Timer> = taken.into_iter().filter_map(Result::unwrap).collect();
        assert_eq!(taken, [timer("a", 1)]);
        assert_eq!(store.next_timer().await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_timer_taken_by_a_work_that_fails_is_still_there() {
    on_each_engine(async |store| {
        set(&store, vec![timer("a", 1)], vec![]).await.unwrap();
        let fail = script(|transaction| {
            Box::pin(async {
                assert_eq!(transaction.take_timer("a").await?, Some(timer("a", 1)));
                assert_eq!(transaction.take_timer("a").await?, None);
                Err::<(), _>(Error::Corrupt("on purpose"))
            })
        });
        store.transact(fail).await.unwrap_err();
        assert_eq!(store.next_timer().await.unwrap(), Some(instant(1)));
    })
    .await;
}

#[tokio::test]
async fn an_engine_goes_on_where_it_was() {
    on_each_engine(async |store| {
        let advance = || {
            store.transact(script(|transaction| {
                Box::pin(async {
                    let position = transaction.position("engine").await?;
                    transaction.set_position("engine", position + 1).await?;
                    Ok(position)
                })
            }))
        };
        let mut positions: Vec<i64> = join_all((0..8).map(|_| advance()))
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        positions.sort_unstable();
        assert_eq!(positions, (0..8).collect::<Vec<_>>());
    })
    .await;
}
