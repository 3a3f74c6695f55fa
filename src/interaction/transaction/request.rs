//! The entries of a batch or transaction, read: what each asks for, and where it goes wrong.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use fhir_model::issue::{Issue, IssueType};
use fhir_model::key::{LogicalId, ResourceKey};
use fhir_model::tree::{Node, NodeId, Tree};

use crate::error::{EntryError, Error};
use crate::interaction::transaction::shape;
use crate::interaction::write::{Change, Condition, Document, Expected};
use crate::interaction::{Services, invalid, search};
use crate::patch::{JSON_PATCH, Patch};

/// Entries of one Bundle at most: so many changes and audit rows fit in one transaction.
pub const ENTRIES_MAX: usize = 30_000;

/// One entry, read.
#[derive(Clone)]
pub(super) struct Request {
    /// Its place in the Bundle.
    pub(super) index: usize,
    pub(super) full_url: Option<String>,
    pub(super) resource: Option<NodeId>,
    pub(super) verb: Verb,
}

/// What an entry asks for.
#[derive(Clone)]
pub(super) enum Verb {
    Read(Read),
    Create {
        unless: Option<Condition>,
    },
    Update {
        key: ResourceKey,
        expected: Option<Expected>,
    },
    UpdateWhere {
        condition: Condition,
        expected: Option<Expected>,
    },
    Patch {
        key: ResourceKey,
        expected: Option<Expected>,
    },
    PatchWhere {
        condition: Condition,
        expected: Option<Expected>,
    },
    Delete {
        key: ResourceKey,
        expected: Option<Expected>,
    },
    DeleteWhere {
        condition: Condition,
    },
}

/// A `GET` or `HEAD`.
#[derive(Clone)]
pub(super) struct Read {
    /// Below the base.
    pub(super) url: String,
    pub(super) is_head: bool,
    /// `ifNoneMatch`.
    pub(super) known: Option<String>,
    /// `ifModifiedSince`.
    pub(super) known_since: Option<DateTime<Utc>>,
}

impl Verb {
    /// The order in which a transaction is applied.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Delete { .. } | Self::DeleteWhere { .. } => 0,
            Self::Create { .. } => 1,
            Self::Update { .. }
            | Self::UpdateWhere { .. }
            | Self::Patch { .. }
            | Self::PatchWhere { .. } => 2,
            Self::Read(_) => 3,
        }
    }

    /// Whether it may make a resource, which then needs an id.
    pub(super) fn may_create(&self) -> bool {
        matches!(self, Self::Create { .. } | Self::UpdateWhere { .. })
    }

    /// Whether only the store can tell by which key others refer to its resource.
    pub(super) fn awaits_identity(&self) -> bool {
        self.may_create() && self.condition().is_some()
    }

    /// The condition that singles out what it is about.
    pub(super) fn condition(&self) -> Option<&Condition> {
        match self {
            Self::Create { unless } => unless.as_ref(),
            Self::UpdateWhere { condition, .. }
            | Self::PatchWhere { condition, .. }
            | Self::DeleteWhere { condition } => Some(condition),
            Self::Read(_) | Self::Update { .. } | Self::Patch { .. } | Self::Delete { .. } => None,
        }
    }
}

/// The entries; each may be refused, and says so with its place.
pub(super) fn requests(
    services: &Services,
    tree: &Tree,
) -> Result<Vec<Result<Request, Error>>, Error> {
    shape::of_bundle(&services.definitions, tree.root())?;
    let entries = tree.root().get_str("entry").map(Node::items);
    let entries: Vec<Node<'_>> = entries.into_iter().flatten().collect();
    if entries.len() > ENTRIES_MAX {
        return Err(Error::TooLarge(format!(
            "the Bundle has {} entries, at most {ENTRIES_MAX} are taken; send it in parts",
            entries.len()
        )));
    }
    let read = |(index, entry)| request(services, index, entry);
    let read = entries.into_iter().enumerate().map(read);
    Ok(read
        .enumerate()
        .map(|(index, request)| request.map_err(|error| error.of_entry(index)))
        .collect())
}

