//! Parts of resources: `_summary` and `_elements`.
//!
//! <https://hl7.org/fhir/R4/search.html#summary>, `#elements`. Which elements belong to a summary,
//! are mandatory or change the meaning of others is said by the definitions. An answer is parsed
//! once and written again in one pass, and only where a part was asked for; a resource that lost
//! something carries the tag `SUBSETTED`, so that nobody takes it for the whole.

use std::ops::Range;

use fhir_model::definition::{Definitions, TypeId, TypeKind};
use fhir_model::issue::IssueType;
use fhir_model::tree::{Kind, Limits, Node, Tree, push_json_string};

use crate::error::Error;
use crate::interaction::url::decode;
use crate::interaction::{invalid, write::Document};
use crate::search::query::Summary;

/// The system and code of the tag of a resource that is not whole.
const SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
const CODE: &str = "SUBSETTED";
const TAG: &str = r#"{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED","display":"Resource encoded in summary mode"}"#;

/// Bundles whose entries are the answer; of any other it is the Bundle itself.
const BUNDLES_OF_ANSWERS: &[&str] = &["searchset", "history"];

/// Elements at the top that a part always has.
const ALWAYS: &[&str] = &["resourceType", "id", "meta"];

/// The part of a resource that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subset {
    /// `_summary`: not [`Summary::False`].
    Summary(Summary),
    /// `_elements`.
    Elements(Vec<Wanted>),
}

/// One name of `_elements`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The type it is for, if it says so: `Patient.name`.
    resource_type: Option<String>,
    /// An element of a resource, without `[x]`.
    name: String,
}

impl Wanted {
    fn parse(text: &str) -> Self {
        let (resource_type, name) = match text.split_once('.') {
            Some((first, rest)) if first.starts_with(|it: char| it.is_ascii_uppercase()) => {
                (Some(first.to_owned()), rest)
            }
            _ => (None, text),
        };
        // What is below an element is not cut: the whole of it is returned.
        let name = name.split('.').next().unwrap_or_default();
        Self {
            resource_type,
            name: name.trim_end_matches("[x]").to_owned(),
        }
    }

    /// Whether it is about resources of a type. Without a type it is about what was searched for,
    /// not about what is included.
    fn is_about(&self, resource_type: &str, is_match: bool) -> bool {
        match &self.resource_type {
            Some(named) => named == resource_type,
            None => is_match,
        }
    }
}

impl Subset {
    /// What a query string asks for; nothing where it asks for whole resources. `_elements` goes
    /// before `_summary`, as the narrower of the two.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a `_summary` that R4 does not have.
    pub fn of(query: &str) -> Result<Option<Self>, Error> {
        let mut summary = Summary::False;
        let mut elements = Vec::new();
        for (name, value) in decode(query) {
            match name.as_str() {
                "_summary" => {
                    summary = Summary::parse(&value).ok_or_else(|| {
                        invalid(IssueType::Value, format!("_summary: {}", Summary::WORDS))
                    })?;
                }
                "_elements" => elements.extend(
                    value
                        .split(',')
                        .map(str::trim)
                        .filter(|name| !name.is_empty())
                        .map(Wanted::parse),
                ),
                _ => {}
            }
        }
        Ok(match summary {
            Summary::Count => Some(Self::Summary(Summary::Count)),
            _ if !elements.is_empty() => Some(Self::Elements(elements)),
            Summary::False => None,
            summary => Some(Self::Summary(summary)),
        })
    }

    /// The part of an answer: of a resource, or of the resources of a searchset or history.
    ///
    /// # Errors
    /// [`Error::Invalid`] when only the number of matches was asked for, and this is no search.
    pub fn cut(&self, definitions: &Definitions, answer: &[u8]) -> Result<String, Error> {
        let tree = Tree::parse(answer, definitions.names(), &Limits::CEILING)
            .map_err(|error| Error::Internal(error.into()))?;
        let root = tree.root();
        let mut out = String::with_capacity(answer.len());
        if is_one_of(root, "resourceType", &["Bundle"])
            && is_one_of(root, "type", BUNDLES_OF_ANSWERS)
        {
            self.bundle(definitions, root, &mut out);
        } else if *self == Self::Summary(Summary::Count) {
            return Err(invalid(
                IssueType::Value,
                "_summary=count is for searches and histories; this is one resource",
            ));
        } else {
            self.resource(definitions, root, true, &mut out);
        }
        Ok(out)
    }

