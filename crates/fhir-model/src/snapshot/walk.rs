//! The walk along a base, with a differential in the hand.
//!
//! Every element of the base becomes one of the snapshot. Where the differential says nothing,
//! neither of the element nor of what is below it, the subtree of the base is shared.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use serde_json::Value;

use super::differential::{self, Change};
use super::merge::merge;
use super::property::{self, Object};
use super::slice::{Place, Role, set};
use super::tree::{Node, Tree, base_of, defines_type};
use super::unfold::copy_type_extensions;
use super::{
    Generator, MAX_CHANGES, MAX_DEPTH, MAX_ELEMENTS, SnapshotProblem, SnapshotProblemKind,
};

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
    /// How many elements were changed.
    made: usize,
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
        Ok(Self {
            generator,
            structure,
            url,
            name: type_name.rsplit('/').next().unwrap_or(type_name),
            specializes: defines_type(structure),
            problems: Vec::new(),
            made: 0,
        })
    }

    /// Generates the snapshot.
    pub(super) fn finish(mut self) -> Result<(Rc<Tree>, Vec<SnapshotProblem>), SnapshotProblem> {
        let base = self.base()?;
        let elements = property::elements(self.structure, "differential");
        if elements.is_empty() && base.is_none() {
            return Err(self.fail(None, SnapshotProblemKind::Missing("differential")));
        }
        if elements.len() > MAX_CHANGES {
            return Err(self.fail(None, SnapshotProblemKind::TooManyChanges));
        }
        let changes = differential::read(elements, self.name)
            .map_err(|(element, kind)| self.fail(element.as_deref(), kind))?;
        if !changes.types().is_empty() && !self.is_logical() {
            return Err(self.fail(Some(&changes.label), SnapshotProblemKind::TypeOnRoot));
        }
        let mut root = match &base {
            Some(base) => self.derived_root(base, &changes)?,
            None => self.defined_root(&changes)?,
        };
        Rc::make_mut(&mut root.element).shift_remove("requirements");
        let tree = Tree::new(self.structure, Rc::new(root));
        Ok((Rc::new(tree), self.problems))
    }

    /// The root, and all below it, of a structure with a base.
    fn derived_root(
        &mut self,
        base: &Rc<Tree>,
        changes: &Change<'_>,
    ) -> Result<Node, SnapshotProblem> {
        let inherited = Node {
            name: self.name.into(),
            ..Node::clone(&base.root)
        };
        let mut root = self.node(&Rc::new(inherited), changes, base, &Role::Same)?;
        if self.specializes && !self.is_logical() {
            let mut own = Object::clone(&root.element);
            own.insert("path".to_owned(), Value::from(self.name));
            set(&mut root, "base", base_of(&own));
        }
        Ok(root)
    }

    /// The root, and all below it, of a structure that has no base.
    fn defined_root(&mut self, changes: &Change<'_>) -> Result<Node, SnapshotProblem> {
        let root = new_node(changes);
        let scope = Rc::new(Tree::new(self.structure, Rc::new(root.clone())));
        let place = Place {
            scope: &scope,
            is_in_slice: false,
        };
        let children = self.children(Vec::new(), &changes.children, &place)?;
        Ok(Node { children, ..root })
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

    /// Whether it is a logical model: no type of the standard's kind.
    fn is_logical(&self) -> bool {
        property::text(self.structure, "kind") == Some("logical")
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
        self.made += 1;
        let limit = if self.generator.depth >= MAX_DEPTH {
            Some(SnapshotProblemKind::TooDeep)
        } else {
            (self.made > MAX_ELEMENTS).then_some(SnapshotProblemKind::TooLarge)
        };
        if let Some(limit) = limit {
            return Err(self.fail(Some(&change.label), limit));
        }
        self.generator.depth += 1;
        let node = self.changed(base, change, scope, role);
        self.generator.depth -= 1;
        node
    }

    fn changed(
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
                && (base.slice.is_some() || !matches!(role, Role::Same | Role::Added(_))),
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
            copy_type_extensions(&base.element, &mut element);
        }
        let has_binding = element.contains_key("binding") && element.contains_key("type");
        if has_binding && !self.is_bindable(&element)? {
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
            let indexes = take_matching(&child, &names, &mut by_name);
            let (Some(first), Some(end)) = (indexes.first().copied(), indexes.last().copied())
            else {
                children.push(child);
                continue;
            };
            let matching: Vec<&Change<'_>> = indexes
                .iter()
                .filter_map(|index| changes.get(*index))
                .collect();
            if let Some(late) = matching.first().filter(|_| first < last) {
                self.note(late, SnapshotProblemKind::OutOfOrder);
            }
            last = last.max(end);
            children.push(self.child(&child, &matching, place)?);
        }
        let mut left: Vec<usize> = by_name.into_values().flatten().collect();
        left.sort_unstable();
        for change in left.into_iter().filter_map(|index| changes.get(index)) {
            self.left_over(change, &mut children, place)?;
        }
        Ok(children)
    }

    /// Puts what the base does not have behind what it has, if that may be.
    fn left_over(
        &mut self,
        change: &Change<'_>,
        children: &mut Vec<Rc<Node>>,
        place: &Place<'_>,
    ) -> Result<(), SnapshotProblem> {
        if self.specializes && change.element.is_some() {
            children.push(self.defined(change, place.scope)?);
        } else {
            self.note(change, SnapshotProblemKind::UnknownElement);
        }
        Ok(())
    }

    /// An element that a new type defines.
    fn defined(
        &mut self,
        change: &Change<'_>,
        scope: &Rc<Tree>,
    ) -> Result<Rc<Node>, SnapshotProblem> {
        let node = new_node(change);
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
}

/// The node of what only the differential says.
fn new_node(change: &Change<'_>) -> Node {
    let mut element = change.element.cloned().unwrap_or_default();
    if !element.contains_key("base") {
        element.insert("base".to_owned(), base_of(&element));
    }
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
