//! JSON Patch (RFC 6902) and the JSON Pointers in it (RFC 6901).

use std::borrow::Cow;

use fhir_model::name::Names;
use fhir_model::tree::{Kind, Limits, Node, NodeId, Tree};

use crate::patch::draft::{DEPTH_MAX, Draft, Member};
use crate::patch::{OPERATIONS_MAX, PatchError};

/// The most tokens of a JSON Pointer.
const TOKENS_MAX: usize = 64;

/// How much all `copy` operations of a patch may copy, in bytes: each could double the document.
const COPIED_BYTES_MAX: usize = 16 << 20;

/// The member that holds the patch while it is parsed: what our reader reads is an object.
const WRAPPER: &str = "patch";

/// A JSON Patch document.
#[derive(Debug)]
pub struct JsonPatch {
    tree: Tree,
    operations: Vec<Operation>,
}

#[derive(Debug)]
struct Operation {
    action: Action,
    path: Pointer,
}

#[derive(Debug)]
enum Action {
    Add(NodeId),
    Remove,
    Replace(NodeId),
    Move(Pointer),
    Copy(Pointer),
    Test(NodeId),
}

impl Action {
    const fn name(&self) -> &'static str {
        match self {
            Self::Add(_) => "add",
            Self::Remove => "remove",
            Self::Replace(_) => "replace",
            Self::Move(_) => "move",
            Self::Copy(_) => "copy",
            Self::Test(_) => "test",
        }
    }
}

/// What an operation has beside `op` and `path`.
#[derive(Clone, Copy)]
enum Operand {
    Value(fn(NodeId) -> Action),
    From(fn(Pointer) -> Action),
    Nothing,
}

/// The operations of RFC 6902, section 4.
const ACTIONS: &[(&str, Operand)] = &[
    ("add", Operand::Value(Action::Add)),
    ("remove", Operand::Nothing),
    ("replace", Operand::Value(Action::Replace)),
    ("move", Operand::From(Action::Move)),
    ("copy", Operand::From(Action::Copy)),
    ("test", Operand::Value(Action::Test)),
];

impl JsonPatch {
    /// Reads a document; members that RFC 6902 does not define are ignored, as it says.
    pub(super) fn parse(text: &[u8], limits: &Limits) -> Result<Self, PatchError> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let wrapped = [b"{\"patch\":".as_slice(), text, b"}"].concat();
        let tree = Tree::parse(wrapped, &Names::default(), limits)
            .map_err(|error| malformed(format!("the patch is no JSON: {}", error.kind)))?;
        let patch = tree.root().get_str(WRAPPER);
        let operations = patch
            .filter(|node| node.kind() == Kind::Array && tree.root().children().count() == 1)
            .ok_or_else(|| malformed("a JSON Patch is an array of operations"))?;
        let count = operations.items().count();
        if count > OPERATIONS_MAX {
            return Err(malformed(format!(
                "the patch has {count} operations, at most {OPERATIONS_MAX} are taken"
            )));
        }
        let operations: Result<Vec<Operation>, PatchError> = operations
            .items()
            .enumerate()
            .map(|(index, node)| {
                let name = node.get_str("op").and_then(Node::as_str);
                operation(node)
                    .map_err(|error| error.of_operation(index + 1, &name.unwrap_or_default()))
            })
            .collect();
        Ok(Self {
            operations: operations?,
            tree,
        })
    }

    /// What becomes of a document, as text.
    #[cfg(test)]
    fn apply(&self, document: &Tree) -> Result<String, PatchError> {
        let mut out = String::new();
        self.patched(document)?.write(&mut out);
        Ok(out)
    }

    /// What becomes of a resource, as text. An object or array that is left empty is taken away: FHIR
    /// has none.
    pub(super) fn apply_to_resource(&self, resource: &Tree) -> Result<String, PatchError> {
        let mut draft = self.patched(resource)?;
        draft.prune();
        let mut out = String::with_capacity(resource.source().len());
        draft.write(&mut out);
        Ok(out)
    }

    fn patched<'t>(&'t self, document: &'t Tree) -> Result<Draft<'t>, PatchError> {
        let mut edit = Edit {
            patch: &self.tree,
            draft: Draft::Kept(document.root()),
            bytes_copied: 0,
        };
        for (index, operation) in self.operations.iter().enumerate() {
            edit.take(operation)
                .map_err(|error| error.of_operation(index + 1, operation.action.name()))?;
        }
        Ok(edit.draft)
    }
}