    fn bundle(&self, definitions: &Definitions, bundle: Node<'_>, out: &mut String) {
        let mut members = Members::open(out);
        for member in bundle.children() {
            if !member.has_key("entry") {
                members.as_is(member);
                continue;
            }
            if *self == Self::Summary(Summary::Count) {
                continue;
            }
            members.key(member);
            members.out.push('[');
            for (index, entry) in member.items().enumerate() {
                members.out.push_str(if index > 0 { "," } else { "" });
                self.entry(definitions, entry, members.out);
            }
            members.out.push(']');
        }
        members.close();
    }

    fn entry(&self, definitions: &Definitions, entry: Node<'_>, out: &mut String) {
        let search = entry.get_str("search");
        let is_match = search.is_none_or(|search| is_one_of(search, "mode", &["match"]));
        let mut members = Members::open(out);
        for member in entry.children() {
            if member.has_key("resource") {
                members.key(member);
                self.resource(definitions, member, is_match, members.out);
            } else {
                members.as_is(member);
            }
        }
        members.close();
    }

    fn resource(
        &self,
        definitions: &Definitions,
        resource: Node<'_>,
        is_match: bool,
        out: &mut String,
    ) {
        let cut = Cut {
            subset: self,
            definitions,
            is_match,
        };
        cut.resource(resource, out);
    }

    fn lists(&self, resource_type: &str, names: &[&str], is_match: bool) -> bool {
        let Self::Elements(wanted) = self else {
            return false;
        };
        wanted.iter().any(|wanted| {
            wanted.is_about(resource_type, is_match) && names.contains(&wanted.name.as_str())
        })
    }

    /// Whether nothing is cut from resources of a type.
    fn is_whole(&self, resource_type: &str, is_match: bool) -> bool {
        match self {
            Self::Summary(_) => false,
            Self::Elements(wanted) => !wanted.iter().any(|it| it.is_about(resource_type, is_match)),
        }
    }
}

/// Whether a resource says of itself that it is only a part.
pub(super) fn is_part(document: &Document) -> bool {
    let meta = document.node().get_str("meta");
    let tags = meta.and_then(|meta| meta.get_str("tag"));
    tags.into_iter().flat_map(Node::items).any(is_our_tag)
}

fn is_our_tag(tag: Node<'_>) -> bool {
    is_one_of(tag, "system", &[SYSTEM]) && is_one_of(tag, "code", &[CODE])
}

fn is_one_of(node: Node<'_>, key: &str, values: &[&str]) -> bool {
    let value = node.get_str(key).and_then(Node::as_str);
    value.is_some_and(|value| values.contains(&value.as_ref()))
}

/// What becomes of an element.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Dropped,
    Whole,
    /// Its own elements have fates of their own.
    Within(TypeId),
}

/// A resource that is being cut.
struct Cut<'a> {
    subset: &'a Subset,
    definitions: &'a Definitions,
    is_match: bool,
}

