//! The tree as FHIR sees it: elements instead of JSON values.
//!
//! JSON splits a primitive that has an `id` or extensions in two, `birthDate` and `_birthDate`, and
//! writes repeating elements as arrays, two of them side by side for repeating primitives:
//! <https://hl7.org/fhir/R4/json.html#primitive>. Here both halves are one [`Element`], and a
//! repeating element is several. Walking allocates nothing.
//!
//! What is not FHIR shows up as little as possible: `null` is no element, and a `_name` beside an
//! object adds nothing to it. Reporting such things is the business of validation, which looks at
//! the nodes.

use std::borrow::Cow;
use std::fmt;

use crate::name::Name;
use crate::tree::{Flags, Kind, NONE, Node, Tree};

/// A FHIR element: a value, or what `_name` says about it, or both; as cheap to copy as a
/// reference.
#[derive(Clone, Copy)]
pub struct Element<'a> {
    tree: &'a Tree,
    /// The node with the value, never a `null`; [`NONE`] if there is none.
    value: u32,
    /// The node of the `_name` sibling, never a `null`; [`NONE`] if there is none.
    shadow: u32,
    /// The place in the array; [`NONE`] if there is no array.
    position: u32,
}

impl<'a> Element<'a> {
    /// The element of one node, without the sibling it may have.
    ///
    /// For the root of a resource, and for objects. Elements below come from [`Self::children`].
    #[inline]
    pub fn of(node: Node<'a>) -> Self {
        let (value, shadow) = if node.is_shadow() {
            (NONE, node.id)
        } else {
            (node.id, NONE)
        };
        Self {
            tree: node.tree,
            value,
            shadow,
            position: NONE,
        }
    }

