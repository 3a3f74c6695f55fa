//! The `search` interaction: of a type or of all, in the compartment of a patient or everywhere.
//!
//! <https://hl7.org/fhir/R4/http.html#search>. What a query means is `crate::search`, how it is
//! answered is the store's; here the answer becomes a Bundle.

use std::borrow::Cow;

use fhir_model::issue::{Issue, IssueType, OperationOutcome};
use fhir_model::key::{ResourceKey, ResourceType};

use crate::error::Error;
use crate::interaction::bundle::{Entry, Writer};
use crate::interaction::write::Condition;
use crate::interaction::{Services, compartment, invalid, url};
use crate::search::expression::{Total, Types};
use crate::search::query::{self, Handling, Parsed, Summary};
use crate::store::{Claim, INCLUDED_MAX, ITERATIONS_MAX, SearchPage, Stored};

/// Searches a type, or all; `query` is the query string.
///
/// # Errors
/// [`Error::Invalid`] with everything that is wrong with the query.
pub async fn search(
    services: &Services,
    types: &Types,
    query: &str,
    handling: Handling,
) -> Result<String, Error> {
    let query = parse(services, types, query, handling)?;
    let page = services.store.search(&query.search).await?;
    let path = types.only().map_or("", ResourceType::as_str);
    Ok(bundle(services, path, &query, &page))
}

/// Searches a type, or all, within the compartment of a resource.
///
/// # Errors
/// As [`search`].
pub async fn compartment(
    services: &Services,
    whose: &ResourceKey,
    types: &Types,
    query: &str,
    handling: Handling,
) -> Result<String, Error> {
    let mut query = parse(services, types, query, handling)?;
    let filter = compartment::filter(services, whose, types)?;
    query.search.filters.push(filter);
    let page = services.store.search(&query.search).await?;
    let member = types.only().map_or("*", ResourceType::as_str);
    let path = format!("{whose}/{member}");
    Ok(bundle(services, &path, &query, &page))
}

/// Reads a query string.
///
/// # Errors
/// As [`search`].
pub fn parse(
    services: &Services,
    types: &Types,
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
    let mut parsed = query::parse(&context, types, &url::decode(query)).map_err(Error::Invalid)?;
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
    let types = resource_type.clone().into();
    let parsed = parse(services, &types, query, Handling::Strict)?;
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
        let slash = if path.is_empty() { "" } else { "/" };
        format!("{}{slash}{path}{mark}{parameters}", services.base_url)
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
    if let (true, [only]) = (page.is_cut, page.matches.as_slice()) {
        links.extend(related(services, query, only).map(|url| ("related", url)));
    }
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
    let mut issues = query.issues.clone();
    issues.extend(page.is_cut.then(cut));
    if !issues.is_empty() {
        let outcome = OperationOutcome::new(issues).to_json();
        writer.push(&Entry {
            resource: Some(Cow::Owned(outcome)),
            search_mode: Some("outcome"),
            ..Entry::default()
        });
    }
    writer.finish()
}

/// What is said where one match includes more than a page takes.
fn cut() -> Issue {
    let text = format!(
        "The match includes more than {INCLUDED_MAX} resources, or more than {ITERATIONS_MAX} steps \
         lead to; the rest is left out. The links 'related' find what refers to the match."
    );
    Issue::warning(IssueType::TooCostly, text)
}

/// The searches for what refers to a match, page by page.
fn related(services: &Services, query: &Parsed, of: &Stored) -> impl Iterator<Item = String> {
    let reverse = query.applied.iter().filter(|(name, _)| {
        let (code, _) = name.split_once(':').unwrap_or((name, ""));
        code == "_revinclude"
    });
    reverse.filter_map(|(_, value)| {
        let mut parts = value.split(':');
        let (source, code) = (parts.next()?, parts.next().filter(|code| *code != "*")?);
        let pair = (code.to_owned(), of.key.to_string());
        Some(format!(
            "{}/{source}?{}",
            services.base_url,
            url::encode(&[pair])
        ))
    })
}

fn entry<'a>(services: &Services, stored: &'a Stored, mode: &'static str) -> Entry<'a> {
    Entry {
        full_url: Some(format!("{}/{}", services.base_url, stored.key)),
        resource: stored.text.as_deref().map(Cow::Borrowed),
        search_mode: Some(mode),
        ..Entry::default()
    }
}
