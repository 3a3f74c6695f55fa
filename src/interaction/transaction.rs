//! The `batch` and `transaction` interactions: <https://hl7.org/fhir/R4/http.html#transaction>.
//!
//! A transaction is one commit: identities are resolved first (ids for what is created, conditions
//! under claims), references between entries are rewritten, then everything is applied in the order
//! of the specification (DELETE, POST, PUT, GET), or nothing is. A batch is as many requests as it
//! has entries, each on its own.

use std::collections::HashMap;
use std::sync::Arc;

use fhir_model::issue::IssueType;
use fhir_model::tree::Tree;
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use crate::error::{EntryError, Error};
use crate::interaction::transaction::answer::{Answer, respond};
use crate::interaction::transaction::draft::Draft;
use crate::interaction::transaction::plan::{Plan, Ran};
use crate::interaction::transaction::read::{Budget, Source};
use crate::interaction::transaction::request::{Request, Verb, at, change, requests, text};
use crate::interaction::write::{self, Prepared, Written};
use crate::interaction::{Context, Services, aside, conformance, invalid};
use crate::search::query::Handling;

mod answer;
mod draft;
mod link;
mod plan;
mod read;
mod request;
mod shape;

pub use request::ENTRIES_MAX;

/// Entries of a batch that are under way at once, so that they share commits.
const BATCH_CONCURRENCY: usize = 16;
/// Entries of a batch that are prepared together.
const BATCH_PART: usize = 256;
/// How often a transaction is drawn up anew because of what others wrote meanwhile.
const DRAFTS_MAX: u32 = 20;

/// The type of the Bundle that answers a transaction.
const TRANSACTION_RESPONSE: &str = "transaction-response";
/// The type of the Bundle that answers a batch.
const BATCH_RESPONSE: &str = "batch-response";

/// What a write answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Return {
    /// The resource: also without a `Prefer` header, because the common clients rely on it.
    #[default]
    Representation,
    /// Nothing.
    Minimal,
    /// An OperationOutcome.
    OperationOutcome,
}

/// What the client prefers, of every entry.
#[derive(Debug, Clone, Copy)]
pub struct Preferences {
    /// `return=…`; without it only what went wrong is told.
    pub returning: Option<Return>,
    /// `handling=…`.
    pub handling: Handling,
}

/// Does what a Bundle asks; the answer is a Bundle too.
///
/// # Errors
/// [`Error::Invalid`] for what is no batch or transaction, [`Error::TooLarge`] for one with too many
/// entries; for a transaction, what refuses its entries, each with its place.
pub async fn process(
    context: &Context,
    tree: Tree,
    preferences: Preferences,
) -> Result<String, Error> {
    let bundle_type = bundle_type(&tree)?;
    let (services, size) = (Arc::clone(&context.services), tree.source().len());
    let read = move || {
        let requests = requests(&services, &tree);
        (tree, requests)
    };
    let (tree, requests) = aside::work(size, read).await?;
    let requests = requests?;
    let (name, answers) = match bundle_type {
        BundleType::Transaction => {
            let requests = all(requests)?;
            let answers = transaction(context, tree, requests, preferences).await?;
            (TRANSACTION_RESPONSE, answers)
        }
        BundleType::Batch => {
            let answers = batch(context, Arc::new(tree), requests, preferences.handling).await?;
            (BATCH_RESPONSE, answers)
        }
    };
    let returning = preferences.returning;
    Ok(respond(&context.services, name, &answers, returning))
}

/// Refuses what can be refused before anything is done.
///
/// # Errors
/// As [`process`], where no entry has to be tried for it.
pub fn check(services: &Services, tree: &Tree) -> Result<(), Error> {
    let bundle_type = bundle_type(tree)?;
    let requests = requests(services, tree)?;
    if bundle_type == BundleType::Transaction {
        all(requests)?;
    }
    Ok(())
}