fn request(services: &Services, index: usize, entry: Node<'_>) -> Result<Request, Error> {
    shape::of_entry(&services.definitions, index, entry)?;
    let missing = |text: &str| invalid(IssueType::Required, text);
    let request = entry
        .get_str("request")
        .ok_or_else(|| missing("the entry has no request"))?;
    let method = text(request, "method").ok_or_else(|| missing("request.method is missing"))?;
    let url = text(request, "url").ok_or_else(|| missing("request.url is missing"))?;
    let method = Method::parse(&method, index)?;
    method.check_conditions(request, index)?;
    let sent = entry.get_str("resource");
    let resource = method.resource(sent)?;
    let url = relative(services, &url);
    let path = url.split('?').next().unwrap_or_default();
    if path.contains('$') {
        return Err(Error::NotSupported(
            "operations are not called in a Bundle; call them by themselves".to_owned(),
        ));
    }
    let expected = expected(request, index)?;
    let verb = match method {
        Method::Get | Method::Head => Verb::Read(read(request, url, method, index)?),
        Method::Post => create(services, request, url, resource)?,
        Method::Put => update(services, url, expected)?,
        Method::Patch => patch(services, url, expected)?,
        Method::Delete => delete(services, url, expected, index)?,
    };
    Ok(Request {
        index,
        full_url: text(entry, "fullUrl").map(Cow::into_owned),
        resource: resource.map(Node::id),
        verb,
    })
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

/// <https://hl7.org/fhir/R4/valueset-http-verb.html>
const METHODS: &[(&str, Method)] = &[
    ("GET", Method::Get),
    ("HEAD", Method::Head),
    ("POST", Method::Post),
    ("PUT", Method::Put),
    ("PATCH", Method::Patch),
    ("DELETE", Method::Delete),
];

/// The conditions of a request, and the methods that they mean something to.
const CONDITIONS: &[(&str, &[Method])] = &[
    ("ifMatch", &[Method::Put, Method::Patch, Method::Delete]),
    ("ifNoneExist", &[Method::Post]),
    ("ifNoneMatch", &[Method::Get, Method::Head]),
    ("ifModifiedSince", &[Method::Get, Method::Head]),
];

impl Method {
    fn parse(name: &str, index: usize) -> Result<Self, Error> {
        let known = METHODS.iter().find(|(known, _)| *known == name);
        known.map(|(_, method)| *method).ok_or_else(|| {
            let known: Vec<&str> = METHODS.iter().map(|(name, _)| *name).collect();
            let text = format!("request.method is one of {}", known.join(", "));
            at(
                &place(index, "request.method"),
                IssueType::NotSupported,
                text,
            )
        })
    }

    fn name(self) -> &'static str {
        let found = METHODS.iter().find(|(_, method)| *method == self);
        found.map_or("", |(name, _)| name)
    }

    /// Refuses conditions that the method does not have: ignored, more would be done than was
    /// asked for.
    fn check_conditions(self, request: Node<'_>, index: usize) -> Result<(), Error> {
        let is_wrong = |(name, methods): &&(&str, &[Self])| {
            request.get_str(name).is_some() && !methods.contains(&self)
        };
        match CONDITIONS.iter().find(is_wrong) {
            None => Ok(()),
            Some((name, _)) => Err(at(
                &place(index, &format!("request.{name}")),
                IssueType::Invalid,
                format!("{} has no {name}", self.name()),
            )),
        }
    }

    /// The resource of a request that writes one; others have no use for it.
    fn resource(self, sent: Option<Node<'_>>) -> Result<Option<Node<'_>>, Error> {
        match (self, sent) {
            (Self::Post | Self::Put | Self::Patch, None) => Err(invalid(
                IssueType::Required,
                format!("{} needs a resource", self.name()),
            )),
            (Self::Post | Self::Put | Self::Patch, sent) => Ok(sent),
            _ => Ok(None),
        }
    }
}

/// A place within an entry.
fn place(index: usize, path: &str) -> String {
    format!("Bundle.entry[{index}].{path}")
}

/// The URL without our own base.
fn relative<'u>(services: &Services, url: &'u str) -> &'u str {
    services
        .own_base
        .strip(url)
        .unwrap_or(url)
        .trim_start_matches('/')
}

