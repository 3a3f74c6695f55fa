//! The `search` interaction: of a type or of all, in the compartment of a patient or everywhere.
//!
//! <https://hl7.org/fhir/R4/http.html#search>. What a query means is `crate::search`, how it is
//! answered is the store's; here the answer becomes a Bundle. Parts of resources are cut from it by
//! [`crate::interaction::subset`].

use std::borrow::Cow;

use fhir_model::issue::{Issue, IssueType, OperationOutcome};
use fhir_model::key::{ResourceKey, ResourceType};
use fhir_model::tree::push_json_string;

use crate::error::Error;
use crate::interaction::bundle::{Entry, Writer};
use crate::interaction::write::Condition;
use crate::interaction::{Services, compartment, invalid, url};
use crate::search::expression::{Search, Total, Types};
use crate::search::query::{self, Handling, Parsed, Summary};
use crate::store::{Claim, INCLUDED_MAX, ITERATIONS_MAX, SearchPage, Stored};

/// What stands for all types in a compartment.
const ANY_TYPE: &str = "*";

/// What is searched.
#[derive(Debug, Clone, PartialEq)]
pub struct Scope {
    /// Whose compartment: <https://hl7.org/fhir/R4/compartmentdefinition.html>.
    pub whose: Option<ResourceKey>,
    /// The types.
    pub types: Types,
}

impl Scope {
    /// Everything.
    pub const ALL: Self = Self {
        whose: None,
        types: Types::ALL,
    };

    /// The resources of a type.
    pub fn of_type(resource_type: ResourceType) -> Self {
        Self {
            whose: None,
            types: resource_type.into(),
        }
    }

    /// The members of a compartment that are of a type, or all (`*`).
    ///
    /// # Errors
    /// [`Error::UnknownType`], [`Error::Invalid`] for what is no id, [`Error::UnknownOperation`].
    pub fn within(
        services: &Services,
        compartment: &str,
        id: &str,
        member: &str,
    ) -> Result<Self, Error> {
        if member.starts_with('$') {
            return Err(Error::UnknownOperation(member.to_owned()));
        }
        let whose = services.key(compartment, id)?;
        let types = match member {
            ANY_TYPE => Types::ALL,
            member => services.resource_type(member)?.into(),
        };
        Ok(Self {
            whose: Some(whose),
            types,
        })
    }

    /// Where it is, below the base.
    pub fn path(&self) -> String {
        match (&self.whose, self.types.only()) {
            (None, None) => String::new(),
            (None, Some(only)) => only.to_string(),
            (Some(whose), only) => {
                format!("{whose}/{}", only.map_or(ANY_TYPE, ResourceType::as_str))
            }
        }
    }
}

/// Searches a type, or all, everywhere or within a compartment; `query` is the query string.
///
/// # Errors
/// [`Error::Invalid`] with everything that is wrong with the query.
pub async fn search(
    services: &Services,
    scope: &Scope,
    query: &str,
    handling: Handling,
) -> Result<String, Error> {
    let query = parse_within(services, scope, query, handling)?;
    if query.explain {
        return explanation(services, &query.search).await;
    }
    let page = page(services, &query.search).await?;
    Ok(bundle(services, &scope.path(), &query, &page))
}

/// Reads a query string.
///
/// # Errors
/// As [`search`].
pub fn parse_within(
    services: &Services,
    scope: &Scope,
    query: &str,
    handling: Handling,
) -> Result<Parsed, Error> {
    let mut parsed = parse(services, &scope.types, query, handling)?;
    if let Some(whose) = &scope.whose {
        let filter = compartment::filter(services, whose, &scope.types)?;
        parsed.search.filters.push(filter);
    }
    Ok(parsed)
}

/// How a search would be run, as a Parameters resource.
async fn explanation(services: &Services, search: &Search) -> Result<String, Error> {
    let time = services.search_deadline;
    let mut text = String::from(r#"{"resourceType":"Parameters","parameter":["#);
    for (place, (name, line)) in services
        .store
        .explain(search, time)
        .await?
        .iter()
        .enumerate()
    {
        text.push_str(if place > 0 { "," } else { "" });
        text.push_str(r#"{"name":""#);
        text.push_str(name);
        text.push_str(r#"","valueString":"#);
        push_json_string(&mut text, line);
        text.push('}');
    }
    text.push_str("]}");
    Ok(text)
}

/// A page of what had been committed at the first page.
async fn page(services: &Services, search: &Search) -> Result<SearchPage, Error> {
    let extract = |resource_type: &ResourceType, text: &str| {
        let extracted = services.extracted(resource_type, text)?;
        Some((extracted.values, extracted.patients))
    };
    Ok(services
        .store
        .search_isolated(search, &extract, services.search_deadline)
        .await?)
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
        page_key: services.store.page_key(),
    };
    let parsed = query::parse(&context, types, &url::decode(query)).map_err(Error::Invalid)?;
    let has_includes = !(parsed.search.includes.is_empty() && parsed.search.revincludes.is_empty());
    if parsed.summary == Summary::Text && has_includes {
        return Err(invalid(
            IssueType::Invalid,
            "_include and _revinclude cannot be mixed with _summary=text",
        ));
    }
    Ok(parsed)
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
    let token = |cursor| query.page_token(cursor, services.store.page_key());
    let this = query.search.after.as_ref();
    let mut links = vec![("self", link(this.map(token)))];
    links.extend(this.map(|_| ("first", link(None))));
    for (relation, cursor) in [("previous", &page.previous), ("next", &page.next)] {
        links.extend(
            cursor
                .as_ref()
                .map(|cursor| (relation, link(Some(token(cursor))))),
        );
    }
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
    issues.extend(page.is_uncounted.then(uncounted));
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

/// What is said where the matches were to be counted, and that takes too long.
fn uncounted() -> Issue {
    let text = "The matches were not counted: that takes longer than search.deadline_ms allows.";
    Issue::warning(IssueType::TooCostly, text)
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
