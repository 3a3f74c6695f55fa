//! A snapshot as a tree: elements, their children, their slices.
//!
//! Subtrees are shared: where a differential says nothing, its snapshot points to that of its
//! base. Paths and ids are not kept but written, so a subtree can stand anywhere.

use std::rc::Rc;

use serde_json::{Value, json};

use super::property::{self, Object};
use super::{CORE, MAX_DEPTH, SnapshotProblem, SnapshotProblemKind};

/// A structure, as far as others need it.
pub(super) struct Tree {
    /// Its canonical URL.
    pub(super) url: String,
    /// The type that it defines or constrains.
    pub(super) type_name: String,
    /// The name of the type that it is derived from.
    pub(super) base_type: Option<String>,
    /// The URLs of the extensions of the structure itself.
    pub(super) extensions: Vec<String>,
    /// Its elements.
    pub(super) root: Rc<Node>,
    /// What an element that uses it as its profile takes from it.
    pub(super) root_facts: Rc<Root>,
}

/// What an element takes from the root of the profile of its type.
pub(super) struct Root {
    /// The type that is constrained.
    pub(super) type_name: String,
    /// Whether it is a resource.
    pub(super) is_resource: bool,
    /// The root element.
    pub(super) element: Rc<Object>,
}

/// An element with its children.
#[derive(Clone)]
pub(super) struct Node {
    /// The last part of its path.
    pub(super) name: Rc<str>,
    /// Its name as a slice.
    pub(super) slice: Option<Rc<str>>,
    /// Everything but path and id, which are placeholders.
    pub(super) element: Rc<Object>,
    /// Its children in order; none where they are those of its type.
    pub(super) children: Vec<Rc<Node>>,
    /// Its slices in order, each as a whole.
    pub(super) slices: Vec<Rc<Node>>,
}

impl Node {
    /// Whether it stands for several types.
    pub(super) fn is_choice(&self) -> bool {
        self.name.ends_with("[x]")
    }

    /// The name without the mark of a choice.
    pub(super) fn stem(&self) -> &str {
        self.name.strip_suffix("[x]").unwrap_or(&self.name)
    }

    /// Whether it is an extension, or a place for them.
    pub(super) fn is_extension(&self) -> bool {
        is_extension(&self.name)
    }

    /// The slice of this name.
    pub(super) fn slice_named(&self, name: &str) -> Option<&Rc<Node>> {
        self.slices
            .iter()
            .find(|slice| slice.slice.as_deref() == Some(name))
    }
}

/// Whether an element of this name is an extension, or a place for them.
pub(super) fn is_extension(name: &str) -> bool {
    matches!(name, "extension" | "modifierExtension" | "Extension")
}

/// A canonical without its version.
pub(super) fn without_version(canonical: &str) -> &str {
    canonical.split_once('|').map_or(canonical, |(url, _)| url)
}

impl Tree {
    /// The tree of a structure and a root that was made for it.
    pub(super) fn new(structure: &Value, root: Rc<Node>) -> Self {
        let type_name = property::text(structure, "type").unwrap_or_default();
        let root_facts = Rc::new(Root {
            type_name: type_name.to_owned(),
            is_resource: property::text(structure, "kind") == Some("resource"),
            element: Rc::clone(&root.element),
        });
        let base = property::text(structure, "baseDefinition");
        let extensions = structure.get("extension").and_then(Value::as_array);
        Self {
            url: property::text(structure, "url")
                .unwrap_or_default()
                .to_owned(),
            type_name: type_name.to_owned(),
            base_type: base.map(|base| base.strip_prefix(CORE).unwrap_or(base).to_owned()),
            extensions: extensions
                .into_iter()
                .flatten()
                .filter_map(|extension| Some(property::text(extension, "url")?.to_owned()))
                .collect(),
            root,
            root_facts,
        }
    }

    /// The tree of a structure that has a snapshot.
    pub(super) fn of_snapshot(structure: &Value) -> Result<Self, SnapshotProblem> {
        let url = property::text(structure, "url").unwrap_or_default();
        let mut reader = Reader {
            url,
            defines_type: property::text(structure, "derivation") != Some("constraint"),
            elements: property::elements(structure, "snapshot"),
            next: 0,
        };
        let root = reader.node(0)?;
        if reader.next < reader.elements.len() {
            let path = reader.path().to_owned();
            let kind = SnapshotProblemKind::IllegalPath(path);
            return Err(SnapshotProblem::of_structure(url, kind));
        }
        Ok(Self::new(structure, Rc::new(root)))
    }

