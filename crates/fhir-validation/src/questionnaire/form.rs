//! A Questionnaire as its responses are held to it: its items by their `linkId`, in order, with
//! the rules that are written as extensions.

use std::borrow::Cow;
use std::collections::HashMap;

use fhir_model::element::Element;
use fhir_model::tree::{Kind, Node};

/// A value of one of the types that `value[x]`, `answer[x]` and others of them may have here.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a> {
    /// The end of the property's name: `Coding`.
    pub(crate) suffix: &'static str,
    /// The name of the type.
    pub(crate) type_name: &'static str,
    pub(crate) element: Element<'a>,
}

/// The types of answers, and of the extensions that are read here: the end of the property, and
/// the name of the type.
const VALUE_TYPES: &[(&str, &str)] = &[
    ("Attachment", "Attachment"),
    ("Boolean", "boolean"),
    ("Canonical", "canonical"),
    ("Code", "code"),
    ("Coding", "Coding"),
    ("Date", "date"),
    ("DateTime", "dateTime"),
    ("Decimal", "decimal"),
    ("Integer", "integer"),
    ("Quantity", "Quantity"),
    ("Reference", "Reference"),
    ("String", "string"),
    ("Time", "time"),
    ("Uri", "uri"),
];

/// What an item asks for: <https://hl7.org/fhir/R4/valueset-item-type.html>.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    /// Nothing; it groups other items.
    Group,
    /// Nothing; it is there to be read.
    Display,
    /// An answer of one of these types.
    Answer(&'static [&'static str]),
    /// A choice of options, and if it is open a text instead.
    Choice { is_open: bool },
    /// Not known, or any answer.
    Anything,
}

/// The types of items that ask for one type of answer.
const ANSWERS: &[(&str, &[&str])] = &[
    ("attachment", &["Attachment"]),
    ("boolean", &["Boolean"]),
    ("date", &["Date"]),
    ("dateTime", &["DateTime"]),
    ("decimal", &["Decimal"]),
    ("integer", &["Integer"]),
    ("quantity", &["Quantity"]),
    ("reference", &["Reference"]),
    ("string", &["String"]),
    ("text", &["String"]),
    ("time", &["Time"]),
    ("url", &["Uri"]),
];

impl Asked {
    fn by(item: Node<'_>) -> Self {
        let code = text_of(item, "type").unwrap_or_default();
        match &*code {
            "group" => Self::Group,
            "display" => Self::Display,
            "choice" => Self::Choice { is_open: false },
            "open-choice" => Self::Choice { is_open: true },
            code => ANSWERS
                .iter()
                .find(|(known, _)| *known == code)
                .map_or(Self::Anything, |(_, types)| Self::Answer(types)),
        }
    }
}

/// One item of the Questionnaire.
pub(crate) struct FormItem<'a> {
    pub(crate) node: Node<'a>,
    pub(crate) link_id: Cow<'a, str>,
    pub(crate) asked: Asked,
    /// The item that it stands in.
    pub(crate) parent: Option<usize>,
    /// The items in it, by their places in the form.
    pub(crate) children: Vec<usize>,
}

impl<'a> FormItem<'a> {
    /// Whether a property is there and true.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.node.get_str(name).and_then(Node::as_bool) == Some(true)
    }

    /// The values of the extensions with a URL.
    pub(crate) fn extensions(&self, url: &'a str) -> impl Iterator<Item = Value<'a>> {
        extensions(self.node, url)
    }

    /// The number that an extension gives.
    pub(crate) fn count(&self, url: &'a str) -> Option<usize> {
        let value = self.extensions(url).next()?;
        value.element.value_text()?.parse().ok()
    }
}

/// The items of a Questionnaire.
pub(crate) struct Form<'a> {
    items: Vec<FormItem<'a>>,
    by_link_id: HashMap<Cow<'a, str>, usize>,
    /// The items at the top.
    pub(crate) top: Vec<usize>,
}

impl<'a> Form<'a> {
    pub(crate) fn of(questionnaire: Node<'a>) -> Self {
        let mut form = Self {
            items: Vec::new(),
            by_link_id: HashMap::new(),
            top: Vec::new(),
        };
        let mut open: Vec<(Option<usize>, Node<'a>)> = vec![(None, questionnaire)];
        while let Some((parent, node)) = open.pop() {
            for item in items_of(node, "item") {
                let at = form.add(item, parent);
                open.push((Some(at), item));
            }
        }
        form
    }

    fn add(&mut self, node: Node<'a>, parent: Option<usize>) -> usize {
        let at = self.items.len();
        let link_id = text_of(node, "linkId").unwrap_or_default();
        self.by_link_id.entry(link_id.clone()).or_insert(at);
        match parent.and_then(|parent| self.items.get_mut(parent)) {
            Some(parent) => parent.children.push(at),
            None => self.top.push(at),
        }
        self.items.push(FormItem {
            node,
            link_id,
            asked: Asked::by(node),
            parent,
            children: Vec::new(),
        });
        at
    }

    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn item(&self, at: usize) -> Option<&FormItem<'a>> {
        self.items.get(at)
    }

    pub(crate) fn find(&self, link_id: &str) -> Option<usize> {
        self.by_link_id.get(link_id).copied()
    }

    /// The items in an item, or at the top.
    pub(crate) fn children(&self, parent: Option<usize>) -> &[usize] {
        match parent {
            Some(at) => self
                .item(at)
                .map(|item| &*item.children)
                .unwrap_or_default(),
            None => &self.top,
        }
    }
}

/// The objects of a repeating property.
pub(crate) fn items_of<'a>(node: Node<'a>, name: &str) -> impl Iterator<Item = Node<'a>> + use<'a> {
    let items = node.get_str(name).into_iter().flat_map(Node::items);
    items.filter(|item| item.kind() == Kind::Object)
}

/// The text of a property.
pub(crate) fn text_of<'a>(node: Node<'a>, name: &str) -> Option<Cow<'a, str>> {
    node.get_str(name).and_then(Node::as_str)
}

/// The value of a choice element such as `value[x]`; one that has extensions only is there too.
pub(crate) fn value_of<'a>(node: Node<'a>, stem: &str) -> Option<Value<'a>> {
    let (suffix, type_name, name) = node.children().find_map(|member| {
        let name = member.name_text();
        let suffix = name.strip_prefix(stem)?;
        let (suffix, type_name) = VALUE_TYPES.iter().find(|(known, _)| *known == suffix)?;
        Some((*suffix, *type_name, name))
    })?;
    let element = Element::of(node).child_by_key(&name)?;
    Some(Value {
        suffix,
        type_name,
        element,
    })
}

/// The values of the extensions of an object that have a URL.
pub(crate) fn extensions<'a>(
    node: Node<'a>,
    url: &'a str,
) -> impl Iterator<Item = Value<'a>> + use<'a> {
    items_of(node, "extension")
        .filter(move |extension| text_of(*extension, "url").as_deref() == Some(url))
        .filter_map(|extension| value_of(extension, "value"))
}
