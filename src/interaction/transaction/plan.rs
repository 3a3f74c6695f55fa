//! A transaction in one commit: conditions under claims, order of application, reads at the end.

use std::collections::HashMap;
use std::sync::Arc;

use fhir_model::issue::IssueType;

use crate::error::Error;
use crate::interaction::invalid;
use crate::interaction::transaction::answer::Answer;
use crate::interaction::transaction::draft::{Draft, Resolved};
use crate::interaction::transaction::read::{self, Budget, Source};
use crate::interaction::transaction::request::Verb;
use crate::interaction::write::{self, Outcome, Prepared, Written};
use crate::search::query::Handling;
use crate::store::{Transaction, Work};

/// A transaction, ready to be run (again, if the store asks for it).
pub(super) struct Plan {
    draft: Arc<Draft>,
    resolved: Resolved,
    /// In the order of application, with the entry of each.
    prepared: Vec<(usize, Prepared)>,
    handling: Handling,
}

/// How a run ended.
pub(super) enum Ran {
    /// It is done.
    Through(Vec<Answer>),
    /// Nothing is done: its conditions mean this by now, and it has to be drawn up anew.
    Otherwise(Resolved),
}

impl Work for Plan {
    type Output = Ran;
    type Error = Error;

    async fn run<'a>(&'a mut self, transaction: &'a mut Transaction<'_>) -> Result<Ran, Error> {
        transaction.claim(&self.draft.claims()).await?;
        let mut source = Source::Transaction(transaction);
        let resolved = self.draft.resolve(&mut source).await?;
        if resolved != self.resolved {
            return Ok(Ran::Otherwise(resolved));
        }
        self.apply(transaction).await.map(Ran::Through)
    }
}

impl Plan {
    /// A plan of what was drawn up, where conditions single out what is `resolved`.
    pub(super) fn new(
        draft: Arc<Draft>,
        resolved: Resolved,
        prepared: Vec<(usize, Prepared)>,
        handling: Handling,
    ) -> Self {
        Self {
            draft,
            resolved,
            prepared,
            handling,
        }
    }

    async fn apply(&self, transaction: &mut Transaction<'_>) -> Result<Vec<Answer>, Error> {
        let cause: Arc<str> = "transaction".into();
        let changes: Vec<&Prepared> = self.prepared.iter().map(|(_, ready)| ready).collect();
        let written = write::apply(transaction, &self.draft.context, &changes, &cause).await?;
        self.written_once(&written)?;
        let mut answers: Vec<Option<Answer>> = vec![None; self.draft.requests.len()];
        for ((index, _), written) in self.prepared.iter().zip(written) {
            if let Some(answer) = answers.get_mut(*index) {
                *answer = Some(Answer::Written(written));
            }
        }
        self.read(transaction, &mut answers).await?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// Reads inside the transaction see what it wrote.
    async fn read(
        &self,
        transaction: &mut Transaction<'_>,
        answers: &mut [Option<Answer>],
    ) -> Result<(), Error> {
        let services = &self.draft.context.services;
        let mut source = Source::Transaction(transaction);
        let budget = Budget::default();
        for (request, answer) in self.draft.requests.iter().zip(answers) {
            if matches!(request.verb, Verb::Read(_)) {
                let found = read::answer(services, &mut source, request, self.handling, &budget);
                *answer = Some(found.await?);
            }
        }
        Ok(())
    }

    /// Two entries must not have written the same resource: only now is known what their
    /// conditions singled out. <https://hl7.org/fhir/R4/http.html#trules>
    fn written_once(&self, written: &[Written]) -> Result<(), Error> {
        let (mut keys, mut conditions) = (HashMap::new(), HashMap::new());
        let wrote = |written: &&Written| written.outcome != Outcome::Existing;
        for ((index, _), written) in self.prepared.iter().zip(written) {
            let Some(stored) = Some(written)
                .filter(wrote)
                .and_then(|it| it.stored.as_ref())
            else {
                continue;
            };
            let request = self.draft.requests.get(*index);
            let request = request.filter(|request| request.verb.may_create());
            let condition = request.and_then(|request| request.verb.condition());
            let earlier = keys.insert(&stored.key, index).or_else(|| {
                let claim = condition.map(|condition| &condition.claim)?;
                conditions.insert(claim, index)
            });
            if let Some(earlier) = earlier {
                let text = format!(
                    "entry {earlier} is about the same resource; a transaction may name a resource once"
                );
                return Err(invalid(IssueType::Invalid, text).of_entry(*index));
            }
        }
        Ok(())
    }
}
