//! `$everything` of a patient and of an encounter.
//!
//! <https://hl7.org/fhir/R4/operation-patient-everything.html>,
//! <https://hl7.org/fhir/R4/operation-encounter-everything.html>. The resource itself comes first,
//! then its compartment in the order of the store's keys, then what those refer to and no patient
//! owns (practitioners, organizations, locations, medications, …), each once. Records of other
//! patients are never among them. Without `_count` the Bundle is sent while it is read, in pieces of
//! bounded size; with it, it comes in pages by a token that is a place in the same order.

use std::borrow::Cow;
use std::sync::Arc;

use fhir_model::issue::{Issue, IssueType, OperationOutcome};
use fhir_model::key::ResourceKey;
use futures_util::{StreamExt as _, stream};

use crate::error::Error;
use crate::interaction::bundle::{Entry, Writer};
use crate::interaction::operations::On;
use crate::interaction::{Services, invalid, read, url};
use crate::operation::call::{Answer, Call};
use crate::store::Stored;

mod request;
mod walk;

use request::Request;
use walk::{Place, Walk};

/// A piece of a Bundle that is sent while it is read is about so long.
const PIECE_BYTES: usize = 64 << 10;

/// `Patient/[id]/$everything` and `Encounter/[id]/$everything`.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Gone`] as a read; [`Error::Invalid`] for a wrong parameter.
pub async fn everything(call: Call) -> Result<Answer, Error> {
    let services = Arc::clone(&call.context.services);
    let On::Instance(key) = &call.on else {
        return Err(invalid(
            IssueType::Invalid,
            "a resource is named in the URL",
        ));
    };
    let request = Request::read(&services, &call.input)?;
    let whose = read::read(&services, key).await?;
    // What is written in another form is made of the whole answer, which must not be too long.
    let page = match request.count {
        None if call.may_stream => None,
        count => Some(count.unwrap_or(services.page_counts.max)),
    };
    let walk = Walk::new(Arc::clone(&services), whose, request)?;
    match page {
        None => Ok(Answer::Stream(stream(services, key, walk))),
        Some(count) => paged(&services, key, walk, count)
            .await
            .map(Answer::Resource),
    }
}

/// One page, with the place where the next one starts.
async fn paged(
    services: &Services,
    key: &ResourceKey,
    mut walk: Walk,
    count: u32,
) -> Result<String, Error> {
    let wanted = usize::try_from(count).unwrap_or(usize::MAX);
    let mut found = Vec::new();
    while found.len() < wanted && walk.place != Place::End {
        let rest = u32::try_from(wanted - found.len()).unwrap_or(count);
        found.extend(walk.next(rest).await?);
    }
    // Filters may leave nothing of what is to come: then there is no next page.
    let next = match &walk.place {
        Place::End => None,
        place => Some(place.to_string()),
    };
    let link = |page: Option<String>| {
        let mut pairs = walk.request.pairs.clone();
        pairs.retain(|(name, _)| name != request::PAGE);
        if walk.request.count.is_none() {
            pairs.push((request::COUNT.to_owned(), count.to_string()));
        }
        pairs.extend(page.map(|page| (request::PAGE.to_owned(), page)));
        self_link(services, key, &pairs)
    };
    let mut links = vec![(
        "self",
        link(walk.request.page.as_ref().map(Place::to_string)),
    )];
    links.extend(next.map(|next| ("next", link(Some(next)))));
    let now = services.clock.now();
    let mut writer = Writer::new("searchset", &services.ids.next(now), now, None, &links);
    for stored in &found {
        writer.push(&entry(services, stored, walk.is_member(stored)));
    }
    note(&mut writer, &walk);
    Ok(writer.finish())
}

/// What a stream is made of, between two of its pieces.
struct Sending {
    services: Arc<Services>,
    walk: Walk,
    writer: Option<Writer>,
}

/// The whole Bundle, piece by piece.
fn stream(
    services: Arc<Services>,
    key: &ResourceKey,
    walk: Walk,
) -> stream::BoxStream<'static, Result<String, Error>> {
    let now = services.clock.now();
    let links = [("self", self_link(&services, key, &walk.request.pairs))];
    let writer = Writer::new("searchset", &services.ids.next(now), now, None, &links);
    let sending = Sending {
        services,
        walk,
        writer: Some(writer),
    };
    let pieces = stream::unfold(sending, |mut sending| async move {
        let piece = sending.piece().await?;
        Some((piece, sending))
    });
    // Who compresses the answer asks once more after the end.
    Box::pin(pieces.fuse())
}

impl Sending {
    /// The next piece; nothing after the last, or after an error.
    async fn piece(&mut self) -> Option<Result<String, Error>> {
        let mut writer = self.writer.take()?;
        let mut text = writer.take();
        while text.len() < PIECE_BYTES && self.walk.place != Place::End {
            let found = match self.walk.next(walk::ROWS_MAX).await {
                Ok(found) => found,
                Err(error) => return Some(Err(error)),
            };
            for stored in &found {
                writer.push(&entry(&self.services, stored, self.walk.is_member(stored)));
            }
            text.push_str(&writer.take());
        }
        if self.walk.place == Place::End {
            note(&mut writer, &self.walk);
            text.push_str(&writer.finish());
        } else {
            self.writer = Some(writer);
        }
        Some(Ok(text))
    }
}

fn self_link(services: &Services, key: &ResourceKey, pairs: &[(String, String)]) -> String {
    let query = url::encode(pairs);
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}/{key}/$everything{mark}{query}", services.base_url)
}

fn entry<'a>(services: &Services, stored: &'a Stored, is_member: bool) -> Entry<'a> {
    Entry {
        full_url: Some(format!("{}/{}", services.base_url, stored.key)),
        resource: stored.text.as_deref().map(Cow::Borrowed),
        search_mode: Some(if is_member { "match" } else { "include" }),
        ..Entry::default()
    }
}

/// Says when not everything is there.
fn note(writer: &mut Writer, walk: &Walk) {
    if !walk.is_cut() {
        return;
    }
    let text = format!(
        "more than {} resources are referred to; the others were left out",
        walk::OUTSIDE_MAX
    );
    let outcome = OperationOutcome::new(vec![Issue::warning(IssueType::TooCostly, text)]);
    writer.push(&Entry {
        resource: Some(Cow::Owned(outcome.to_json())),
        search_mode: Some("outcome"),
        ..Entry::default()
    });
}