/// A Bundle as the one entry of a `batch-response`.
pub fn batch_response(services: &Services, bundle: String) -> String {
    respond(services, BATCH_RESPONSE, &[Answer::Found(bundle)], None)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum BundleType {
    Batch,
    Transaction,
}

/// What to do with a Bundle that is none of the two: <https://hl7.org/fhir/R4/valueset-bundle-type.html>.
const OTHER_TYPES: &[(&str, &str)] = &[
    (
        "message",
        "messages are not processed here; POST it to Bundle to have it stored",
    ),
    ("document", "POST it to Bundle to have it stored"),
    ("collection", "POST it to Bundle to have it stored"),
    ("searchset", "it is the answer to a search"),
    ("history", "it is the answer to a history"),
    ("transaction-response", "it is the answer to a transaction"),
    ("batch-response", "it is the answer to a batch"),
];

fn bundle_type(tree: &Tree) -> Result<BundleType, Error> {
    if tree.resource_type().as_deref() != Some("Bundle") {
        return Err(invalid(
            IssueType::Invalid,
            "a Bundle of type batch or transaction is expected here; POST a resource to its type",
        ));
    }
    let refused = |code: IssueType, text: String| Err(at("Bundle.type", code, text));
    match text(tree.root(), "type").as_deref() {
        Some("transaction") => Ok(BundleType::Transaction),
        Some("batch") => Ok(BundleType::Batch),
        None => refused(
            IssueType::Required,
            "Bundle.type is missing; batch or transaction is expected here".to_owned(),
        ),
        Some(other) => {
            let known = OTHER_TYPES.iter().find(|(name, _)| *name == other);
            let hint = known.map_or("there is no such type", |(_, hint)| *hint);
            refused(
                IssueType::Value,
                format!("Bundle.type is {other}; batch or transaction is expected here: {hint}"),
            )
        }
    }
}

/// All of them, or everything that is wrong.
fn all<T>(results: Vec<Result<T, Error>>) -> Result<Vec<T>, Error> {
    let mut good = Vec::with_capacity(results.len());
    let mut refused: Vec<EntryError> = Vec::new();
    for result in results {
        match result {
            Ok(value) => good.push(value),
            Err(Error::Entries(entries)) => refused.extend(entries),
            Err(error) => return Err(error),
        }
    }
    if refused.is_empty() {
        Ok(good)
    } else {
        Err(Error::Entries(refused))
    }
}

async fn batch(
    context: &Context,
    tree: Arc<Tree>,
    requests: Vec<Result<Request, Error>>,
    handling: Handling,
) -> Result<Vec<Answer>, Error> {
    let budget = Budget::default();
    let earlier = written_earlier(context).await?;
    let mut answers = Vec::with_capacity(requests.len());
    let mut requests = (0..).zip(requests);
    loop {
        let part: Vec<_> = requests.by_ref().take(BATCH_PART).collect();
        if part.is_empty() {
            return Ok(answers);
        }
        let numbers: Vec<u32> = part.iter().map(|(number, _)| *number).collect();
        let steps = steps(context, &tree, part, &earlier).await?;
        let done = stream::iter(numbers.into_iter().zip(steps))
            .map(|(number, step)| single(context, number, step, handling, &budget))
            .buffered(BATCH_CONCURRENCY);
        answers.extend(done.collect::<Vec<Answer>>().await);
    }
}

/// What an earlier attempt at this batch has written, by entry, where a job does it.
async fn written_earlier(context: &Context) -> Result<HashMap<u32, Written>, Error> {
    let mut written = HashMap::new();
    for step in context.store.steps_done().await? {
        if let Some(stored) = context.store.vread(&step.key, step.version).await? {
            written.insert(step.step, Written::earlier(stored));
        }
    }
    Ok(written)
}

/// An entry of a batch, as far as it is done without the store.
enum Step {
    Done(Written),
    Read(Box<Request>),
    Write(Box<Prepared>),
    Refused(Error),
}

/// Prepares what a part of a batch writes.
async fn steps(
    context: &Context,
    tree: &Arc<Tree>,
    requests: Vec<(u32, Result<Request, Error>)>,
    earlier: &HashMap<u32, Written>,
) -> Result<Vec<Step>, Error> {
    let (mut steps, mut changes) = (Vec::with_capacity(requests.len()), Vec::new());
    for (number, request) in requests {
        if let Some(written) = earlier.get(&number) {
            steps.push(Some(Step::Done(written.clone())));
            continue;
        }
        steps.push(match request {
            Ok(request) if matches!(request.verb, Verb::Read(_)) => {
                Some(Step::Read(Box::new(request)))
            }
            Ok(request) => match change(&context.services, tree, &request, None) {
                Ok(change) => {
                    changes.push(change);
                    None
                }
                Err(error) => Some(Step::Refused(error)),
            },
            Err(error) => Some(Step::Refused(error)),
        });
    }
    let mut prepared = write::prepare_all(context, changes).await?.into_iter();
    let ready = |step: Option<Step>| {
        step.or_else(|| match prepared.next()? {
            Ok(prepared) => Some(Step::Write(Box::new(prepared))),
            Err(error) => Some(Step::Refused(error)),
        })
    };
    Ok(steps.into_iter().filter_map(ready).collect())
}

async fn single(
    context: &Context,
    number: u32,
    step: Step,
    handling: Handling,
    budget: &Budget,
) -> Answer {
    let services = &context.services;
    let answer = match step {
        Step::Done(written) => Ok(Answer::Written(written)),
        Step::Refused(error) => Err(error),
        Step::Write(prepared) => {
            let context = context.for_step(number);
            let written = write::commit_prepared(&context, vec![*prepared], "batch").await;
            written.and_then(|written| {
                let written = written.into_iter().next();
                written
                    .map(Answer::Written)
                    .ok_or_else(|| Error::Internal("a commit of one change gave no result".into()))
            })
        }
        Step::Read(request) => {
            let mut source = Source::Store(&services.store);
            read::answer(services, &mut source, &request, handling, budget).await
        }
    };
    answer.unwrap_or_else(|error| Answer::failed(&error))
}

/// Draws a transaction up outside of the store, so that nothing costly is done while others wait,
/// and runs it; again, where its conditions mean something else by then.
async fn transaction(
    context: &Context,
    tree: Tree,
    requests: Vec<Request>,
    preferences: Preferences,
) -> Result<Vec<Answer>, Error> {
    let draft = Draft::new(context, tree, requests).await?;
    let store = &context.store;
    let mut resolved = draft.resolve(&mut Source::Store(store)).await?;
    for _ in 0..DRAFTS_MAX {
        let prepared = draft.prepare(&resolved).await?;
        let plan = Plan::new(Arc::clone(&draft), resolved, prepared, preferences);
        match store.transact(plan).await? {
            Ran::Through(mut answers) => {
                let written = answers.iter_mut().filter_map(Answer::written);
                conformance::take_effect(&context.services, written).await;
                return Ok(answers);
            }
            Ran::Otherwise(found) => resolved = found,
        }
    }
    Err(Error::Conflict(
        "others keep changing what the conditions of the transaction mean; try again".to_owned(),
    ))
}