fn expected(request: Node<'_>, index: usize) -> Result<Option<Expected>, Error> {
    let Some(tag) = text(request, "ifMatch") else {
        return Ok(None);
    };
    Expected::parse(&tag).map(Some).ok_or_else(|| {
        at(
            &place(index, "request.ifMatch"),
            IssueType::Value,
            r#"ifMatch names no version; write it as W/"3""#,
        )
    })
}

fn read(request: Node<'_>, url: &str, method: Method, index: usize) -> Result<Read, Error> {
    let since = text(request, "ifModifiedSince").map(|text| {
        let instant = DateTime::parse_from_rfc3339(&text);
        instant.map(Into::into).map_err(|_| {
            at(
                &place(index, "request.ifModifiedSince"),
                IssueType::Value,
                "ifModifiedSince is no instant such as 2026-03-06T16:10:00-05:00",
            )
        })
    });
    Ok(Read {
        url: url.to_owned(),
        is_head: method == Method::Head,
        known: text(request, "ifNoneMatch").map(Cow::into_owned),
        known_since: since.transpose()?,
    })
}

fn create(
    services: &Services,
    request: Node<'_>,
    url: &str,
    resource: Option<Node<'_>>,
) -> Result<Verb, Error> {
    let resource_type = services.resource_type(url)?;
    let found = resource.and_then(|resource| text(resource, "resourceType"));
    if let Some(found) = found.filter(|found| **found != *resource_type.as_str()) {
        return Err(invalid(
            IssueType::Invalid,
            format!("the resource is a {found}, request.url names {resource_type}"),
        ));
    }
    let unless = text(request, "ifNoneExist")
        .map(|query| {
            // some clients send the whole URL of the search
            let query = query.split_once('?').map_or(&*query, |(_, query)| query);
            search::condition(services, &resource_type, query)
        })
        .transpose()?;
    Ok(Verb::Create { unless })
}

fn update(services: &Services, url: &str, expected: Option<Expected>) -> Result<Verb, Error> {
    Ok(match condition(services, url)? {
        Some(condition) => Verb::UpdateWhere {
            condition,
            expected,
        },
        None => Verb::Update {
            key: key(services, url)?,
            expected,
        },
    })
}

fn patch(services: &Services, url: &str, expected: Option<Expected>) -> Result<Verb, Error> {
    Ok(match condition(services, url)? {
        Some(condition) => Verb::PatchWhere {
            condition,
            expected,
        },
        None => Verb::Patch {
            key: key(services, url)?,
            expected,
        },
    })
}

fn delete(
    services: &Services,
    url: &str,
    expected: Option<Expected>,
    index: usize,
) -> Result<Verb, Error> {
    match condition(services, url)? {
        Some(_) if expected.is_some() => Err(at(
            &place(index, "request.ifMatch"),
            IssueType::Invalid,
            "a conditional DELETE has no ifMatch",
        )),
        Some(condition) => Ok(Verb::DeleteWhere { condition }),
        None => Ok(Verb::Delete {
            key: key(services, url)?,
            expected,
        }),
    }
}

/// The condition of `Type?query`.
fn condition(services: &Services, url: &str) -> Result<Option<Condition>, Error> {
    let Some((resource_type, query)) = url.split_once('?') else {
        return Ok(None);
    };
    let resource_type = services.resource_type(resource_type)?;
    search::condition(services, &resource_type, query).map(Some)
}

fn key(services: &Services, url: &str) -> Result<ResourceKey, Error> {
    match url.split_once('/') {
        Some((resource_type, id)) => services.key(resource_type, id),
        None => Err(invalid(
            IssueType::Value,
            format!("request.url {url} names no resource: Type/id is expected"),
        )),
    }
}

