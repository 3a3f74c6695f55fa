//! Jobs: claimed once, fenced, ended once.

use std::time::Duration;

use baton::store::{AttemptEnd, Error, JobState, NewJob, Rows, Store};
use futures_util::future::join_all;

use super::{instant, key, new_version, script, version};
use crate::support::database::on_each_engine;

const KINDS: [&str; 1] = ["kind"];

fn new_job(id: &str) -> NewJob {
    NewJob {
        id: id.to_owned(),
        kind: "kind",
        parameters: format!("{{\"of\":\"{id}\"}}"),
        created: instant(0),
    }
}

async fn state(store: &Store, id: &str) -> Option<JobState> {
    store.job(id).await.unwrap().map(|job| job.state)
}

/// Writes a version through a store.
async fn write(store: &Store, name: &'static str) -> Result<(), Error> {
    let append = script(move |transaction| {
        transaction.append(Rows {
            versions: vec![new_version(name, 1, "one")],
            ..Rows::default()
        });
        Box::pin(async { Ok(()) })
    });
    store.transact(append).await
}

#[tokio::test]
async fn jobs_are_claimed_once_in_order() {
    on_each_engine(async |store| {
        for number in 0..8 {
            assert!(
                store
                    .submit_job(new_job(&number.to_string()))
                    .await
                    .unwrap()
            );
        }
        assert_eq!(store.claim_job(vec!["other"]).await.unwrap(), None);
        let claims = join_all((0..12).map(|_| store.claim_job(KINDS.to_vec()))).await;
        let mut claimed: Vec<String> = claims
            .into_iter()
            .filter_map(Result::unwrap)
            .map(|job| job.parameters)
            .collect();
        claimed.sort_unstable();
        let expected: Vec<String> = (0..8).map(|n| format!("{{\"of\":\"{n}\"}}")).collect();
        assert_eq!(claimed, expected);
        assert_eq!(state(&store, "0").await, Some(JobState::Running));
    })
    .await;
}

#[tokio::test]
async fn a_job_ends_once() {
    on_each_engine(async |store| {
        store.submit_job(new_job("a")).await.unwrap();
        let job = store.claim_job(KINDS.to_vec()).await.unwrap().unwrap();
        let done = |text: &str| AttemptEnd::Done(200, text.to_owned());
        store
            .end_attempt(job.lease.clone(), done("first"))
            .await
            .unwrap();
        store.end_attempt(job.lease, done("second")).await.unwrap();
        let job = store.job("a").await.unwrap().unwrap();
        assert_eq!((job.state, job.status), (JobState::Done, 200));
        assert_eq!(job.result.as_deref(), Some("first"));
        assert!(job.expires.is_some());
        assert_eq!(store.claim_job(KINDS.to_vec()).await.unwrap(), None);
        store.expire_jobs().await.unwrap();
        assert_eq!(
            state(&store, "a").await,
            Some(JobState::Done),
            "kept for a day"
        );
    })
    .await;
}

#[tokio::test]
async fn a_job_is_tried_again_after_its_pause() {
    on_each_engine(async |store| {
        store.submit_job(new_job("a")).await.unwrap();
        let job = store.claim_job(KINDS.to_vec()).await.unwrap().unwrap();
        let pause = Duration::from_hours(1);
        store
            .end_attempt(job.lease, AttemptEnd::Again(pause))
            .await
            .unwrap();
        assert_eq!(state(&store, "a").await, Some(JobState::Queued));
        assert_eq!(store.claim_job(KINDS.to_vec()).await.unwrap(), None);
        store.submit_job(new_job("b")).await.unwrap();
        let job = store.claim_job(KINDS.to_vec()).await.unwrap().unwrap();
        store
            .end_attempt(job.lease.clone(), AttemptEnd::Again(Duration::ZERO))
            .await
            .unwrap();
        let again = store.claim_job(KINDS.to_vec()).await.unwrap().unwrap();
        assert_eq!(again.lease.row, job.lease.row);
        assert_eq!(again.lease.attempt, job.lease.attempt + 1);
    })
    .await;
}

#[tokio::test]
async fn who_lost_a_job_writes_nothing() {
    on_each_engine(async |store| {
        store.submit_job(new_job("a")).await.unwrap();
        let job = store.claim_job(KINDS.to_vec()).await.unwrap().unwrap();
        let fenced = store.for_job(job.lease.clone());
        write(&fenced, "Patient/one").await.unwrap();
        assert!(store.cancel_job("a".to_owned()).await.unwrap());
        assert!(!store.cancel_job("a".to_owned()).await.unwrap());
        let refused = write(&fenced, "Patient/two").await;
        assert!(matches!(refused, Err(Error::NotHeld)), "{refused:?}");
        assert!(
            !store
                .set_job_progress(job.lease, "x".to_owned())
                .await
                .unwrap()
        );
        assert!(store.read(&key("Patient/one")).await.unwrap().is_some());
        assert!(store.read(&key("Patient/two")).await.unwrap().is_none());
        assert_eq!(store.job("a").await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_later_attempt_knows_what_the_steps_have_made() {
    on_each_engine(async |store| {
        store.submit_job(new_job("a")).await.unwrap();
        let job = store.claim_job(KINDS.to_vec()).await.unwrap().unwrap();
        let fenced = store.for_job(job.lease.clone());
        let steps = [("Patient/x", 3), ("Patient/y", 7)];
        let writes = steps.map(|(name, step)| {
            let store = fenced.for_step(step);
            async move { write(&store, name).await }
        });
        join_all(writes)
            .await
            .into_iter()
            .for_each(|result| result.unwrap());
        store
            .end_attempt(job.lease, AttemptEnd::Again(Duration::ZERO))
            .await
            .unwrap();
        let again = store.claim_job(KINDS.to_vec()).await.unwrap().unwrap();
        let fenced = store.for_job(again.lease.clone());
        let done = fenced.steps_done().await.unwrap();
        let shown: Vec<_> = done
            .iter()
            .map(|done| (done.key.to_string(), done.step))
            .collect();
        assert_eq!(shown, steps.map(|(name, step)| (name.to_owned(), step)));
        assert!(done.iter().all(|done| done.version == version(1)));
        assert_eq!(store.steps_done().await.unwrap(), []);
    })
    .await;
}

/// The answer of a job that is one transaction is kept by that transaction, or nothing is.
#[tokio::test]
async fn a_job_that_is_one_transaction_ends_with_it() {
    on_each_engine(async |store| {
        store.submit_job(new_job("a")).await.unwrap();
        let job = store.claim_job(KINDS.to_vec()).await.unwrap().unwrap();
        let fenced = store.for_job(job.lease.clone());
        let finish = |fails: bool| {
            fenced.transact(script(move |transaction| {
                Box::pin(async move {
                    assert!(transaction.is_whole_job());
                    transaction.finish_job(200, "result".to_owned()).await?;
                    if fails {
                        Err(Error::Corrupt("on purpose"))
                    } else {
                        Ok(())
                    }
                })
            }))
        };
        finish(true).await.unwrap_err();
        assert_eq!(state(&store, "a").await, Some(JobState::Running));
        finish(false).await.unwrap();
        assert_eq!(
            store.job("a").await.unwrap().unwrap().result.as_deref(),
            Some("result")
        );
        assert!(matches!(finish(false).await, Err(Error::NotHeld)));
    })
    .await;
}