fn operation(node: Node<'_>) -> Result<Operation, PatchError> {
    let op = member(node, "op")?;
    let (_, operand) = ACTIONS
        .iter()
        .find(|(name, _)| *name == op)
        .ok_or_else(|| malformed("\"op\" is one of add, remove, replace, move, copy and test"))?;
    let action = match operand {
        Operand::Nothing => Action::Remove,
        Operand::From(action) => action(Pointer::parse(&member(node, "from")?)?),
        Operand::Value(action) => {
            let value = node.get_str("value");
            action(value.ok_or_else(|| malformed("\"value\" is missing"))?.id())
        }
    };
    let path = Pointer::parse(&member(node, "path")?)?;
    Ok(Operation { action, path })
}

fn member<'n>(node: Node<'n>, key: &str) -> Result<Cow<'n, str>, PatchError> {
    node.get_str(key)
        .and_then(Node::as_str)
        .ok_or_else(|| malformed(format!("\"{key}\" is missing, or no string")))
}

/// A JSON Pointer: <https://www.rfc-editor.org/rfc/rfc6901>.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pointer {
    text: String,
    tokens: Vec<String>,
}

impl Pointer {
    fn parse(text: &str) -> Result<Self, PatchError> {
        let tokens: Result<Vec<String>, PatchError> = match text.strip_prefix('/') {
            None if text.is_empty() => Ok(Vec::new()),
            None => Err(malformed(format!(
                "{text} is no JSON Pointer: it begins with /"
            ))),
            Some(rest) => rest.split('/').map(unescaped).collect(),
        };
        let tokens = tokens?;
        if tokens.len() > TOKENS_MAX {
            return Err(malformed(format!(
                "a JSON Pointer has {} parts, at most {TOKENS_MAX} are taken",
                tokens.len()
            )));
        }
        Ok(Self {
            text: text.to_owned(),
            tokens,
        })
    }

    /// Where the last part is to be looked for, and that part; nothing for the whole document.
    fn split(&self) -> Option<(&[String], &str)> {
        let (last, above) = self.tokens.split_last()?;
        Some((above, last))
    }
}

/// A part of a pointer: `~1` is `/`, `~0` is `~`, and no other escapes exist.
fn unescaped(token: &str) -> Result<String, PatchError> {
    let mut parts = token.split('~');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (escaped, rest) = match part.as_bytes().first() {
            Some(b'0') => ('~', part.get(1..)),
            Some(b'1') => ('/', part.get(1..)),
            _ => return Err(malformed(format!("{token} has a ~ that is not ~0 or ~1"))),
        };
        plain.push(escaped);
        plain.push_str(rest.unwrap_or_default());
    }
    Ok(plain)
}

/// A document while it is patched.
struct Edit<'t> {
    patch: &'t Tree,
    draft: Draft<'t>,
    bytes_copied: usize,
}

impl<'t> Edit<'t> {
    fn take(&mut self, operation: &Operation) -> Result<(), PatchError> {
        let path = &operation.path;
        match &operation.action {
            Action::Add(value) => {
                let value = self.value(*value);
                self.add(path, value)
            }
            Action::Remove => self.remove(path).map(|_| ()),
            Action::Replace(value) => {
                *self.find(path)? = self.value(*value);
                Ok(())
            }
            Action::Move(from) => {
                if path.tokens.len() > from.tokens.len() && path.tokens.starts_with(&from.tokens) {
                    return Err(malformed("a value cannot be moved into itself"));
                }
                let value = self.remove(from)?;
                self.fits(path, value.size().1)?;
                self.add(path, value)
            }
            Action::Copy(from) => {
                let value = self.find(from)?.clone();
                let (bytes, depth) = value.size();
                self.bytes_copied += bytes;
                if self.bytes_copied > COPIED_BYTES_MAX {
                    return Err(malformed(format!(
                        "the patch copies more than {COPIED_BYTES_MAX} bytes"
                    )));
                }
                self.fits(path, depth)?;
                self.add(path, value)
            }
            Action::Test(value) => {
                let expected = self.value(*value);
                if self.find(path)?.equals(&expected) {
                    return Ok(());
                }
                Err(PatchError::Conflict(format!(
                    "the value at \"{}\" is another",
                    path.text
                )))
            }
        }
    }