    /// The tree this element is of.
    #[inline]
    pub const fn tree(self) -> &'a Tree {
        self.tree
    }

    /// The node with the value.
    #[inline]
    pub fn value(self) -> Option<Node<'a>> {
        (self.value != NONE).then(|| self.tree.at(self.value))
    }

    /// The node of the `_name` sibling.
    #[inline]
    pub fn shadow(self) -> Option<Node<'a>> {
        (self.shadow != NONE).then(|| self.tree.at(self.shadow))
    }

    /// The node with the value, else that of the sibling: to say where the element is.
    #[inline]
    pub fn node(self) -> Node<'a> {
        let index = if self.value == NONE {
            self.shadow
        } else {
            self.value
        };
        self.tree.at(index)
    }

    /// The property, as in JSON (`valueQuantity`); of a repeating element, that of its array.
    #[inline]
    pub fn name(self) -> Name {
        self.node().name()
    }

    /// The text of the property, without `_`; empty for the root.
    pub fn name_text(self) -> Cow<'a, str> {
        self.node().name_text()
    }

    /// The place among the items of the array, from 0; nothing if the JSON has no array here.
    #[inline]
    pub fn position(self) -> Option<usize> {
        (self.position != NONE).then_some(self.position as usize)
    }

    /// Whether this is an object: a complex type, a backbone element or a resource.
    #[inline]
    pub fn is_complex(self) -> bool {
        self.value().is_some_and(|node| node.kind() == Kind::Object)
    }

    /// Whether there is a primitive value: a string, number or boolean.
    #[inline]
    pub fn has_value(self) -> bool {
        self.value()
            .is_some_and(|node| matches!(node.kind(), Kind::String | Kind::Number | Kind::Boolean))
    }

    /// The primitive value as text: the string without escapes, the digits as sent, `true`.
    #[inline]
    pub fn value_text(self) -> Option<Cow<'a, str>> {
        let node = self.value()?;
        match node.kind() {
            Kind::String => node.as_str(),
            Kind::Number | Kind::Boolean => Some(Cow::Borrowed(node.raw_text())),
            Kind::Object | Kind::Array | Kind::Null => None,
        }
    }

    /// The type of a resource, if this is one.
    pub fn resource_type(self) -> Option<Cow<'a, str>> {
        self.value()?.get_str("resourceType")?.as_str()
    }

    /// The `id`: of a resource, or of an element within one.
    pub fn id(self) -> Option<Cow<'a, str>> {
        self.object()?.get_str("id")?.as_str()
    }

    /// The extensions.
    pub fn extensions(self) -> Items<'a> {
        self.children_by_key("extension")
    }

    /// The elements of one property, in document order.
    #[inline]
    pub fn children(self, name: Name) -> Items<'a> {
        if !name.is_known() {
            return Items::none(self.tree);
        }
        self.property(|node| node.entry.name == name)
    }

    /// The elements of one property by its text, without `_`.
    #[inline]
    pub fn children_by_key(self, name: &str) -> Items<'a> {
        self.property(|node| node.has_name(name))
    }

    /// The first element of one property.
    #[inline]
    pub fn child(self, name: Name) -> Option<Self> {
        self.children(name).next()
    }

    /// The first element of one property by its text, without `_`.
    #[inline]
    pub fn child_by_key(self, name: &str) -> Option<Self> {
        self.children_by_key(name).next()
    }

    /// All elements below, one level, in document order; `resourceType` is among them.
    ///
    /// The two halves of a primitive are one element, in the place of the value.
    #[inline]
    pub fn all_children(self) -> Children<'a> {
        let mut children = Children {
            items: Items::none(self.tree),
            object: 0,
            next: 0,
            end: 0,
            has_shadow: false,
        };
        if let Some(object) = self.object() {
            children.object = object.id;
            children.next = object.id + 1;
            children.end = object.entry.next;
            children.has_shadow = object.entry.flags.has(Flags::HAS_SHADOW);
        }
        children
    }

    /// Where the element is, as a FHIRPath; see [`Tree::location`].
    pub fn location(self) -> String {
        self.node().location()
    }

    /// The object whose members are the children.
    #[inline]
    fn object(self) -> Option<Node<'a>> {
        let is_object = |node: &Node<'_>| node.kind() == Kind::Object;
        self.value()
            .filter(is_object)
            .or_else(|| self.shadow().filter(is_object))
    }

    /// The items of the first value and the first `_` sibling that are the wanted property.
    #[inline]
    fn property(self, is_wanted: impl Fn(Node<'a>) -> bool) -> Items<'a> {
        let Some(object) = self.object() else {
            return Items::none(self.tree);
        };
        let has_shadow = object.entry.flags.has(Flags::HAS_SHADOW);
        let (mut value, mut shadow) = (None, None);
        for node in object.children().filter(|node| is_wanted(*node)) {
            if node.is_shadow() {
                shadow = Some(node);
            } else {
                value = Some(node);
            }
            if !has_shadow || (value.is_some() && shadow.is_some()) {
                break;
            }
        }
        Items::of(self.tree, value, shadow)
    }
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
            && self.shadow == other.shadow
            && std::ptr::eq(self.tree, other.tree)
    }
}

impl Eq for Element<'_> {}

impl fmt::Debug for Element<'_> {
    /// Never shows content.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Element({})", self.name_text())
    }
}

/// The nodes of one half of a property that are still to come.
#[derive(Clone, Copy)]
struct Half {
    next: u32,
    end: u32,
}

impl Half {
    const NONE: Self = Self { next: 0, end: 0 };

    /// The items of an array, or the one value that is none.
    fn of(node: Node<'_>) -> Self {
        match node.kind() {
            Kind::Array => Self {
                next: node.id + 1,
                end: node.entry.next,
            },
            _ => Self {
                next: node.id,
                end: node.entry.next,
            },
        }
    }

    #[inline]
    fn is_done(self) -> bool {
        self.next >= self.end
    }

