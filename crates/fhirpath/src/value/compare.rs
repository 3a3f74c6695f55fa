//! Equality, equivalence and order: <http://hl7.org/fhirpath/N1/#equality>, `#comparison`.
//!
//! Equality and order are three-valued: `None` where the precision of a date or the unit of a
//! quantity does not suffice to say. Elements with children are equal if their content is.

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};

use fhir_model::definition::Definitions;
use fhir_model::element::Element;
use fhir_model::tree::{Kind, Node};
use rust_decimal::Decimal;

use crate::compile::Known;
use crate::value::{Item, parse_decimal, units};

/// What comparing needs to know of types.
#[derive(Clone, Copy)]
pub(crate) struct Comparer<'a> {
    pub(crate) definitions: &'a Definitions,
    pub(crate) known: &'a Known,
}

impl Comparer<'_> {
    /// `=` of two items.
    pub(crate) fn equal(self, left: &Item<'_>, right: &Item<'_>) -> Option<bool> {
        if let (Some(left), Some(right)) = (
            left.string(self.definitions),
            right.string(self.definitions),
        ) {
            return Some(left == right);
        }
        if let (Item::Node { element: left, .. }, Item::Node { element: right, .. }) = (left, right)
            && !left.has_value()
            && !right.has_value()
        {
            return Some(same_content(*left, *right));
        }
        let (Some(left), Some(right)) = (self.system(left), self.system(right)) else {
            return Some(same_identity(left, right));
        };
        match (&left, &right) {
            (Item::Quantity(left), Item::Quantity(right)) => {
                let is_calendar = |unit: &str| matches!(unit, "year" | "month");
                let (from, to) = (left.unit.code(), right.unit.code());
                if is_calendar(from) != is_calendar(to) {
                    return None;
                }
                units::compare(left, right).map(Ordering::is_eq)
            }
            _ => match order(&left, &right) {
                Some(Order::Known(ordering)) => Some(ordering.is_eq()),
                Some(Order::Unknown) => None,
                None => Some(false),
            },
        }
    }

    /// `~` of two items.
    pub(crate) fn equivalent(self, left: &Item<'_>, right: &Item<'_>) -> bool {
        if let (Item::Node { element: left, .. }, Item::Node { element: right, .. }) = (left, right)
            && !left.has_value()
            && !right.has_value()
        {
            return equivalent_content(*left, *right);
        }
        let (Some(left), Some(right)) = (self.system(left), self.system(right)) else {
            return same_identity(left, right);
        };
        match (&left, &right) {
            (Item::String(left), Item::String(right)) => equivalent_text(left, right),
            (Item::Quantity(left), Item::Quantity(right)) => units::equivalent(left, right),
            (
                Item::Date(left) | Item::DateTime(left) | Item::Time(left),
                Item::Date(right) | Item::DateTime(right) | Item::Time(right),
            ) => left.same_precision(right) && left.compare(right).is_some_and(Ordering::is_eq),
            _ => match (number(&left), number(&right)) {
                (Some(left), Some(right)) => equivalent_number(left, right),
                _ => matches!(order(&left, &right), Some(Order::Known(Ordering::Equal))),
            },
        }
    }

    /// `<`, `>` of two items: `Err` if there is no order between their types.
    pub(crate) fn compare(self, left: &Item<'_>, right: &Item<'_>) -> Result<Option<Ordering>, ()> {
        let (left, right) = (self.system(left).ok_or(())?, self.system(right).ok_or(())?);
        if matches!(left, Item::Boolean(_)) {
            return Err(());
        }
        match order(&left, &right) {
            Some(Order::Known(ordering)) => Ok(Some(ordering)),
            Some(Order::Unknown) => Ok(None),
            None => Err(()),
        }
    }

    fn system<'i>(self, item: &Item<'i>) -> Option<Item<'i>> {
        item.system(self.definitions, self.known)
    }

    /// A number that is the same for items that are equal.
    pub(crate) fn hash(self, item: &Item<'_>) -> u64 {
        let mut hasher = DefaultHasher::new();
        if let Some(text) = item.string(self.definitions) {
            text.hash(&mut hasher);
        } else if let Some(number) = self.system(item).as_ref().and_then(number) {
            number.normalize().hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// The order of two values, as far as it is known.
enum Order {
    Known(Ordering),
    Unknown,
}

/// The order of two system values; `None` if their types have none.
fn order(left: &Item<'_>, right: &Item<'_>) -> Option<Order> {
    let known = |ordering: Option<Ordering>| Some(ordering.map_or(Order::Unknown, Order::Known));
    match (left, right) {
        (Item::Boolean(left), Item::Boolean(right)) => known(Some(left.cmp(right))),
        (Item::Integer(left), Item::Integer(right)) => known(Some(left.cmp(right))),
        (Item::String(left), Item::String(right)) => known(Some(left.cmp(right))),
        (Item::Date(left) | Item::DateTime(left), Item::Date(right) | Item::DateTime(right))
        | (Item::Time(left), Item::Time(right)) => known(left.compare(right)),
        (Item::Quantity(left), Item::Quantity(right)) => known(units::compare(left, right)),
        (Item::Quantity(left), _) => {
            let right = units::plain(number(right)?);
            known(units::compare(left, &right))
        }
        (_, Item::Quantity(right)) => {
            let left = units::plain(number(left)?);
            known(units::compare(&left, right))
        }
        _ => known(Some(number(left)?.cmp(&number(right)?))),
    }
}

/// The value of a number.
pub(crate) fn number(item: &Item<'_>) -> Option<Decimal> {
    match item {
        Item::Integer(number) => Some((*number).into()),
        Item::Decimal(number) => Some(*number),
        _ => None,
    }
}

/// Whether two things without a value are the same thing.
fn same_identity(left: &Item<'_>, right: &Item<'_>) -> bool {
    match (left, right) {
        (Item::Type(left), Item::Type(right)) => left == right,
        (Item::Resource(left), Item::Resource(right)) => left == right,
        _ => false,
    }
}

/// Decimals are equivalent if they are equal at the precision of the less precise.
fn equivalent_number(left: Decimal, right: Decimal) -> bool {
    let scale = left.normalize().scale().min(right.normalize().scale());
    left.round_dp(scale) == right.round_dp(scale)
}

/// Strings are equivalent if only case and white space tell them apart.
fn equivalent_text(left: &str, right: &str) -> bool {
    folded(left).eq(folded(right))
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    let words = text.split_whitespace();
    words.flat_map(|word| {
        word.chars()
            .flat_map(char::to_lowercase)
            .chain(std::iter::once(' '))
    })
}

/// Whether two elements have the same content, ids and extensions included.
fn same_content(left: Element<'_>, right: Element<'_>) -> bool {
    same_node(left.value(), right.value()) && same_node(left.shadow(), right.shadow())
}

/// Recursion is bounded by the depth of trees.
fn same_node(left: Option<Node<'_>>, right: Option<Node<'_>>) -> bool {
    let (left, right) = match (left, right) {
        (Some(left), Some(right)) => (left, right),
        (None, None) => return true,
        _ => return false,
    };
    if left == right {
        return true;
    }
    if left.kind() != right.kind() {
        return false;
    }
    match left.kind() {
        Kind::Object => {
            left.children().count() == right.children().count()
                && left
                    .children()
                    .all(|member| same_node(Some(member), right.get_str(&member.key())))
        }
        Kind::Array => {
            left.children().count() == right.children().count()
                && left
                    .children()
                    .zip(right.children())
                    .all(|(left, right)| same_node(Some(left), Some(right)))
        }
        Kind::String => left.as_str() == right.as_str(),
        Kind::Number => same_number(left.raw_text(), right.raw_text()),
        Kind::Boolean | Kind::Null => left.raw_text() == right.raw_text(),
    }
}

fn same_number(left: &str, right: &str) -> bool {
    left == right
        || matches!((parse_decimal(left), parse_decimal(right)), (Some(left), Some(right)) if left == right)
}

/// Whether two elements have equivalent content: lists in any order, texts in any case.
fn equivalent_content(left: Element<'_>, right: Element<'_>) -> bool {
    match (left.value(), right.value()) {
        (Some(left), Some(right)) => equivalent_node(left, right),
        (None, None) => same_node(left.shadow(), right.shadow()),
        _ => false,
    }
}

/// The longest list that is compared in any order; longer ones are compared in order.
const UNORDERED_ITEMS_MAX: usize = 64;

fn equivalent_node(left: Node<'_>, right: Node<'_>) -> bool {
    if left == right {
        return true;
    }
    if left.kind() != right.kind() {
        return false;
    }
    match left.kind() {
        Kind::Object => {
            let members = |node: Node<'_>| node.children().filter(|member| !is_id(*member)).count();
            members(left) == members(right)
                && left.children().all(|member| {
                    is_id(member)
                        || right
                            .get_str(&member.key())
                            .is_some_and(|other| equivalent_node(member, other))
                })
        }
        Kind::Array => equivalent_list(left, right),
        Kind::String => match (left.as_str(), right.as_str()) {
            (Some(left), Some(right)) => equivalent_text(&left, &right),
            _ => false,
        },
        Kind::Number => match (
            parse_decimal(left.raw_text()),
            parse_decimal(right.raw_text()),
        ) {
            (Some(left), Some(right)) => equivalent_number(left, right),
            _ => left.raw_text() == right.raw_text(),
        },
        Kind::Boolean | Kind::Null => left.raw_text() == right.raw_text(),
    }
}

/// An element's id says nothing of its meaning.
fn is_id(member: Node<'_>) -> bool {
    member.has_key("id")
}

fn equivalent_list(left: Node<'_>, right: Node<'_>) -> bool {
    let count = left.children().count();
    if count != right.children().count() {
        return false;
    }
    if count > UNORDERED_ITEMS_MAX {
        let mut pairs = left.children().zip(right.children());
        return pairs.all(|(left, right)| equivalent_node(left, right));
    }
    let mut others: Vec<Node<'_>> = right.children().collect();
    left.children().all(|item| {
        let place = others
            .iter()
            .position(|other| equivalent_node(item, *other));
        place.map(|place| others.swap_remove(place)).is_some()
    })
}