/// What an entry that writes changes; `id` is what it creates will have.
pub(super) fn change(
    services: &Services,
    tree: &Arc<Tree>,
    request: &Request,
    id: Option<LogicalId>,
) -> Result<Change, Error> {
    let document = || {
        let root = request.resource;
        root.map(|root| Document::within(tree, root))
            .ok_or_else(|| Error::Internal("an entry that writes has no resource".into()))
    };
    Ok(match request.verb.clone() {
        Verb::Create { unless } => Change::Create {
            document: document()?,
            unless,
            id,
        },
        Verb::Update { key, expected } => Change::Update {
            key,
            document: document()?,
            expected,
        },
        Verb::UpdateWhere {
            condition,
            expected,
        } => Change::UpdateWhere {
            document: document()?,
            condition,
            expected,
            id,
        },
        Verb::Patch { key, expected } => Change::Patch {
            key,
            patch: read_patch(services, &document()?)?,
            expected,
        },
        Verb::PatchWhere {
            condition,
            expected,
        } => Change::PatchWhere {
            condition,
            patch: read_patch(services, &document()?)?,
            expected,
        },
        Verb::Delete { key, expected } => Change::Delete { key, expected },
        Verb::DeleteWhere { condition } => Change::DeleteWhere { condition },
        Verb::Read(_) => return Err(Error::Internal("a read is no change".into())),
    })
}

/// The patch in the resource of an entry: a Parameters, or a Binary that holds a JSON Patch:
/// <https://hl7.org/fhir/R4/http.html#jsonpatch>.
fn read_patch(services: &Services, document: &Document) -> Result<Arc<Patch>, Error> {
    let node = document.node();
    let patch = match text(node, "resourceType").as_deref() {
        Some("Parameters") => {
            let mut json = String::with_capacity(document.size());
            node.write(&mut json);
            let tree = Tree::parse(json, services.definitions.names(), &services.parse_limits);
            Patch::fhirpath(tree.map_err(|error| Error::Internal(error.into()))?)
        }
        Some("Binary") if text(node, "contentType").as_deref() == Some(JSON_PATCH) => {
            let data = text(node, "data").unwrap_or_default();
            let json = fhirpath::base64_bytes(&data).ok_or_else(|| {
                invalid(IssueType::Value, "Binary.data is no base64 of a JSON Patch")
            })?;
            Patch::json(&json, &services.parse_limits)
        }
        _ => {
            return Err(invalid(
                IssueType::NotSupported,
                format!("PATCH needs a Parameters, or a Binary of contentType {JSON_PATCH}"),
            ));
        }
    };
    Ok(Arc::new(patch?))
}

/// No two entries of a transaction may be about the same resource, or go by the same name:
/// <https://hl7.org/fhir/R4/http.html#trules>, <https://hl7.org/fhir/R4/bundle-definitions.html#bdl-7>.
pub(super) fn once_each(requests: &[Request]) -> Result<(), Error> {
    let (mut keys, mut names) = (HashMap::new(), HashMap::new());
    let mut refused = Vec::new();
    for request in requests {
        let index = request.index;
        let mut twice = |earlier: Option<usize>, text: &str| {
            let Some(earlier) = earlier else { return };
            let text = format!("entry {earlier} {text}");
            refused.push(EntryError {
                place: format!("Bundle.entry[{index}]"),
                error: invalid(IssueType::Invalid, text),
            });
        };
        if let Verb::Update { key, .. } | Verb::Patch { key, .. } | Verb::Delete { key, .. } =
            &request.verb
        {
            let text = "is about the same resource; a transaction may name a resource once";
            twice(keys.insert(key, index), text);
        }
        let is_read = matches!(request.verb, Verb::Read(_));
        if let Some(name) = request.full_url.as_ref().filter(|_| !is_read) {
            let text = "has the same fullUrl; references to it could mean either";
            twice(names.insert(name, index), text);
        }
    }
    if refused.is_empty() {
        Ok(())
    } else {
        Err(Error::Entries(refused))
    }
}

pub(super) fn text<'a>(node: Node<'a>, key: &str) -> Option<Cow<'a, str>> {
    node.get_str(key)?.as_str()
}

pub(super) fn at(location: &str, code: IssueType, text: impl Into<String>) -> Error {
    Error::Invalid(vec![Issue::error(code, text).at(location)])
}
