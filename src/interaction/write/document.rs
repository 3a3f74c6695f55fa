//! A resource that is to be written: a node of a parsed tree.

use std::sync::Arc;

use chrono::SecondsFormat;
use fhir_model::issue::IssueType;
use fhir_model::key::{ResourceKey, ResourceType, VersionId};
use fhir_model::tree::{Limits, Node, NodeId, Stamp, TagStamp, Tree};

use crate::clock::Instant;
use crate::error::Error;
use crate::interaction::{Services, invalid};

/// A resource somewhere in a parsed tree: the whole of it, or an entry of a Bundle.
#[derive(Clone)]
pub struct Document {
    tree: Arc<Tree>,
    root: NodeId,
}

impl Document {
    /// The resource that is the whole tree.
    pub fn new(tree: Tree) -> Self {
        let root = tree.root().id();
        Self {
            tree: Arc::new(tree),
            root,
        }
    }

    /// The resource at a node of a shared tree.
    pub fn within(tree: &Arc<Tree>, root: NodeId) -> Self {
        Self {
            tree: Arc::clone(tree),
            root,
        }
    }

    /// The resource at a node of the same tree.
    #[must_use]
    pub fn part(&self, root: NodeId) -> Self {
        Self {
            tree: Arc::clone(&self.tree),
            root,
        }
    }

    /// Reads a resource that Baton itself made.
    ///
    /// # Errors
    /// [`Error::Internal`]: what Baton makes is always a resource.
    pub fn from_value(services: &Services, value: &serde_json::Value) -> Result<Self, Error> {
        Tree::from_value(value, services.definitions.names())
            .map(Self::new)
            .map_err(|error| Error::Internal(error.into()))
    }

    /// The resource.
    pub fn node(&self) -> Node<'_> {
        self.tree
            .node(self.root)
            .unwrap_or_else(|| self.tree.root())
    }

    /// How long its text is, in bytes.
    pub fn size(&self) -> usize {
        self.node().raw_text().len()
    }

    /// Its `id`, when it has one that is a string.
    pub fn id(&self) -> Option<String> {
        Some(self.node().get_str("id")?.as_str()?.into_owned())
    }

    /// Its type, which must be one of R4.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a `resourceType`, [`Error::UnknownType`] with a wrong one.
    pub fn resource_type(&self, services: &Services) -> Result<ResourceType, Error> {
        let name = self
            .node()
            .get_str("resourceType")
            .and_then(Node::as_str)
            .ok_or_else(|| {
                invalid(
                    IssueType::Structure,
                    "the body is not a resource: it has no resourceType",
                )
            })?;
        services.resource_type(&name)
    }

    /// Whether it has a tag of this system.
    pub(super) fn has_tag(&self, system: &str) -> bool {
        let tags = self
            .node()
            .get_str("meta")
            .and_then(|meta| meta.get_str("tag"));
        tags.into_iter().flat_map(Node::items).any(|tag| {
            let found = tag.get_str("system").and_then(Node::as_str);
            found.as_deref() == Some(system)
        })
    }

    /// The same with this code, or none, as its only tag of a system. This parses once more: it
    /// happens to what is wrong, or was.
    pub(super) fn tagged(
        &self,
        services: &Services,
        system: &str,
        code: Option<&str>,
    ) -> Result<Self, Error> {
        let stamp = Stamp {
            tag: Some(TagStamp { system, code }),
            ..Stamp::default()
        };
        let mut text = String::with_capacity(self.node().raw_text().len() + STAMP_BYTES);
        self.tree.write_stamped(self.root, stamp, &mut text);
        Tree::parse(text, services.definitions.names(), &Limits::CEILING)
            .map(Self::new)
            .map_err(|error| Error::Internal(error.into()))
    }

    /// Its text as it is stored: id, version and instant put in.
    pub(super) fn stamped(
        &self,
        key: &ResourceKey,
        version: VersionId,
        last_updated: Instant,
    ) -> String {
        let instant = instant_text(last_updated);
        let stamp = Stamp {
            resource_type: None,
            id: Some(key.id.as_str()),
            version_id: Some(version),
            last_updated: Some(&instant),
            tag: None,
        };
        let mut text = String::with_capacity(self.node().raw_text().len() + STAMP_BYTES);
        self.tree.write_stamped(self.root, stamp, &mut text);
        text
    }
}

/// Room for `id`, `meta.versionId` and `meta.lastUpdated`.
const STAMP_BYTES: usize = 160;

/// An instant as FHIR writes it, in UTC, to the millisecond.
pub fn instant_text(instant: Instant) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Millis, true)
}
