//! The walk along a base, with a differential in the hand.
//!
//! Every element of the base becomes one of the snapshot. Where the differential says nothing,
//! neither of the element nor of what is below it, the subtree of the base is shared.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use serde_json::{Value, json};

use super::differential::{self, Change};
use super::merge::merge;
use super::property::{self, Object};
use super::slice::{Place, Role};
use super::tree::{Node, Root, Tree};
use super::{Generator, SnapshotProblem, SnapshotProblemKind};

/// The generation of one snapshot.
pub(super) struct Walk<'g, 'a> {
    pub(super) generator: &'g mut Generator<'a>,
    pub(super) structure: &'g Value,
    url: &'g str,
    /// The name of the root element.
    name: &'g str,
    /// Whether it defines a type; else it constrains one.
    specializes: bool,
    problems: Vec<SnapshotProblem>,
}

impl<'g, 'a> Walk<'g, 'a> {
    /// Reads what a structure cannot do without.
    pub(super) fn new(
        generator: &'g mut Generator<'a>,
        structure: &'g Value,
    ) -> Result<Self, SnapshotProblem> {
        let url = property::text(structure, "url").unwrap_or_default();
        let required = |name: &'static str| {
            property::text(structure, name).ok_or_else(|| {
                SnapshotProblem::of_structure(url, SnapshotProblemKind::Missing(name))
            })
        };
        let type_name = required("type")?;
        required("url")?;
        required("kind")?;
        let derivation = property::text(structure, "derivation");
        Ok(Self {
            generator,
            structure,
            url,
            name: type_name.rsplit('/').next().unwrap_or(type_name),
            specializes: derivation != Some("constraint"),
            problems: Vec::new(),
        })
    }

    /// The root of a structure alone, which needs no other elements.
    pub(super) fn root_of(
        generator: &'g mut Generator<'a>,
        structure: &'g Value,
    ) -> Result<Option<Rc<Root>>, SnapshotProblem> {
        let mut walk = Walk::new(generator, structure)?;
        let Some(base) = walk.base()? else {
            return Ok(None);
        };
        let elements = property::elements(structure, "differential");
        let first = elements.first().and_then(Value::as_object);
        let own = first.filter(|first| property::string(first, "path") == Some(walk.name));
        let mut element = Object::clone(&base.root.element);
        if let Some(own) = own {
            element = merge(element, own, true, &mut Vec::new());
        }
        let root = Node {
            element: Rc::new(element),
            ..Node::clone(&base.root)
        };
        Ok(Some(Tree::new(structure, Rc::new(root)).root_facts))
    }

    /// Generates the snapshot.
    pub(super) fn finish(mut self) -> Result<(Rc<Tree>, Vec<SnapshotProblem>), SnapshotProblem> {
        let base = self.base()?;
        let elements = property::elements(self.structure, "differential");
        if elements.is_empty() && base.is_none() {
            return Err(self.fail(None, SnapshotProblemKind::Missing("differential")));
        }
        let changes = differential::read(elements, self.name)
            .map_err(|(element, kind)| self.fail(element.as_deref(), kind))?;
        let is_logical = property::text(self.structure, "kind") == Some("logical");
        if !changes.types().is_empty() && !is_logical {
            return Err(self.fail(Some(&changes.label), SnapshotProblemKind::TypeOnRoot));
        }
        let root = match &base {
            Some(base) => Node {
                name: self.name.into(),
                ..Node::clone(&base.root)
            },
            None => self.new_node(&changes),
        };
        let scope =
            base.unwrap_or_else(|| Rc::new(Tree::new(self.structure, Rc::new(root.clone()))));
        let mut root = self.node(&Rc::new(root), &changes, &scope, &Role::Same)?;
        let element = Rc::make_mut(&mut root.element);
        element.shift_remove("requirements");
        let tree = Tree::new(self.structure, Rc::new(root));
        Ok((Rc::new(tree), self.problems))
    }

    /// The tree of the base; nothing where there is none, as for `Element`.
    fn base(&mut self) -> Result<Option<Rc<Tree>>, SnapshotProblem> {
        let Some(canonical) = property::text(self.structure, "baseDefinition") else {
            let missing = SnapshotProblemKind::Missing("baseDefinition");
            return if self.specializes {
                Ok(None)
            } else {
                Err(self.fail(None, missing))
            };
        };
        let Some(base) = self.generator.tree(canonical)? else {
            return Err(self.fail(None, SnapshotProblemKind::UnknownBase(canonical.to_owned())));
        };
        let derived = property::text(self.structure, "type").unwrap_or_default();
        if !self.specializes && base.type_name != derived {
            let kind = SnapshotProblemKind::OtherType {
                base: base.type_name.clone(),
                derived: derived.to_owned(),
            };
            return Err(self.fail(None, kind));
        }
        Ok(Some(base))
    }

    /// A problem that there is no way around.
    pub(super) fn fail(&self, element: Option<&str>, kind: SnapshotProblemKind) -> SnapshotProblem {
        SnapshotProblem {
            structure: self.url.to_owned(),
            element: element.map(str::to_owned),
            kind,
        }
    }

    /// Notes a problem with an element.
    pub(super) fn note(&mut self, change: &Change<'_>, kind: SnapshotProblemKind) {
        let problem = self.fail(Some(&change.label), kind);
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// An element of the base with what the differential says of it and of what is below it.
    pub(super) fn node(
        &mut self,
        base: &Rc<Node>,
        change: &Change<'_>,
        scope: &Rc<Tree>,
        role: &Role<'_>,
    ) -> Result<Node, SnapshotProblem> {
        let mut element = self.element(base, change, role)?;
        let (children, scope) = if !base.children.is_empty() {
            let are_wanted = !matches!(role, Role::Added(_)) || !change.children.is_empty();
            let children = if are_wanted {
                base.children.clone()
            } else {
                Vec::new()
            };
            (children, Rc::clone(scope))
        } else if change.children.is_empty() {
            (Vec::new(), Rc::clone(scope))
        } else {
            self.unfold(&mut element, change, scope)?
        };
        let place = Place {
            scope: &scope,
            is_in_slice: !base.children.is_empty()
                && (base.slice.is_some() || matches!(role, Role::First { .. } | Role::Again(_))),
        };
        Ok(Node {
            name: Rc::clone(&base.name),
            slice: role.slice().map(Into::into).or_else(|| base.slice.clone()),
            element: Rc::new(element),
            children: self.children(children, &change.children, &place)?,
            slices: Vec::new(),
        })
    }

    /// The element itself.
    fn element(
        &mut self,
        base: &Rc<Node>,
        change: &Change<'_>,
        role: &Role<'_>,
    ) -> Result<Object, SnapshotProblem> {
        let mut element = self.inherited(base, change, role)?;
        self.describe(&mut element, base, change)?;
        let Some(own) = change.element else {
            return Ok(element);
        };
        self.check_types(&element, change)?;
        let may_define = self.specializes || base.is_extension();
        let mut problems = Vec::new();
        let mut element = merge(element, own, may_define, &mut problems);
        for kind in problems {
            self.note(change, kind);
        }
        if own.contains_key("type") {
            self.copy_type_extensions(&base.element, &mut element);
        }
        if element.contains_key("binding") && !self.is_bindable(&element)? {
            element.shift_remove("binding");
        }
        Ok(element)
    }

    /// The children of an element with what the differential says of them.
    fn children(
        &mut self,
        base: Vec<Rc<Node>>,
        changes: &[Change<'_>],
        place: &Place<'_>,
    ) -> Result<Vec<Rc<Node>>, SnapshotProblem> {
        if changes.is_empty() {
            return Ok(base);
        }
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, change) in changes.iter().enumerate() {
            by_name.entry(change.name).or_default().push(index);
        }
        let names: HashSet<Rc<str>> = base.iter().map(|child| Rc::clone(&child.name)).collect();
        let mut children = Vec::with_capacity(base.len());
        let mut last = 0;
        for child in base {
            let matching = take_matching(&child, &names, &mut by_name);
            let matching: Vec<&Change<'_>> = matching
                .iter()
                .filter_map(|index| Some((index, changes.get(*index)?)))
                .map(|(index, change)| {
                    if *index < last {
                        self.note(change, SnapshotProblemKind::OutOfOrder);
                    }
                    last = last.max(*index);
                    change
                })
                .collect();
            children.push(if matching.is_empty() {
                child
            } else {
                self.child(&child, &matching, place)?
            });
        }
        let mut left: Vec<usize> = by_name.into_values().flatten().collect();
        left.sort_unstable();
        for change in left.into_iter().filter_map(|index| changes.get(index)) {
            if self.specializes && change.element.is_some() {
                children.push(self.defined(change, place.scope)?);
            } else {
                self.note(change, SnapshotProblemKind::UnknownElement);
            }
        }
        Ok(children)
    }

    /// An element that a new type defines.
    fn defined(
        &mut self,
        change: &Change<'_>,
        scope: &Rc<Tree>,
    ) -> Result<Rc<Node>, SnapshotProblem> {
        let node = self.new_node(change);
        if change.children.is_empty() {
            return Ok(Rc::new(node));
        }
        let silent = Change {
            element: None,
            ..Change::empty(change.name, change.slice, change.label.clone())
        };
        let mut element = Object::clone(&node.element);
        let (children, scope) = self.unfold(&mut element, &silent, scope)?;
        let place = Place {
            scope: &scope,
            is_in_slice: false,
        };
        let children = self.children(children, &change.children, &place)?;
        Ok(Rc::new(Node {
            element: Rc::new(element),
            children,
            ..node
        }))
    }

    /// The node of what only the differential says.
    fn new_node(&self, change: &Change<'_>) -> Node {
        let mut element = change.element.cloned().unwrap_or_default();
        let base = json!({
            "path": property::string(&element, "path").unwrap_or(change.name),
            "min": property::min(&element),
            "max": property::string(&element, "max").unwrap_or("*"),
        });
        element.entry("base").or_insert(base);
        for placeholder in ["id", "path"] {
            element.entry(placeholder).or_insert(Value::Null);
        }
        Node {
            name: change.name.into(),
            slice: change.slice.map(Into::into),
            element: Rc::new(property::ordered(element)),
            children: Vec::new(),
            slices: Vec::new(),
        }
    }
}

/// Takes out what the differential says of an element and its slices, in order.
///
/// `value[x]` is also written as `valueQuantity`, where its slice for a type is meant.
fn take_matching(
    child: &Node,
    names: &HashSet<Rc<str>>,
    by_name: &mut HashMap<&str, Vec<usize>>,
) -> Vec<usize> {
    let mut found = by_name.remove(&*child.name).unwrap_or_default();
    let is_type =
        |rest: &str| rest == "[x]" || rest.starts_with(|first: char| first.is_ascii_uppercase());
    let is_variant = |name: &&str| {
        let of_child = child.is_choice() && name.strip_prefix(child.stem()).is_some_and(is_type);
        let stem = name.strip_suffix("[x]");
        let of_name = stem
            .and_then(|stem| child.name.strip_prefix(stem))
            .is_some_and(is_type);
        (of_child || of_name) && !names.contains(*name)
    };
    let variants: Vec<&str> = by_name.keys().copied().filter(is_variant).collect();
    for name in variants {
        found.extend(by_name.remove(name).unwrap_or_default());
    }
    found.sort_unstable();
    found
}
