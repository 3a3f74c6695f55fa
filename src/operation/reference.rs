//! What a resource refers to: the literal references in it, wherever they stand.
//!
//! <https://hl7.org/fhir/R4/references.html>. Search parameters do not find them all, so the whole
//! resource is looked through. Following them is left to who asks.

use fhir_model::key::{ResourceKey, VersionId};
use fhir_model::reference::{BaseUrl, Reference};
use fhir_model::tree::{Limits, Node, Tree};

use crate::error::Error;
use crate::interaction::Services;
use crate::store::Stored;

/// A reference in a resource.
pub struct Found<'t> {
    /// Where it stands.
    pub node: Node<'t>,
    /// What it points at.
    pub target: Target,
}

/// What a reference points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A resource of this server, perhaps a version of it.
    Local(ResourceKey, Option<VersionId>),
    /// Something else, by what the reference says.
    Elsewhere(String),
}

/// The literal references below a node; those to contained resources are left out. The URL of an
/// attachment is one where it names a Binary of this server.
pub fn all<'t>(node: Node<'t>, own_base: &BaseUrl) -> impl Iterator<Item = Found<'t>> {
    node.descendants().filter_map(move |node| {
        let is_reference = node.has_key("reference");
        if !is_reference && !node.has_key("url") {
            return None;
        }
        let target = target(&node.as_str()?, own_base)?;
        let is_binary = matches!(
            &target,
            Target::Local(key, _) if key.resource_type.as_str() == "Binary"
        );
        (is_reference || is_binary).then_some(Found { node, target })
    })
}

fn target(text: &str, own_base: &BaseUrl) -> Option<Target> {
    match Reference::parse(text, Some(own_base)) {
        Reference::Local(target) => {
            let version = target.version.and_then(|text| VersionId::parse(text).ok());
            Some(Target::Local(target.key()?, version))
        }
        Reference::Contained(_) => None,
        _ => Some(Target::Elsewhere(text.to_owned())),
    }
}

/// A stored resource, parsed.
///
/// # Errors
/// [`Error::Internal`]: what is stored is always JSON.
pub fn tree(services: &Services, stored: &Stored) -> Result<Tree, Error> {
    let text = stored.text.as_deref().unwrap_or_default().to_owned();
    Tree::parse(text, services.definitions.names(), &Limits::CEILING)
        .map_err(|error| Error::Internal(error.into()))
}
