//! The `history` interaction of an instance, a type and the system:
//! <https://hl7.org/fhir/R4/http.html#history>.
//!
//! A page says in its link where the next one begins: a place in the order of changes, which what
//! is written meanwhile does not move, and how many versions the first page counted.

use std::borrow::Cow;

use chrono::DateTime;
use fhir_model::issue::{Issue, IssueType};

use crate::error::Error;
use crate::interaction::bundle::{self, Entry, Response, Writer};
use crate::interaction::{Services, invalid, url};
use crate::search::interval;
use crate::store::{ChangeKind, HistoryPage, HistoryQuery, HistoryScope, Stored};

/// Where the previous page ended, as its link says it.
const PAGE: &str = "_page";

/// The parameters that select versions; a page's links keep them.
const SELECTING: &[&str] = &["_since", "_at", "_count"];

/// A history that was asked for.
pub struct Asked {
    /// What to ask the store.
    pub query: HistoryQuery,
    /// What its links repeat.
    kept: Vec<(String, String)>,
    /// What the first page counted.
    counted: Option<u64>,
    is_first: bool,
}

impl Asked {
    /// Reads the query string of a history.
    ///
    /// # Errors
    /// [`Error::Invalid`] for parameters that are wrong or that there are not: left out silently,
    /// more would be shown than was asked for.
    pub fn parse(services: &Services, scope: HistoryScope, query: &str) -> Result<Self, Error> {
        let pairs = url::decode(query);
        let issues: Vec<Issue> = pairs.iter().filter_map(|(name, _)| unknown(name)).collect();
        if !issues.is_empty() {
            return Err(Error::Invalid(issues));
        }
        let value = |wanted: &str| {
            let mut pairs = pairs.iter();
            pairs.find_map(|(name, value)| (name == wanted).then_some(value.as_str()))
        };
        let page = value(PAGE).map(page).transpose()?;
        let kept = pairs
            .iter()
            .filter(|(name, _)| is_one_of(name, SELECTING) || is_one_of(name, url::GENERAL));
        let query = HistoryQuery {
            scope,
            since: value("_since").map(instant).transpose()?,
            during: value("_at").map(period).transpose()?,
            count: count(services, value("_count"))?,
            before: page.map(|(before, _)| before),
            is_counted: page.is_none(),
        };
        Ok(Self {
            query,
            kept: kept.cloned().collect(),
            counted: page.and_then(|(_, counted)| counted),
            is_first: page.is_none(),
        })
    }

    /// The links of a page of this history.
    fn links(&self, services: &Services, page: &HistoryPage) -> Vec<(&'static str, String)> {
        let path = match &self.query.scope {
            HistoryScope::Instance(key) => format!("{key}/_history"),
            HistoryScope::Type(resource_type) => format!("{resource_type}/_history"),
            HistoryScope::System => "_history".to_owned(),
        };
        let total = self.counted.or(page.total);
        let link = |before: Option<i64>| {
            let mut pairs = self.kept.clone();
            pairs.extend(before.map(|before| (PAGE.to_owned(), token(before, total))));
            let mark = if pairs.is_empty() { "" } else { "?" };
            format!("{}/{path}{mark}{}", services.base_url, url::encode(&pairs))
        };
        let mut links = vec![("self", link(self.query.before))];
        if page.next.is_some() || !self.is_first {
            links.push(("first", link(None)));
        }
        links.extend(page.next.map(|next| ("next", link(Some(next)))));
        links
    }
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.contains(&name)
}

/// What is wrong with a parameter that a history does not have.
fn unknown(name: &str) -> Option<Issue> {
    let is_known = name == PAGE || is_one_of(name, SELECTING) || is_one_of(name, url::GENERAL);
    (!is_known).then(|| {
        let known = SELECTING.join(", ");
        let text = format!("the parameter '{name}' of a history is not supported; {known} are");
        Issue::error(IssueType::NotSupported, text)
    })
}

/// The token of the page that begins before this place.
fn token(before: i64, total: Option<u64>) -> String {
    let total = total.map(|total| format!(".{total}")).unwrap_or_default();
    format!("{before}{total}")
}

fn page(token: &str) -> Result<(i64, Option<u64>), Error> {
    let wrong = || invalid(IssueType::Value, "_page is not one of ours");
    let (before, total) = match token.split_once('.') {
        Some((before, total)) => (before, Some(total)),
        None => (token, None),
    };
    let before = before.parse().map_err(|_| wrong())?;
    let total = total.map(str::parse).transpose().map_err(|_| wrong())?;
    Ok((before, total))
}

