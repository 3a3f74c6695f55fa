//! The `history` interaction of an instance, a type and the system:
//! <https://hl7.org/fhir/R4/http.html#history>.

use std::borrow::Cow;

use crate::error::Error;
use crate::interaction::Services;
use crate::interaction::bundle::{self, Entry, Response, Writer};
use crate::store::{ChangeKind, HistoryQuery, HistoryScope, Stored};

/// One page of a history as a Bundle; `page_url` makes the URL of a page from its cursor.
///
/// # Errors
/// [`Error::NotFound`] when an instance never existed.
pub async fn history(
    services: &Services,
    query: &HistoryQuery,
    page_url: impl Fn(Option<i64>) -> String,
) -> Result<String, Error> {
    let page = services.store.history(query).await?;
    if let HistoryScope::Instance(key) = &query.scope
        && page.versions.is_empty()
        && services.store.read(key).await?.is_none()
    {
        return Err(Error::NotFound(key.clone()));
    }
    let mut links = vec![("self", page_url(query.before))];
    links.extend(page.next.map(|next| ("next", page_url(Some(next)))));
    let now = services.clock.now();
    let mut writer = Writer::new(
        "history",
        &services.ids.next(now),
        now,
        Some(page.total),
        &links,
    );
    for stored in &page.versions {
        writer.push(&entry(services, stored));
    }
    Ok(writer.finish())
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