    /// The node with this id, as content references name it.
    pub(super) fn find(&self, id: &str) -> Option<&Rc<Node>> {
        let mut parts = id.split('.');
        parts.next()?;
        parts.try_fold(&self.root, |node, part| {
            let (name, slice) = match part.split_once(':') {
                Some((name, slice)) => (name, Some(slice)),
                None => (part, None),
            };
            let child = node.children.iter().find(|child| *child.name == *name)?;
            slice.map_or(Some(child), |slice| child.slice_named(slice))
        })
    }

    /// All elements, with their paths and ids.
    pub(super) fn elements(&self) -> Vec<Value> {
        let mut elements = Vec::new();
        write(&self.root, "", "", &mut elements);
        elements
    }
}

fn write(node: &Node, parent_path: &str, parent_id: &str, elements: &mut Vec<Value>) {
    let dot = if parent_path.is_empty() { "" } else { "." };
    let path = format!("{parent_path}{dot}{}", node.name);
    let id = match &node.slice {
        Some(slice) => format!("{parent_id}{dot}{}:{slice}", node.name),
        None => format!("{parent_id}{dot}{}", node.name),
    };
    let mut element = Object::clone(&node.element);
    element.insert("id".to_owned(), Value::String(id.clone()));
    element.insert("path".to_owned(), Value::String(path.clone()));
    elements.push(Value::Object(element));
    for child in &node.children {
        write(child, &path, &id, elements);
    }
    for slice in &node.slices {
        write(slice, parent_path, parent_id, elements);
    }
}

/// Reads the elements of a snapshot in order.
struct Reader<'a> {
    url: &'a str,
    defines_type: bool,
    elements: &'a [Value],
    next: usize,
}

impl Reader<'_> {
    /// The path of the next element.
    fn path(&self) -> &str {
        self.elements
            .get(self.next)
            .and_then(|element| property::text(element, "path"))
            .unwrap_or_default()
    }

    /// The next element with all below it.
    fn node(&mut self, depth: usize) -> Result<Node, SnapshotProblem> {
        let fail = |kind| SnapshotProblem::of_structure(self.url, kind);
        if depth > MAX_DEPTH {
            return Err(fail(SnapshotProblemKind::TooDeep));
        }
        let path = self.path().to_owned();
        let Some(Value::Object(element)) = self.elements.get(self.next) else {
            return Err(fail(SnapshotProblemKind::Missing("snapshot.element")));
        };
        self.next += 1;
        let mut children: Vec<Node> = Vec::new();
        while is_below(self.path(), &path) {
            let child = self.node(depth + 1)?;
            match children.last_mut() {
                Some(sliced) if child.slice.is_some() && is_sliced_by(sliced, &child) => {
                    sliced.slices.push(Rc::new(child));
                }
                _ => children.push(child),
            }
        }
        let name = path.rsplit('.').next().unwrap_or_default();
        Ok(Node {
            name: name.into(),
            slice: property::string(element, "sliceName").map(Into::into),
            element: Rc::new(inherited(element, self.url, self.defines_type)),
            children: children.into_iter().map(Rc::new).collect(),
            slices: Vec::new(),
        })
    }
}

fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent)
        .is_some_and(|rest| rest.starts_with('.'))
}

/// Whether a node is a slice of another one; older snapshots write `valueQuantity` for a slice of
/// `value[x]`.
fn is_sliced_by(sliced: &Node, slice: &Node) -> bool {
    sliced.slice.is_none()
        && (sliced.name == slice.name
            || sliced.is_choice() && slice.name.starts_with(sliced.stem()))
}

/// An element as those inherit it who build on it: `base`, the source of each constraint and
/// where content references lead are said in full.
fn inherited(element: &Object, url: &str, defines_type: bool) -> Object {
    let mut element = element.clone();
    if !element.contains_key("base") {
        element.insert("base".to_owned(), base_of(&element));
    }
    if let Some(Value::Array(constraints)) = element.get_mut("constraint") {
        for constraint in constraints.iter_mut().filter_map(Value::as_object_mut) {
            if !constraint.contains_key("source") {
                constraint.insert("source".to_owned(), Value::String(url.to_owned()));
            }
        }
    }
    if defines_type && let Some(Value::String(content)) = element.get_mut("contentReference") {
        if content.starts_with('#') {
            content.insert_str(0, url);
        }
    }
    for placeholder in ["id", "path"] {
        element.entry(placeholder).or_insert(Value::Null);
    }
    property::ordered(element)
}

/// The `base` of an element that is first defined here.
pub(super) fn base_of(element: &Object) -> Value {
    let property = |name| element.get(name).cloned().unwrap_or_default();
    json!({ "path": property("path"), "min": property("min"), "max": property("max") })
}