    /// The next node, [`NONE`] for `null` and when there is no more.
    #[inline]
    fn take(&mut self, tree: &Tree) -> u32 {
        if self.is_done() {
            return NONE;
        }
        let (index, entry) = (self.next, tree.entry(self.next));
        self.next = entry.next;
        if entry.kind == Kind::Null {
            NONE
        } else {
            index
        }
    }
}

/// The elements of one property.
#[derive(Clone)]
pub struct Items<'a> {
    tree: &'a Tree,
    value: Half,
    shadow: Half,
    /// The place of the next item; [`NONE`] if there is no array.
    position: u32,
}

impl<'a> Items<'a> {
    const fn none(tree: &'a Tree) -> Self {
        Self {
            tree,
            value: Half::NONE,
            shadow: Half::NONE,
            position: NONE,
        }
    }

    #[inline]
    fn of(tree: &'a Tree, value: Option<Node<'a>>, shadow: Option<Node<'a>>) -> Self {
        let is_array = |node: Option<Node<'_>>| node.is_some_and(|node| node.kind() == Kind::Array);
        Self {
            tree,
            value: value.map_or(Half::NONE, Half::of),
            shadow: shadow.map_or(Half::NONE, Half::of),
            position: if is_array(value) || is_array(shadow) {
                0
            } else {
                NONE
            },
        }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        while !(self.value.is_done() && self.shadow.is_done()) {
            let element = Element {
                tree: self.tree,
                value: self.value.take(self.tree),
                shadow: self.shadow.take(self.tree),
                position: self.position,
            };
            if self.position != NONE {
                self.position += 1;
            }
            if element.value != NONE || element.shadow != NONE {
                return Some(element);
            }
        }
        None
    }
}

/// All elements one level below.
#[derive(Clone)]
pub struct Children<'a> {
    /// What is left of the property that we are in.
    items: Items<'a>,
    /// The object, to look for siblings in.
    object: u32,
    /// The next member.
    next: u32,
    end: u32,
    has_shadow: bool,
}

impl<'a> Children<'a> {
    /// Turns to the next property; a `_` sibling comes along with its value, or alone.
    #[inline]
    fn enter(&mut self, member: Node<'a>) {
        let tree = member.tree;
        if !self.has_shadow {
            self.items = Items::of(tree, Some(member), None);
            return;
        }
        let sibling = self.sibling(member);
        self.items = match (member.is_shadow(), sibling) {
            (false, shadow) => Items::of(tree, Some(member), shadow),
            (true, None) => Items::of(tree, None, Some(member)),
            (true, Some(_)) => Items::none(tree),
        };
    }

    /// The other half of a property.
    fn sibling(&self, member: Node<'a>) -> Option<Node<'a>> {
        member.tree.at(self.object).children().find(|other| {
            other.is_shadow() != member.is_shadow()
                && other.name() == member.name()
                && (member.name().is_known() || other.name_text() == member.name_text())
        })
    }
}

impl<'a> Iterator for Children<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        loop {
            if let Some(element) = self.items.next() {
                return Some(element);
            }
            if self.next >= self.end {
                return None;
            }
            let member = self.items.tree.at(self.next);
            self.next = member.entry.next;
            self.enter(member);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Names;
    use crate::tree::Limits;

