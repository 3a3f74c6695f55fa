//! The entries of a batch or transaction, read: what each asks for, and where it goes wrong.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use fhir_model::issue::{Issue, IssueType};
use fhir_model::key::{LogicalId, ResourceKey, VersionId};
use fhir_model::tree::{Node, NodeId, Tree};

use crate::error::Error;
use crate::interaction::write::{Change, Condition, Document};
use crate::interaction::{Services, invalid, search};

/// Entries of one Bundle at most.
pub const ENTRIES_MAX: usize = 100_000;

/// One entry, read.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) full_url: Option<String>,
    pub(super) resource: Option<NodeId>,
    pub(super) verb: Verb,
}

/// What an entry asks for.
#[derive(Clone)]
pub(super) enum Verb {
    Get(String),
    Create {
        unless: Option<Condition>,
    },
    Update {
        key: ResourceKey,
        expected: Option<VersionId>,
    },
    UpdateWhere {
        condition: Condition,
        expected: Option<VersionId>,
    },
    Delete {
        key: ResourceKey,
        expected: Option<VersionId>,
    },
    DeleteWhere {
        condition: Condition,
    },
}

impl Verb {
    /// The order in which a transaction is applied.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Delete { .. } | Self::DeleteWhere { .. } => 0,
            Self::Create { .. } => 1,
            Self::Update { .. } | Self::UpdateWhere { .. } => 2,
            Self::Get(_) => 3,
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
            Self::UpdateWhere { condition, .. } | Self::DeleteWhere { condition } => {
                Some(condition)
            }
            Self::Get(_) | Self::Update { .. } | Self::Delete { .. } => None,
        }
    }
}

pub(super) fn requests(
    services: &Services,
    tree: &Tree,
) -> Result<Vec<Result<Request, Error>>, Error> {
    let entries = tree.root().get_str("entry").map(Node::items);
    let entries: Vec<Node<'_>> = entries.into_iter().flatten().collect();
    if entries.len() > ENTRIES_MAX {
        return Err(at(
            "Bundle.entry",
            IssueType::TooLong,
            format!(
                "the Bundle has {} entries, at most {ENTRIES_MAX} are taken",
                entries.len()
            ),
        ));
    }
    Ok(entries
        .into_iter()
        .map(|entry| request(services, entry))
        .collect())
}

fn request(services: &Services, entry: Node<'_>) -> Result<Request, Error> {
    let location = entry.location();
    read(services, entry, &location).map_err(|error| within(&location, error))
}

fn read(services: &Services, entry: Node<'_>, location: &str) -> Result<Request, Error> {
    let request = entry
        .get_str("request")
        .ok_or_else(|| at(location, IssueType::Required, "the entry has no request"))?;
    let method = text(request, "method")
        .ok_or_else(|| at(location, IssueType::Required, "request.method is missing"))?;
    let url = text(request, "url")
        .ok_or_else(|| at(location, IssueType::Required, "request.url is missing"))?;
    let url = relative(services, &url);
    let expected = expected(request, location)?;
    let resource = entry.get_str("resource");
    let verb = match method.as_ref() {
        "GET" => Verb::Get(url.to_owned()),
        "POST" => create(services, request, url, resource)?,
        "PUT" => update(services, url, expected)?,
        "DELETE" => delete(services, url, expected)?,
        other => {
            return Err(at(
                location,
                IssueType::NotSupported,
                format!("request.method {other} is not supported; GET, POST, PUT and DELETE are"),
            ));
        }
    };
    let needs_resource = matches!(method.as_ref(), "POST" | "PUT");
    if needs_resource && resource.is_none() {
        return Err(at(
            location,
            IssueType::Required,
            format!("{method} needs a resource"),
        ));
    }
    Ok(Request {
        full_url: text(entry, "fullUrl").map(Cow::into_owned),
        resource: resource.map(Node::id),
        verb,
    })
}

/// The URL without our own base.
fn relative<'u>(services: &Services, url: &'u str) -> &'u str {
    url.strip_prefix(services.base_url.as_ref())
        .unwrap_or(url)
        .trim_start_matches('/')
}

