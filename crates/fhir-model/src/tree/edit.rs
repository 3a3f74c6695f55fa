//! Small edits without a second parse, and trees from and to [`serde_json::Value`].
//!
//! An edit appends its text behind the source and points the node there. Larger rewrites (a JSON
//! Patch, a resource we construct) go through `serde_json::Value`.

use serde_json::{Map, Number, Value};

use crate::name::Names;
use crate::tree::parse::offset;
use crate::tree::text::push_escaped;
use crate::tree::{Flags, Kind, Limits, Node, NodeId, ParseError, Tree};

/// Why a node cannot be given another text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EditError {
    /// There is no such node.
    #[error("there is no such node")]
    NoSuchNode,
    /// The node is an object or array.
    #[error("an object or array cannot become a string")]
    NotScalar,
    /// All edits together are longer than a tree can hold.
    #[error("the edited text is longer than a tree can hold")]
    TooLarge,
}

/// Why a [`Value`] is no tree.
#[derive(Debug, thiserror::Error)]
pub enum FromValueError {
    /// The value is not an object, or nests too deep.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The value has no JSON text.
    #[error("the value cannot be written as JSON")]
    Write(#[source] serde_json::Error),
}

impl Tree {
    /// Makes a string, number, boolean or null this string.
    pub fn set_string(&mut self, id: NodeId, value: &str) -> Result<(), EditError> {
        let kind = self.node(id).ok_or(EditError::NoSuchNode)?.kind();
        if matches!(kind, Kind::Object | Kind::Array) {
            return Err(EditError::NotScalar);
        }
        let start = self.text.len();
        let is_escaped = push_escaped(&mut self.text, value);
        if u32::try_from(self.text.len()).is_err() {
            self.text.truncate(start);
            return Err(EditError::TooLarge);
        }
        let entry = self
            .nodes
            .get_mut(id.index())
            .ok_or(EditError::NoSuchNode)?;
        entry.kind = Kind::String;
        entry.start = offset(start);
        entry.end = offset(self.text.len());
        entry.flags = entry.flags.without(Flags::ESCAPED);
        if is_escaped {
            entry.flags = entry.flags.with(Flags::ESCAPED);
        }
        self.verbatim = false;
        Ok(())
    }

    /// The tree of a resource that we constructed, with its properties in their order.
    pub fn from_value(value: &Value, names: &Names) -> Result<Self, FromValueError> {
        let text = serde_json::to_vec(value).map_err(FromValueError::Write)?;
        Ok(Self::parse(text, names, &Limits::CEILING)?)
    }

    /// A node as a [`Value`]; numbers keep their digits, exponents become `e+2` or `e-2`.
    pub fn to_value(&self, id: NodeId) -> Value {
        self.node(id).map_or(Value::Null, value)
    }
}

/// Recurses no deeper than [`Limits::DEPTH_CEILING`].
fn value(node: Node<'_>) -> Value {
    match node.kind() {
        Kind::Object => {
            let member = |node: Node<'_>| (node.key().into_owned(), value(node));
            Value::Object(node.children().map(member).collect::<Map<_, _>>())
        }
        Kind::Array => Value::Array(node.children().map(value).collect()),
        Kind::String => Value::String(node.as_str().unwrap_or_default().into_owned()),
        // A number of JSON's grammar is one of serde_json's.
        Kind::Number => Value::Number(node.raw_text().parse().unwrap_or_else(|_| Number::from(0))),
        Kind::Boolean => Value::Bool(node.as_bool() == Some(true)),
        Kind::Null => Value::Null,
    }
}