    fn value(&self, id: NodeId) -> Draft<'t> {
        self.patch.node(id).map_or(Draft::Null, Draft::Kept)
    }

    fn fits(&self, path: &Pointer, depth: usize) -> Result<(), PatchError> {
        if path.tokens.len() + depth <= DEPTH_MAX {
            return Ok(());
        }
        Err(malformed(format!(
            "what comes out nests deeper than {DEPTH_MAX} levels"
        )))
    }

    /// The value at a place that must be there.
    fn find(&mut self, pointer: &Pointer) -> Result<&mut Draft<'t>, PatchError> {
        descend(&mut self.draft, &pointer.tokens, &pointer.text)
    }

    fn add(&mut self, path: &Pointer, value: Draft<'t>) -> Result<(), PatchError> {
        let Some((above, last)) = path.split() else {
            self.draft = value;
            return Ok(());
        };
        let container = descend(&mut self.draft, above, &path.text)?;
        if let Some(items) = container.items() {
            let index = match last {
                "-" => items.len(),
                _ => index(last, &path.text)?,
            };
            if index > items.len() {
                return Err(absent(&path.text));
            }
            items.insert(index, value);
            return Ok(());
        }
        let members = container.members().ok_or_else(|| absent(&path.text))?;
        match members.iter_mut().find(|member| member.key == last) {
            Some(member) => member.value = value,
            None => members.push(Member {
                key: Cow::Owned(last.to_owned()),
                value,
            }),
        }
        Ok(())
    }

    fn remove(&mut self, path: &Pointer) -> Result<Draft<'t>, PatchError> {
        let Some((above, last)) = path.split() else {
            return Err(malformed("the whole resource cannot be removed"));
        };
        let container = descend(&mut self.draft, above, &path.text)?;
        if let Some(items) = container.items() {
            let index = index(last, &path.text)?;
            if index >= items.len() {
                return Err(absent(&path.text));
            }
            return Ok(items.remove(index));
        }
        let members = container.members().ok_or_else(|| absent(&path.text))?;
        let at = members.iter().position(|member| member.key == last);
        let at = at.ok_or_else(|| absent(&path.text))?;
        Ok(members.remove(at).value)
    }
}

fn descend<'d, 't>(
    mut draft: &'d mut Draft<'t>,
    tokens: &[String],
    path: &str,
) -> Result<&'d mut Draft<'t>, PatchError> {
    for token in tokens {
        let below = match draft.kind() {
            Kind::Array => {
                let index = index(token, path)?;
                draft.items().and_then(|items| items.get_mut(index))
            }
            _ => draft.get(token),
        };
        draft = below.ok_or_else(|| absent(path))?;
    }
    Ok(draft)
}

/// The place in an array: digits without a zero before them.
fn index(token: &str, path: &str) -> Result<usize, PatchError> {
    let is_index = token == "0"
        || (!token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit()));
    match token.parse() {
        Ok(index) if is_index => Ok(index),
        _ if token == "-" => Err(absent(path)),
        _ => Err(PatchError::Conflict(format!(
            "\"{path}\": {token} is no place in an array"
        ))),
    }
}

fn absent(path: &str) -> PatchError {
    PatchError::Conflict(format!("there is nothing at \"{path}\""))
}

fn malformed(text: impl Into<String>) -> PatchError {
    PatchError::Malformed(text.into())
}

#[cfg(test)]
mod tests;
