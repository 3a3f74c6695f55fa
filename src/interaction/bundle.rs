//! Bundles that Baton answers with: `searchset`, `history`, `transaction-response` and
//! `batch-response`, written around stored texts that are not parsed again.
//!
//! <https://hl7.org/fhir/R4/bundle.html>

use std::borrow::Cow;
use std::fmt::Write as _;

use fhir_model::tree::push_json_string;

use crate::clock::Instant;
use crate::interaction::write::instant_text;
use crate::store::{ChangeKind, Stored};

/// What an entry says beside its resource.
#[derive(Default)]
pub struct Entry<'a> {
    /// `fullUrl`.
    pub full_url: Option<String>,
    /// The resource as text.
    pub resource: Option<Cow<'a, str>>,
    /// `search.mode`.
    pub search_mode: Option<&'static str>,
    /// `search.score` and the code of the extension match-grade.
    pub score: Option<(f64, &'static str)>,
    /// `request.method` and `request.url`.
    pub request: Option<(&'static str, String)>,
    /// `response`.
    pub response: Option<Response>,
}

/// `Bundle.entry.response`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// The status line without the protocol: `201 Created`.
    pub status: String,
    /// `location`.
    pub location: Option<String>,
    /// `etag`.
    pub etag: Option<String>,
    /// `lastModified`.
    pub last_modified: Option<Instant>,
    /// `outcome`, as text.
    pub outcome: Option<String>,
}

/// Writes a Bundle entry by entry.
pub struct Writer {
    text: String,
    entries: usize,
}

impl Writer {
    /// A Bundle of this type, with its links.
    pub fn new(
        bundle_type: &str,
        id: &str,
        at: Instant,
        total: Option<u64>,
        links: &[(&str, String)],
    ) -> Self {
        let mut text = format!(
            r#"{{"resourceType":"Bundle","id":"{id}","meta":{{"lastUpdated":"{}"}},"type":"{bundle_type}""#,
            instant_text(at)
        );
        if let Some(total) = total {
            let _ = write!(text, r#","total":{total}"#);
        }
        if !links.is_empty() {
            text.push_str(r#","link":["#);
            for (index, (relation, url)) in links.iter().enumerate() {
                text.push_str(if index > 0 { "," } else { "" });
                let _ = write!(text, r#"{{"relation":"{relation}","url":"#);
                push_json_string(&mut text, url);
                text.push('}');
            }
            text.push(']');
        }
        Self { text, entries: 0 }
    }

    /// Adds an entry.
    pub fn push(&mut self, entry: &Entry<'_>) {
        self.text.push_str(if self.entries == 0 {
            r#","entry":["#
        } else {
            ","
        });
        self.entries += 1;
        let mut members = Members {
            text: &mut self.text,
            first: true,
        };
        members.text.push('{');
        if let Some(full_url) = &entry.full_url {
            members.string("fullUrl", full_url);
        }
        if let Some(resource) = &entry.resource {
            members.raw("resource", resource);
        }
        if let Some(mode) = entry.search_mode {
            members.raw("search", &search(mode, entry.score));
        }
        if let Some((method, url)) = &entry.request {
            members.open("request");
            members.string("method", method);
            members.string("url", url);
            members.close();
        }
        if let Some(response) = &entry.response {
            members.open("response");
            members.response(response);
            members.close();
        }
        self.text.push('}');
    }

    /// Adds another property, as JSON; before the first entry.
    pub fn raw(&mut self, name: &str, json: &str) {
        let _ = write!(self.text, r#","{name}":{json}"#);
    }

    /// What was written since the last time, for who sends it piece by piece.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// The Bundle, or the rest of it.
    pub fn finish(mut self) -> String {
        self.text
            .push_str(if self.entries > 0 { "]}" } else { "}" });
        self.text
    }
}

/// How certain a match of a patient is:
/// <https://hl7.org/fhir/R4/extension-match-grade.html>.
const MATCH_GRADE: &str = "http://hl7.org/fhir/StructureDefinition/match-grade";

/// `Bundle.entry.search`.
fn search(mode: &str, score: Option<(f64, &str)>) -> String {
    match score {
        None => format!(r#"{{"mode":"{mode}"}}"#),
        Some((score, grade)) => format!(
            r#"{{"extension":[{{"url":"{MATCH_GRADE}","valueCode":"{grade}"}}],"mode":"{mode}","score":{score:.2}}}"#
        ),
    }
}

struct Members<'t> {
    text: &'t mut String,
    first: bool,
}

impl Members<'_> {
    fn key(&mut self, key: &str) {
        let comma = if self.first { "" } else { "," };
        self.first = false;
        let _ = write!(self.text, r#"{comma}"{key}":"#);
    }

    fn string(&mut self, key: &str, value: &str) {
        self.key(key);
        push_json_string(self.text, value);
    }

    fn raw(&mut self, key: &str, json: &str) {
        self.key(key);
        self.text.push_str(json);
    }

    fn open(&mut self, key: &str) {
        self.raw(key, "{");
        self.first = true;
    }

    fn close(&mut self) {
        self.text.push('}');
        self.first = false;
    }

    fn response(&mut self, response: &Response) {
        self.string("status", &response.status);
        if let Some(location) = &response.location {
            self.string("location", location);
        }
        if let Some(etag) = &response.etag {
            self.string("etag", etag);
        }
        if let Some(last_modified) = response.last_modified {
            self.string("lastModified", &instant_text(last_modified));
        }
        if let Some(outcome) = &response.outcome {
            self.raw("outcome", outcome);
        }
    }
}

/// The entity tag of a version: `W/"3"`.
pub fn etag(stored: &Stored) -> String {
    format!(r#"W/"{}""#, stored.version)
}

/// `Type/id/_history/version`.
pub fn version_path(stored: &Stored) -> String {
    format!("{}/_history/{}", stored.key, stored.version)
}

/// The request that makes such a version, as a history entry tells it.
pub fn request(stored: &Stored) -> (&'static str, String) {
    match stored.kind {
        ChangeKind::Create => ("POST", stored.key.resource_type.to_string()),
        ChangeKind::CreateByUpdate | ChangeKind::Update => ("PUT", stored.key.to_string()),
        ChangeKind::Delete => ("DELETE", stored.key.to_string()),
    }
}