fn expected(request: Node<'_>, location: &str) -> Result<Option<VersionId>, Error> {
    let Some(tag) = text(request, "ifMatch") else {
        return Ok(None);
    };
    let version = tag.trim().trim_start_matches("W/").trim_matches('"');
    VersionId::parse(version).map(Some).map_err(|error| {
        at(
            location,
            IssueType::Value,
            format!("request.ifMatch: {error}"),
        )
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
        .map(|query| search::condition(services, &resource_type, query.trim_start_matches('?')))
        .transpose()?;
    Ok(Verb::Create { unless })
}

fn update(services: &Services, url: &str, expected: Option<VersionId>) -> Result<Verb, Error> {
    match url.split_once('?') {
        Some((resource_type, query)) => {
            let resource_type = services.resource_type(resource_type)?;
            let condition = search::condition(services, &resource_type, query)?;
            Ok(Verb::UpdateWhere {
                condition,
                expected,
            })
        }
        None => Ok(Verb::Update {
            key: key(services, url)?,
            expected,
        }),
    }
}

fn delete(services: &Services, url: &str, expected: Option<VersionId>) -> Result<Verb, Error> {
    match url.split_once('?') {
        Some((resource_type, query)) => {
            let resource_type = services.resource_type(resource_type)?;
            let condition = search::condition(services, &resource_type, query)?;
            Ok(Verb::DeleteWhere { condition })
        }
        None => Ok(Verb::Delete {
            key: key(services, url)?,
            expected,
        }),
    }
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

pub(super) enum Get {
    Read(ResourceKey),
    Vread(ResourceKey, VersionId),
    Search(String, String),
}

pub(super) fn read_target(services: &Services, url: &str) -> Result<Get, Error> {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let segments: Vec<&str> = path.split('/').collect();
    match segments.as_slice() {
        [resource_type] => Ok(Get::Search((*resource_type).to_owned(), query.to_owned())),
        [resource_type, id] => Ok(Get::Read(services.key(resource_type, id)?)),
        [resource_type, id, "_history", version] => {
            let version = VersionId::parse(version)
                .map_err(|error| invalid(IssueType::Value, error.to_string()))?;
            Ok(Get::Vread(services.key(resource_type, id)?, version))
        }
        _ => Err(Error::NotSupported(format!(
            "GET {path} is not supported in a Bundle"
        ))),
    }
}

pub(super) fn change(
    tree: &Arc<Tree>,
    request: &Request,
    id: Option<LogicalId>,
) -> Result<Change, Error> {
    let document = request.resource.map(|root| Document::within(tree, root));
    let document = || {
        document
            .clone()
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
        Verb::Delete { key, expected } => Change::Delete { key, expected },
        Verb::DeleteWhere { condition } => Change::DeleteWhere { condition },
        Verb::Get(url) => return Err(Error::Internal(format!("GET {url} is no change").into())),
    })
}

/// Two entries must not be about the same resource.
pub(super) fn once_each(requests: &[Request]) -> Result<(), Error> {
    let mut seen = HashMap::new();
    for (index, request) in requests.iter().enumerate() {
        let (Verb::Update { key, .. } | Verb::Delete { key, .. }) = &request.verb else {
            continue;
        };
        if let Some(earlier) = seen.insert(key, index) {
            return Err(at(
                &format!("Bundle.entry[{index}]"),
                IssueType::Invalid,
                format!(
                    "{key} is written by entry {earlier} already; a transaction may name a resource once"
                ),
            ));
        }
    }
    Ok(())
}

pub(super) fn text<'a>(node: Node<'a>, key: &str) -> Option<Cow<'a, str>> {
    node.get_str(key)?.as_str()
}

pub(super) fn at(location: &str, code: IssueType, text: impl Into<String>) -> Error {
    Error::Invalid(vec![Issue::error(code, text).at(location)])
}

/// The error of an entry, its place in the Bundle put first.
pub(super) fn within(location: &str, error: Error) -> Error {
    let placed = |issues: Vec<Issue>| {
        let place = |issue: Issue| {
            let inner = issue.location.clone();
            if inner.starts_with("Bundle.") {
                return issue;
            }
            let tail = inner
                .split_once('.')
                .map(|(_, tail)| format!(".resource.{tail}"));
            issue.at(format!("{location}{}", tail.unwrap_or_default()))
        };
        issues.into_iter().map(place).collect()
    };
    match error {
        Error::Invalid(issues) => Error::Invalid(placed(issues)),
        Error::Unprocessable(issues) => Error::Unprocessable(placed(issues)),
        other => other,
    }
}