    const PATIENT: &str = r#"{
        "resourceType": "Patient",
        "id": "anna",
        "_birthDate": {"id": "b", "extension": [{"url": "u", "valueString": "x"}]},
        "active": true,
        "name": [
            {"given": ["A", null, "C", null], "_given": [null, {"id": "g1"}, {"id": "g2"}]},
            {"_family": {"extension": [{"url": "v"}]}, "family": "F\u0041"}
        ],
        "birthDate": "1974-12-25",
        "_new": [{"id": "n0"}, null, {"id": "n2"}],
        "_other": {"id": "o"},
        "multipleBirthInteger": 2
    }"#;

    fn names() -> Names {
        Names::new([
            "resourceType",
            "id",
            "name",
            "given",
            "family",
            "birthDate",
            "active",
        ])
    }

    /// Value, id and position of each element.
    fn shown(items: impl Iterator<Item = Element<'static>>) -> Vec<String> {
        items
            .map(|element| {
                let value = element.value_text();
                let id = element.id();
                format!(
                    "{}={}#{}@{}",
                    element.name_text(),
                    value.as_deref().unwrap_or("-"),
                    id.as_deref().unwrap_or("-"),
                    element
                        .position()
                        .map_or(String::from("-"), |position| position.to_string())
                )
            })
            .collect()
    }

    fn patient() -> &'static Tree {
        let tree = Tree::parse(PATIENT, &names(), &Limits::default()).unwrap();
        Box::leak(Box::new(tree))
    }

    #[test]
    fn a_primitive_is_one_element_whatever_the_order_of_its_halves() {
        let names = names();
        let patient = patient().element();
        let birth_date = patient.child(names.get("birthDate").unwrap()).unwrap();
        assert_eq!(birth_date.value_text().unwrap(), "1974-12-25");
        assert_eq!(birth_date.id().unwrap(), "b");
        assert_eq!(birth_date.location(), "Patient.birthDate");
        let extension = birth_date.extensions().next().unwrap();
        assert_eq!(
            extension
                .child_by_key("valueString")
                .unwrap()
                .value_text()
                .unwrap(),
            "x"
        );
        assert_eq!(extension.position(), Some(0));
        assert!(birth_date.has_value() && !birth_date.is_complex());
    }

    #[test]
    fn arrays_of_primitives_are_paired_item_by_item() {
        let names = names();
        let name = patient()
            .element()
            .child(names.get("name").unwrap())
            .unwrap();
        assert_eq!(
            shown(name.children(names.get("given").unwrap())),
            ["given=A#-@0", "given=-#g1@1", "given=C#g2@2"]
        );
        assert_eq!(
            shown(name.children_by_key("given")),
            shown(name.all_children())
        );
        let given = name.children_by_key("given").nth(1).unwrap();
        assert_eq!(given.location(), "Patient.name[0].given[1]");
        assert!(!given.has_value());
    }

    #[test]
    fn all_children_come_in_the_order_of_the_document() {
        assert_eq!(
            shown(patient().element().all_children()),
            [
                "resourceType=Patient#-@-",
                "id=anna#-@-",
                "active=true#-@-",
                "name=-#-@0",
                "name=-#-@1",
                "birthDate=1974-12-25#b@-",
                "new=-#n0@0",
                "new=-#n2@2",
                "other=-#o@-",
                "multipleBirthInteger=2#-@-",
            ]
        );
        let second = patient().element().children_by_key("name").nth(1).unwrap();
        assert_eq!(shown(second.all_children()), ["family=FA#-@-"]);
    }

    #[test]
    fn what_is_unknown_is_found_by_its_text_only() {
        let element = patient().element();
        assert_eq!(element.children(Name::UNKNOWN).count(), 0);
        assert_eq!(
            shown(element.children_by_key("new")),
            ["new=-#n0@0", "new=-#n2@2"]
        );
        assert_eq!(element.children_by_key("_new").count(), 0);
        assert_eq!(element.resource_type().unwrap(), "Patient");
        assert_eq!(element.id().unwrap(), "anna");
    }

    #[test]
    fn what_is_not_fhir_adds_nothing() {
        let source = r#"{"a":null,"b":[null],"c":{"id":"x"},"_c":{"id":"y"},"d":[["e"]]}"#;
        let tree: &'static Tree = Box::leak(Box::new(
            Tree::parse(source, &names(), &Limits::default()).unwrap(),
        ));
        assert_eq!(shown(tree.element().all_children()), ["c=-#x@-", "d=-#-@0"]);
        assert_eq!(
            tree.element()
                .child_by_key("d")
                .unwrap()
                .all_children()
                .count(),
            0
        );
    }
}
