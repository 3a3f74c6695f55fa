//! Resources that are written in one transaction. Where one of them is refused there, each is
//! written alone, so that one does not keep others out.

use std::sync::Arc;

use crate::error::Error;
use crate::interaction::Context;
use crate::interaction::write::{self, Change, Outcome, Prepared, Written};
use crate::store::{Transaction, Work};

/// Resources of one transaction.
const CHANGES_MAX: usize = 500;
/// What the change feed names as the reason.
const CAUSE: &str = "import";

/// A change, and where it stands in the input.
pub(super) struct Candidate {
    /// File and line.
    pub(super) place: String,
    /// The change.
    pub(super) change: Change,
}

/// Changes that are written next.
pub(super) struct Batch {
    keep_meta: bool,
    candidates: Vec<Candidate>,
}

/// What became of them.
#[derive(Default)]
pub(super) struct Done {
    pub(super) written: u64,
    pub(super) unchanged: u64,
    /// Where each stands, and why.
    pub(super) refused: Vec<(String, Error)>,
}

impl Batch {
    /// No changes yet. Those to come keep their version and instant, or get new ones.
    pub(super) fn new(keep_meta: bool) -> Self {
        Self {
            keep_meta,
            candidates: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, candidate: Candidate) {
        self.candidates.push(candidate);
    }

    pub(super) fn is_full(&self) -> bool {
        self.candidates.len() >= CHANGES_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.candidates.is_empty()
    }

    /// Writes them; there are none afterwards.
    pub(super) async fn write(&mut self, context: &Context) -> Done {
        let mut done = Done::default();
        let candidates = std::mem::take(&mut self.candidates);
        if candidates.is_empty() {
            return done;
        }
        let (places, prepared) = prepare(context, candidates, &mut done).await;
        let work = |changes: Vec<Arc<Prepared>>| Put {
            context: context.clone(),
            changes,
            keep_meta: self.keep_meta,
        };
        let store = &context.services.store;
        if let Ok(written) = store.transact(work(prepared.clone())).await {
            done.count(&written);
            return done;
        }
        for (place, change) in places.into_iter().zip(prepared) {
            match store.transact(work(vec![change])).await {
                Ok(written) => done.count(&written),
                Err(error) => done.refused.push((place, error)),
            }
        }
        done
    }
}

impl Done {
    fn count(&mut self, written: &[Written]) {
        for written in written {
            match written.outcome {
                Outcome::Unchanged | Outcome::Absent | Outcome::Existing => self.unchanged += 1,
                Outcome::Created | Outcome::Updated | Outcome::Deleted => self.written += 1,
            }
        }
    }
}

/// Validates and indexes changes beside the async workers.
async fn prepare(
    context: &Context,
    candidates: Vec<Candidate>,
    done: &mut Done,
) -> (Vec<String>, Vec<Arc<Prepared>>) {
    let own = context.clone();
    let prepared = tokio::task::spawn_blocking(move || {
        let each = candidates.into_iter().map(|candidate| {
            let prepared = write::prepare(&own, candidate.change);
            (candidate.place, prepared)
        });
        each.collect::<Vec<_>>()
    });
    let (mut places, mut good) = (Vec::new(), Vec::new());
    for (place, prepared) in prepared.await.unwrap_or_default() {
        match prepared {
            Ok(prepared) => {
                places.push(place);
                good.push(Arc::new(prepared));
            }
            Err(error) => done.refused.push((place, error)),
        }
    }
    (places, good)
}

struct Put {
    context: Context,
    changes: Vec<Arc<Prepared>>,
    keep_meta: bool,
}

impl Work for Put {
    type Output = Vec<Written>;
    type Error = Error;

    async fn run<'a>(
        &'a mut self,
        transaction: &'a mut Transaction<'_>,
    ) -> Result<Vec<Written>, Error> {
        let changes: Vec<&Prepared> = self.changes.iter().map(Arc::as_ref).collect();
        let cause: Arc<str> = CAUSE.into();
        if self.keep_meta {
            write::restore(transaction, &self.context, &changes, &cause).await
        } else {
            write::apply(transaction, &self.context, &changes, &cause).await
        }
    }
}