fn count(services: &Services, text: Option<&str>) -> Result<u32, Error> {
    let Some(text) = text else {
        return Ok(services.page_counts.default);
    };
    let count: u32 = text
        .parse()
        .map_err(|_| invalid(IssueType::Value, "_count is a number of versions"))?;
    Ok(count.min(services.page_counts.max))
}

fn instant(text: &str) -> Result<DateTime<chrono::Utc>, Error> {
    // In a URL `+` means a space, and clients forget to escape it.
    DateTime::parse_from_rfc3339(&text.replace(' ', "+"))
        .map(Into::into)
        .map_err(|_| {
            invalid(
                IssueType::Value,
                "_since is no instant such as 2026-03-06T16:10:00-05:00",
            )
        })
}

/// The period of `_at`, by the prefixes of dates in searches, as `[low, high)` in microseconds.
fn period(text: &str) -> Result<(i64, i64), Error> {
    let start = text.find(|c: char| !c.is_ascii_lowercase());
    let (prefix, date) = text.split_at(start.unwrap_or(0));
    let found = interval::date(&date.replace(' ', "+")).and_then(|(low, high)| match prefix {
        "" | "eq" => Some((low, high)),
        "ge" => Some((low, i64::MAX)),
        "gt" | "sa" => Some((high, i64::MAX)),
        "le" => Some((i64::MIN, high)),
        "lt" | "eb" => Some((i64::MIN, low)),
        _ => None,
    });
    found.ok_or_else(|| {
        invalid(
            IssueType::Value,
            "_at is no date or time such as 2026-03, 2026-03-06T16:10:00-05:00 or ge2026-03-06",
        )
    })
}

/// One page of a history.
///
/// # Errors
/// As [`Asked::parse`]; [`Error::NotFound`] when an instance never existed.
pub async fn history(
    services: &Services,
    scope: HistoryScope,
    query: &str,
) -> Result<String, Error> {
    let asked = Asked::parse(services, scope, query)?;
    let page = services.store.history(&asked.query).await?;
    if let HistoryScope::Instance(key) = &asked.query.scope
        && page.versions.is_empty()
        && services.store.read(key).await?.is_none()
    {
        return Err(Error::NotFound(key.clone()));
    }
    Ok(bundle(services, &asked, &page))
}

/// A page of versions as a Bundle.
pub fn bundle(services: &Services, asked: &Asked, page: &HistoryPage) -> String {
    let links = asked.links(services, page);
    let total = asked.counted.or(page.total);
    let now = services.clock.now();
    let mut writer = Writer::new("history", &services.ids.next(now), now, total, &links);
    for stored in &page.versions {
        writer.push(&entry(services, stored));
    }
    writer.finish()
}

fn entry<'a>(services: &Services, stored: &'a Stored) -> Entry<'a> {
    let status = match stored.kind {
        ChangeKind::Create | ChangeKind::CreateByUpdate => "201 Created",
        ChangeKind::Update => "200 OK",
        ChangeKind::Delete => "204 No Content",
    };
    Entry {
        full_url: Some(format!("{}/{}", services.base_url, stored.key)),
        resource: stored.text.as_deref().map(Cow::Borrowed),
        request: Some(bundle::request(stored)),
        response: Some(Response {
            status: status.to_owned(),
            etag: Some(bundle::etag(stored)),
            last_modified: Some(stored.last_updated),
            ..Response::default()
        }),
        ..Entry::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_what_a_date_stands_for() {
        let micros = |text: &str| interval::date(text).map(|(low, _)| low).unwrap();
        let (march, april) = (micros("2026-03"), micros("2026-04"));
        for (text, expected) in [
            ("2026-03", (march, april)),
            ("eq2026-03", (march, april)),
            ("ge2026-03", (march, i64::MAX)),
            ("gt2026-03", (april, i64::MAX)),
            ("le2026-03", (i64::MIN, april)),
            ("lt2026-03", (i64::MIN, march)),
            ("2026-03-01T02:00:00 02:00", (march, march + 1_000_000)),
        ] {
            assert_eq!(period(text).ok(), Some(expected), "{text}");
        }
        for text in ["", "ge", "ap2026", "ne2026-03", "yesterday", "2026-13"] {
            assert!(period(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_says_where_and_how_many() {
        for (text, expected) in [("7", (7, None)), ("7.90", (7, Some(90)))] {
            assert_eq!(page(text).ok(), Some(expected), "{text}");
            assert_eq!(token(expected.0, expected.1), text);
        }
        for text in ["", "x", "7.", "7.x", "7.-1", "99999999999999999999"] {
            assert!(page(text).is_err(), "{text}");
        }
    }
}
