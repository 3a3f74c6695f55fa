//! Which namespace a prefix stands for: <https://www.w3.org/TR/xml-names/>.
//!
//! Four are told apart; what others are called does not matter.

use crate::xml::error::XmlErrorKind;
use crate::xml::{FHIR, XHTML};

/// The namespace of `xsi:schemaLocation`, which says nothing about a resource.
const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// As many declarations may be in scope at once; each element looks through them.
const DECLARATIONS_MAX: usize = 64;

/// A namespace, as far as we tell them apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Space {
    Fhir,
    Xhtml,
    SchemaInstance,
    Other,
}

impl Space {
    fn of(name: &str) -> Self {
        match name {
            FHIR => Self::Fhir,
            XHTML => Self::Xhtml,
            SCHEMA_INSTANCE => Self::SchemaInstance,
            _ => Self::Other,
        }
    }
}

struct Declaration<'x> {
    prefix: &'x str,
    space: Space,
    depth: usize,
}

/// The declarations in scope.
#[derive(Default)]
pub(super) struct Namespaces<'x> {
    declarations: Vec<Declaration<'x>>,
}

impl<'x> Namespaces<'x> {
    /// The prefix that an attribute declares; empty for the default namespace.
    pub(super) fn declared_by(attribute: &'x str) -> Option<&'x str> {
        match attribute.strip_prefix("xmlns")? {
            "" => Some(""),
            rest => rest.strip_prefix(':'),
        }
    }

    /// Takes a declaration of an element at this depth.
    pub(super) fn declare(
        &mut self,
        prefix: &'x str,
        name: &str,
        depth: usize,
    ) -> Result<(), XmlErrorKind> {
        if self.declarations.len() >= DECLARATIONS_MAX {
            return Err(XmlErrorKind::TooManyNamespaces {
                limit: DECLARATIONS_MAX,
            });
        }
        self.declarations.push(Declaration {
            prefix,
            space: Space::of(name),
            depth,
        });
        Ok(())
    }

    /// The namespace of a prefix, that of elements without one if it is empty.
    pub(super) fn of(&self, prefix: &str) -> Space {
        self.declarations
            .iter()
            .rev()
            .find(|declaration| declaration.prefix == prefix)
            .map_or(Space::Other, |declaration| declaration.space)
    }

    /// Forgets the declarations of the elements at this depth.
    pub(super) fn leave(&mut self, depth: usize) {
        while self
            .declarations
            .pop_if(|declaration| declaration.depth >= depth)
            .is_some()
        {}
    }
}
