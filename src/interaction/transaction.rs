//! The `batch` and `transaction` interactions: <https://hl7.org/fhir/R4/http.html#transaction>.
//!
//! A transaction is one commit: identities are resolved first (ids for what is created, conditions
//! under claims), references between entries are rewritten, then everything is applied in the order
//! of the specification (DELETE, POST, PUT, GET), or nothing is. A batch is as many requests as it
//! has entries, each on its own.

use std::sync::Arc;

use fhir_model::issue::IssueType;
use fhir_model::tree::Tree;
use futures_util::{StreamExt as _, stream};

use crate::error::Error;
use crate::interaction::transaction::answer::{Answer, respond};
use crate::interaction::transaction::plan::Plan;
use crate::interaction::transaction::request::{
    Get, Request, Verb, at, change, read_target, requests, text,
};
use crate::interaction::write::Document;
use crate::interaction::{Context, Services, codes, conformance, invalid, read, search, write};
use crate::search::query::Handling;

mod answer;
mod plan;
mod request;

pub use request::ENTRIES_MAX;

/// Entries of a batch that are under way at once, so that they share commits.
const BATCH_CONCURRENCY: usize = 16;

/// Does what a Bundle asks; the answer is a Bundle too.
///
/// # Errors
/// [`Error::Invalid`] for what is no batch or transaction; for a transaction, the first error of
/// an entry, its location put before the issue's own.
pub async fn process(context: &Context, tree: Tree, with_resources: bool) -> Result<String, Error> {
    let bundle_type = bundle_type(&tree)?;
    let requests = requests(&context.services, &tree)?;
    let (name, answers) = match bundle_type {
        BundleType::Transaction => (
            "transaction-response",
            transaction(context, tree, requests).await?,
        ),
        BundleType::Batch => (
            "batch-response",
            batch(context, Arc::new(tree), requests).await,
        ),
    };
    Ok(respond(&context.services, name, &answers, with_resources))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum BundleType {
    Batch,
    Transaction,
}

fn bundle_type(tree: &Tree) -> Result<BundleType, Error> {
    if tree.resource_type().as_deref() != Some("Bundle") {
        return Err(invalid(
            IssueType::Invalid,
            "a Bundle of type batch or transaction is expected here",
        ));
    }
    match text(tree.root(), "type").as_deref() {
        Some("transaction") => Ok(BundleType::Transaction),
        Some("batch") => Ok(BundleType::Batch),
        other => Err(at(
            "Bundle.type",
            IssueType::Value,
            format!(
                "Bundle.type is {}; batch or transaction is expected here",
                other.unwrap_or("absent")
            ),
        )),
    }
}

async fn batch(
    context: &Context,
    tree: Arc<Tree>,
    requests: Vec<Result<Request, Error>>,
) -> Vec<Answer> {
    stream::iter(requests)
        .map(|request| {
            let tree = Arc::clone(&tree);
            async move {
                let answer = match request {
                    Ok(request) => single(context, &tree, request).await,
                    Err(error) => Err(error),
                };
                answer.unwrap_or_else(|error| Answer::failed(&error))
            }
        })
        .buffered(BATCH_CONCURRENCY)
        .collect()
        .await
}

async fn single(context: &Context, tree: &Arc<Tree>, request: Request) -> Result<Answer, Error> {
    if let Verb::Get(url) = &request.verb {
        return get(&context.services, url).await;
    }
    let change = change(tree, &request, None)?;
    let written = write::commit(context, vec![change], "batch").await?;
    written
        .into_iter()
        .next()
        .map(Answer::Written)
        .ok_or_else(|| Error::Internal("a commit of one change gave no result".into()))
}

async fn get(services: &Services, url: &str) -> Result<Answer, Error> {
    match read_target(services, url)? {
        Get::Read(key) => Ok(Answer::Read(read::read(services, &key).await?)),
        Get::Vread(key, version) => Ok(Answer::Read(read::vread(services, &key, version).await?)),
        Get::Search(resource_type, query) => {
            let types = services.resource_type(&resource_type)?.into();
            let found = search::search(services, &types, &query, Handling::Default).await?;
            Ok(Answer::Bundle(found))
        }
    }
}

async fn transaction(
    context: &Context,
    tree: Tree,
    requests: Vec<Result<Request, Error>>,
) -> Result<Vec<Answer>, Error> {
    let requests: Vec<Request> = requests.into_iter().collect::<Result<_, _>>()?;
    let tree = Arc::new(tree);
    for resource in requests.iter().filter_map(|request| request.resource) {
        let document = Document::within(&tree, resource);
        let options = context.policy.options();
        codes::foresee(&context.services, &document, None, &options).await;
    }
    let tree = Arc::unwrap_or_clone(tree);
    let plan = Plan::new(context, tree, requests)?;
    let mut answers = context.services.store.transact(plan).await?;
    let written = answers.iter_mut().filter_map(|answer| match answer {
        Answer::Written(written) => Some(written),
        _ => None,
    });
    conformance::take_effect(&context.services, written).await;
    Ok(answers)
}
