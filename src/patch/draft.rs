//! A JSON value under edit, over the trees that it is made of.
//!
//! What is not touched stays a node of its tree and is written to the letter, so that decimals keep
//! their digits; an object or array is taken apart only where something in it changes.

use std::borrow::Cow;

use fhir_model::primitive::decimal::Decimal;
use fhir_model::tree::{Kind, Node, push_json_string};

/// How deep what comes out may nest, so that whoever walks it may recurse.
pub(super) const DEPTH_MAX: usize = 128;

/// A JSON value.
#[derive(Clone)]
pub(super) enum Draft<'t> {
    /// As it stands in a tree.
    Kept(Node<'t>),
    /// An object that was taken apart.
    Object(Vec<Member<'t>>),
    /// An array that was taken apart.
    Array(Vec<Draft<'t>>),
    /// `null`.
    Null,
}

/// A member of an object.
#[derive(Clone)]
pub(super) struct Member<'t> {
    pub(super) key: Cow<'t, str>,
    pub(super) value: Draft<'t>,
}

impl<'t> Draft<'t> {
    /// What kind of value it is.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Kept(node) => node.kind(),
            Self::Object(_) => Kind::Object,
            Self::Array(_) => Kind::Array,
            Self::Null => Kind::Null,
        }
    }

    /// The members, if it is an object; it is taken apart for it.
    pub(super) fn members(&mut self) -> Option<&mut Vec<Member<'t>>> {
        self.open();
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The items, if it is an array; it is taken apart for it.
    pub(super) fn items(&mut self) -> Option<&mut Vec<Self>> {
        self.open();
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The member with this key.
    pub(super) fn get(&mut self, key: &str) -> Option<&mut Self> {
        let members = self.members()?;
        let found = members.iter_mut().find(|member| member.key == key)?;
        Some(&mut found.value)
    }

    /// Takes one level apart.
    fn open(&mut self) {
        let Self::Kept(node) = *self else { return };
        match node.kind() {
            Kind::Object => {
                let member = |node: Node<'t>| Member {
                    key: node.key(),
                    value: Self::Kept(node),
                };
                *self = Self::Object(node.children().map(member).collect());
            }
            Kind::Array => *self = Self::Array(node.children().map(Self::Kept).collect()),
            Kind::Null => *self = Self::Null,
            Kind::String | Kind::Number | Kind::Boolean => {}
        }
    }

    /// Appends the value as compact JSON.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Kept(node) => node.write(out),
            Self::Null => out.push_str("null"),
            Self::Object(members) => {
                out.push('{');
                for (index, member) in members.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    push_json_string(out, &member.key);
                    out.push(':');
                    member.value.write(out);
                }
                out.push('}');
            }
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    item.write(out);
                }
                out.push(']');
            }
        }
    }

    /// How many bytes it takes, roughly, and how deep it nests.
    pub(super) fn size(&self) -> (usize, usize) {
        let inner: &mut dyn Iterator<Item = (usize, usize)> = match self {
            Self::Kept(node) => return (node.raw_text().len() + 2, depth(*node)),
            Self::Null => return (4, 1),
            Self::Object(members) => &mut members.iter().map(|member| {
                let (bytes, depth) = member.value.size();
                (bytes + member.key.len() + 4, depth)
            }),
            Self::Array(items) => &mut items.iter().map(Self::size),
        };
        let (bytes, depth) = inner.fold((2, 0), |(bytes, depth), (more, below)| {
            (bytes + more, depth.max(below))
        });
        (bytes, depth + 1)
    }

    /// Takes empty objects and arrays away, which FHIR has not, where something was changed; whether
    /// nothing is left.
    pub(super) fn prune(&mut self) -> bool {
        match self {
            Self::Kept(_) | Self::Null => false,
            Self::Object(members) => {
                members.retain_mut(|member| {
                    // Items of `_name` stand beside those of `name`, and keep their places.
                    let keeps_places = member.key.starts_with('_');
                    !match &mut member.value {
                        Self::Array(items) if keeps_places => prune_in_place(items),
                        value => value.prune(),
                    }
                });
                members.is_empty()
            }
            Self::Array(items) => {
                items.retain_mut(|item| !item.prune());
                items.is_empty()
            }
        }
    }

    /// Whether both are the same JSON value: <https://www.rfc-editor.org/rfc/rfc6902#section-4.6>.
    pub(super) fn equals(&self, other: &Self) -> bool {
        let (mut one, mut other) = (self.clone(), other.clone());
        one.open();
        other.open();
        match (&one, &other) {
            (Self::Kept(one), Self::Kept(other)) => is_same_scalar(*one, *other),
            (Self::Null, Self::Null) => true,
            (Self::Array(one), Self::Array(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, it)| one.equals(it))
            }
            (Self::Object(one), Self::Object(other)) => {
                let has = |wanted: &Member<'_>| {
                    let found = other.iter().find(|member| member.key == wanted.key);
                    found.is_some_and(|found| found.value.equals(&wanted.value))
                };
                one.len() == other.len() && one.iter().all(has)
            }
            _ => false,
        }
    }
}

fn prune_in_place(items: &mut [Draft<'_>]) -> bool {
    for item in &mut *items {
        if item.prune() {
            *item = Draft::Null;
        }
    }
    items.iter().all(|item| item.kind() == Kind::Null)
}

fn depth(node: Node<'_>) -> usize {
    1 + node.children().map(depth).max().unwrap_or_default()
}

fn is_same_scalar(one: Node<'_>, other: Node<'_>) -> bool {
    if one.kind() != other.kind() {
        return false;
    }
    match one.kind() {
        Kind::Number => is_same_number(one.raw_text(), other.raw_text()),
        Kind::String => one.as_str() == other.as_str(),
        _ => one.raw_text() == other.raw_text(),
    }
}

/// Numbers are the same when their values are: `1.0` and `1`.
fn is_same_number(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let value = |text: &str| {
        let number = Decimal::parse(text)?;
        let (mut coefficient, mut exponent) = (number.coefficient(), number.exponent());
        while coefficient != 0 && coefficient % 10 == 0 {
            (coefficient, exponent) = (coefficient / 10, exponent + 1);
        }
        Some((coefficient, if coefficient == 0 { 0 } else { exponent }))
    };
    value(one).is_some_and(|one| Some(one) == value(other))
}
