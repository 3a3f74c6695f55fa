//! The `search` interaction: by type, and by type within the compartment of a patient.
//!
//! <https://hl7.org/fhir/R4/http.html#search>. What a query means is `crate::search`, how it is
//! answered is the store's; here the answer becomes a Bundle.

use std::borrow::Cow;

use fhir_model::issue::{Issue, IssueType, OperationOutcome};
use fhir_model::key::{LogicalId, ResourceType};

use crate::error::Error;
use crate::interaction::bundle::{Entry, Writer};
use crate::interaction::write::Condition;
use crate::interaction::{Services, invalid, url};
use crate::search::expression::{Filter, Total};
use crate::search::query::{self, Handling, Parsed, Summary};
use crate::store::{Claim, SearchPage, Stored};

/// Searches a type; `query` is the query string.
///
/// # Errors
/// [`Error::Invalid`] with everything that is wrong with the query.
pub async fn search(
    services: &Services,
    resource_type: &ResourceType,
    query: &str,
    handling: Handling,
) -> Result<String, Error> {
    let query = parse(services, resource_type, query, handling)?;
    let page = services.store.search(&query.search).await?;
    Ok(bundle(services, resource_type.as_str(), &query, &page))
}

/// Searches a type within the compartment of a patient.
///
/// # Errors
/// As [`search`].
pub async fn compartment(
    services: &Services,
    patient: &LogicalId,
    resource_type: &ResourceType,
    query: &str,
    handling: Handling,
) -> Result<String, Error> {
    let mut query = parse(services, resource_type, query, handling)?;
    query
        .search
        .filters
        .push(Filter::Compartment(patient.clone()));
    let page = services.store.search(&query.search).await?;
    Ok(bundle(
        services,
        &format!("Patient/{patient}/{resource_type}"),
        &query,
        &page,
    ))
}

/// Reads a query string.
///
/// # Errors
/// As [`search`].
pub fn parse(
    services: &Services,
    resource_type: &ResourceType,
    query: &str,
    handling: Handling,
) -> Result<Parsed, Error> {
    let unindexed = services.unindexed.load();
    let context = query::Context {
        definitions: &services.definitions,
        unindexed: &unindexed,
        base_url: &services.own_base,
        handling,
        count_default: services.page_counts.default,
        count_max: services.page_counts.max,
        now: services.clock.now(),
    };
    let mut parsed =
        query::parse(&context, resource_type, &url::decode(query)).map_err(Error::Invalid)?;
    whole_resources(&mut parsed);
    Ok(parsed)
}

/// Baton returns whole resources yet: asking for a part of them is reported, not silently ignored.
fn whole_resources(parsed: &mut Parsed) {
    let unmet: Vec<&str> = [
        (!matches!(parsed.summary, Summary::False | Summary::Count)).then_some("_summary"),
        (!parsed.elements.is_empty()).then_some("_elements"),
    ]
    .into_iter()
    .flatten()
    .collect();
    for name in unmet {
        parsed.applied.retain(|(applied, _)| applied != name);
        let text =
            format!("{name} is not supported for parts of resources; whole resources are returned");
        parsed
            .issues
            .push(Issue::warning(IssueType::NotSupported, text));
    }
}

/// A condition that must single out a resource: `If-None-Exist`, a conditional update or delete.
///
/// # Errors
/// [`Error::Invalid`] when the query selects nothing in particular, or is wrong.
pub fn condition(
    services: &Services,
    resource_type: &ResourceType,
    query: &str,
) -> Result<Condition, Error> {
    let parsed = parse(services, resource_type, query, Handling::Strict)?;
    if parsed.search.filters.is_empty() {
        return Err(invalid(
            IssueType::Required,
            "a condition needs at least one search parameter that selects resources",
        ));
    }
    let mut parts: Vec<String> = parsed
        .applied
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    parts.sort();
    let claim = claim(resource_type.as_str(), &parts.join("&"));
    Ok(Condition {
        resource_type: resource_type.clone(),
        search: parsed.search,
        claim,
    })
}

/// What is claimed by who makes the one resource of a type that meets a condition. The intake claims
/// the same for `identifier=system|value` as a conditional create with that condition.
pub fn claim(resource_type: &str, condition: &str) -> Claim {
    Claim(format!("{resource_type}?{condition}"))
}

/// A page of matches as a Bundle; `path` is what was searched, below the base.
pub fn bundle(services: &Services, path: &str, query: &Parsed, page: &SearchPage) -> String {
    let link = |extra: Option<String>| {
        let mut pairs = query.applied.clone();
        pairs.extend(extra.map(|token| (query::PAGE.to_owned(), token)));
        let parameters = url::encode(&pairs);
        let mark = if parameters.is_empty() { "" } else { "?" };
        format!("{}/{path}{mark}{parameters}", services.base_url)
    };
    let this = query
        .search
        .after
        .as_ref()
        .map(|cursor| query.page_token(cursor));
    let mut links = vec![("self", link(this))];
    links.extend(
        page.next
            .as_ref()
            .map(|next| ("next", link(Some(query.page_token(next))))),
    );
    let now = services.clock.now();
    let mut writer = Writer::new(
        "searchset",
        &services.ids.next(now),
        now,
        page.total,
        &links,
    );
    if query.search.total != Total::Only {
        for stored in &page.matches {
            writer.push(&entry(services, stored, "match"));
        }
        for stored in &page.included {
            writer.push(&entry(services, stored, "include"));
        }
    }
    if !query.issues.is_empty() {
        let outcome = OperationOutcome::new(query.issues.clone()).to_json();
        writer.push(&Entry {
            resource: Some(Cow::Owned(outcome)),
            search_mode: Some("outcome"),
            ..Entry::default()
        });
    }
    writer.finish()
}

fn entry<'a>(services: &Services, stored: &'a Stored, mode: &'static str) -> Entry<'a> {
    Entry {
        full_url: Some(format!("{}/{}", services.base_url, stored.key)),
        resource: stored.text.as_deref().map(Cow::Borrowed),
        search_mode: Some(mode),
        ..Entry::default()
    }
}