impl Cut<'_> {
    /// Writes a resource; whether something of it was dropped.
    fn resource(&self, resource: Node<'_>, out: &mut String) -> bool {
        let resource_type = resource.get_str("resourceType").and_then(Node::as_str);
        let resource_type = resource_type.unwrap_or_default();
        let type_id = self.definitions.resource_type(&resource_type);
        let (Some(type_id), false) = (type_id, self.is_left_alone(&resource_type)) else {
            resource.write(out);
            return false;
        };
        let start = out.len();
        let mut meta: Option<Range<usize>> = None;
        let mut is_cut = false;
        let mut members = Members::open(out);
        for member in resource.children() {
            let fate = self.fate_at_top(&resource_type, type_id, member);
            if fate == Fate::Dropped {
                is_cut = true;
                continue;
            }
            members.key(member);
            let from = members.out.len();
            is_cut |= self.value(member, fate, members.out);
            if member.has_key("meta") {
                meta = Some(from..members.out.len());
            }
        }
        members.close();
        if is_cut {
            mark(resource, meta, start, out);
        }
        is_cut
    }

    fn is_left_alone(&self, resource_type: &str) -> bool {
        resource_type == "OperationOutcome" || self.subset.is_whole(resource_type, self.is_match)
    }

    fn fate_at_top(&self, resource_type: &str, type_id: TypeId, member: Node<'_>) -> Fate {
        let name = member.name_text();
        if ALWAYS.contains(&name.as_ref()) {
            return Fate::Whole;
        }
        let property = self.definitions.property(type_id, member.name());
        match self.subset {
            Subset::Summary(Summary::Data) => match name.as_ref() {
                "text" => Fate::Dropped,
                "contained" => property.map_or(Fate::Whole, |it| Fate::Within(it.type_id)),
                _ => Fate::Whole,
            },
            Subset::Summary(Summary::Text) if name == "text" => Fate::Whole,
            Subset::Summary(Summary::True) => self.fate(type_id, member),
            Subset::Summary(_) | Subset::Elements(_) => {
                let Some(property) = property else {
                    return Fate::Dropped;
                };
                let element = self.definitions.element(property.element);
                let base = self.definitions.names().text(element.name);
                let names = [name.as_ref(), base];
                let is_kept = element.min > 0
                    || element.is_modifier
                    || self.subset.lists(resource_type, &names, self.is_match);
                if is_kept { Fate::Whole } else { Fate::Dropped }
            }
        }
    }

    /// The fate of an element in a summary.
    fn fate(&self, type_id: TypeId, member: Node<'_>) -> Fate {
        let Some(property) = self.definitions.property(type_id, member.name()) else {
            return Fate::Dropped;
        };
        let element = self.definitions.element(property.element);
        if !(element.is_summary || element.is_modifier || element.min > 0) {
            return Fate::Dropped;
        }
        match self.definitions.type_of(property.type_id).kind {
            TypeKind::Primitive(_) | TypeKind::System(_) => Fate::Whole,
            TypeKind::Complex | TypeKind::Backbone | TypeKind::Resource => {
                Fate::Within(property.type_id)
            }
        }
    }

    /// Writes a value as its fate is; whether something of it was dropped.
    fn value(&self, node: Node<'_>, fate: Fate, out: &mut String) -> bool {
        let Fate::Within(type_id) = fate else {
            node.write(out);
            return false;
        };
        match node.kind() {
            Kind::Array => {
                let mut is_cut = false;
                out.push('[');
                for (index, item) in node.items().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    is_cut |= self.value(item, fate, out);
                }
                out.push(']');
                is_cut
            }
            Kind::Object if node.get_str("resourceType").is_some() => self.resource(node, out),
            Kind::Object => self.object(node, type_id, out),
            _ => {
                node.write(out);
                false
            }
        }
    }

    fn object(&self, node: Node<'_>, type_id: TypeId, out: &mut String) -> bool {
        let start = out.len();
        let mut is_cut = false;
        let mut members = Members::open(out);
        for member in node.children() {
            let fate = self.fate(type_id, member);
            if fate == Fate::Dropped {
                is_cut = true;
                continue;
            }
            members.key(member);
            is_cut |= self.value(member, fate, members.out);
        }
        let is_empty = members.is_first;
        members.close();
        if is_empty {
            // An element without any content is not FHIR.
            out.truncate(start);
            node.write(out);
            return false;
        }
        is_cut
    }
}

/// Puts the tag into `meta`; `meta` is where that stands in the text, if it does.
fn mark(resource: Node<'_>, meta: Option<Range<usize>>, start: usize, out: &mut String) {
    let mut text = String::new();
    let mut members = Members::open(&mut text);
    let sent = resource.get_str("meta");
    let mut tags: Vec<Node<'_>> = Vec::new();
    for member in sent.into_iter().flat_map(Node::children) {
        if member.has_key("tag") {
            tags.extend(member.items().filter(|tag| !is_our_tag(*tag)));
        } else {
            members.as_is(member);
        }
    }
    members.separate();
    members.out.push_str("\"tag\":[");
    for tag in tags {
        tag.write(members.out);
        members.out.push(',');
    }
    members.out.push_str(TAG);
    members.out.push(']');
    members.close();
    match meta {
        Some(range) => out.replace_range(range, &text),
        None => out.insert_str(start + 1, &format!("\"meta\":{text},")),
    }
}

/// The members of one object, written one after another.
struct Members<'o> {
    out: &'o mut String,
    is_first: bool,
}

impl<'o> Members<'o> {
    fn open(out: &'o mut String) -> Self {
        out.push('{');
        Self {
            out,
            is_first: true,
        }
    }

    fn separate(&mut self) {
        if !self.is_first {
            self.out.push(',');
        }
        self.is_first = false;
    }

    fn key(&mut self, member: Node<'_>) {
        self.separate();
        push_json_string(self.out, &member.key());
        self.out.push(':');
    }

    fn as_is(&mut self, member: Node<'_>) {
        self.key(member);
        member.write(self.out);
    }

    fn close(self) {
        self.out.push('}');
    }
}

#[cfg(test)]
mod tests;
