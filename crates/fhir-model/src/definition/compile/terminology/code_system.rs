//! `CodeSystem`: concepts in preorder, their properties, and the hierarchy beyond nesting.
//!
//! Standard: <https://hl7.org/fhir/R4/codesystem.html>. The properties with a meaning of their own
//! are known by URI, whatever a code system calls them, else by their usual code.

use serde_json::Value;

use super::{count_of, language_of};
use crate::definition::compile::{Compiler, ProblemKind, decode, is_true, list_of, text_of};
use crate::definition::terminology::{
    CodeSystem, CodeSystemContent, Concept, ConceptId, ConceptProperty, ConceptPropertyKind,
    HierarchyMeaning, PropertyDefinition, compare_folded,
};
use crate::definition::{Span, row};

const CONTENTS: &[(&str, CodeSystemContent)] = &[
    ("not-present", CodeSystemContent::NotPresent),
    ("example", CodeSystemContent::Example),
    ("fragment", CodeSystemContent::Fragment),
    ("complete", CodeSystemContent::Complete),
    ("supplement", CodeSystemContent::Supplement),
];

const HIERARCHY_MEANINGS: &[(&str, HierarchyMeaning)] = &[
    ("grouped-by", HierarchyMeaning::GroupedBy),
    ("is-a", HierarchyMeaning::IsA),
    ("part-of", HierarchyMeaning::PartOf),
    ("classified-with", HierarchyMeaning::ClassifiedWith),
];

/// The values of the property `status` by which a concept is not to be used any more.
const INACTIVE: &[&str] = &["retired", "inactive", "withdrawn"];

/// How deep concepts may be nested; what is deeper is left out.
const MAX_CONCEPT_DEPTH: u8 = 64;

/// What begins the URIs of the properties that FHIR defines.
const PROPERTY_URIS: &str = "http://hl7.org/fhir/concept-properties#";

/// A property with a meaning of its own.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    NotSelectable,
    Inactive,
    Status,
    Parent,
    Child,
}

/// By the code that FHIR gives them; THO says `subsumedBy` for a parent.
const ROLES: &[(&str, Role)] = &[
    ("notSelectable", Role::NotSelectable),
    ("inactive", Role::Inactive),
    ("status", Role::Status),
    ("parent", Role::Parent),
    ("subsumedBy", Role::Parent),
    ("child", Role::Child),
];

const PROPERTY_VALUES: &[(&str, ConceptPropertyKind)] = &[
    ("valueCode", ConceptPropertyKind::Code),
    ("valueCoding", ConceptPropertyKind::Coding),
    ("valueString", ConceptPropertyKind::String),
    ("valueInteger", ConceptPropertyKind::Integer),
    ("valueBoolean", ConceptPropertyKind::Boolean),
    ("valueDateTime", ConceptPropertyKind::DateTime),
    ("valueDecimal", ConceptPropertyKind::Decimal),
];

/// What is known of a code system while its concepts are read.
#[derive(Default)]
struct Reading<'a> {
    /// Codes of properties that are declared with a URI of FHIR's.
    roles: Vec<(&'a str, Role)>,
    /// A concept's row, and the code of another that is above or under it.
    relatives: Vec<(u32, Role, &'a str)>,
}

impl Reading<'_> {
    fn role(&self, property: &str) -> Option<Role> {
        decode(Some(property), &self.roles).or_else(|| decode(Some(property), ROLES))
    }
}

/// How much of a code system is there. What names another one that it supplements is a supplement,
/// whatever its content calls itself.
fn content_of(resource: &Value) -> Option<CodeSystemContent> {
    let content = decode(text_of(resource, "content"), CONTENTS)?;
    let is_supplement = text_of(resource, "supplements").is_some();
    Some(if is_supplement {
        CodeSystemContent::Supplement
    } else {
        content
    })
}

impl Compiler {
    pub(in crate::definition::compile) fn code_systems(&mut self, resources: &[Value]) {
        for resource in resources {
            let url = text_of(resource, "url");
            let content = content_of(resource);
            let (Some(url), Some(content)) = (url, content) else {
                let missing = if url.is_none() { "url" } else { "content" };
                self.report(resource, ProblemKind::Missing(missing));
                continue;
            };
            self.code_system(resource, url, content);
        }
        let tables = &mut self.definitions.terminology;
        tables.systems_by_url.sort();
        tables.supplements_by_url.sort();
        for edges in [&mut tables.further_children, &mut tables.further_parents] {
            edges.sort_unstable();
            edges.dedup();
        }
    }

    fn code_system(&mut self, resource: &Value, url: &str, content: CodeSystemContent) {
        let mut reading = Reading::default();
        let properties = self.property_declarations(resource, &mut reading);
        let start = self.definitions.terminology.concepts.len();
        self.add_concepts(list_of(resource, "concept"), None, 0, &mut reading);
        let concepts = Span::since(start, &self.definitions.terminology.concepts);
        let is_case_sensitive = resource.get("caseSensitive") != Some(&Value::Bool(false));
        let code_system = CodeSystem {
            url: self.intern(url),
            version: self.intern_property(resource, "version"),
            name: self.intern(text_of(resource, "name").unwrap_or_default()),
            title: self.intern_property(resource, "title"),
            status: self.intern_property(resource, "status"),
            is_experimental: is_true(resource, "experimental"),
            language: language_of(self, resource),
            // Some definitions call themselves complete and list nothing.
            content: if concepts.len == 0 && content != CodeSystemContent::Supplement {
                CodeSystemContent::NotPresent
            } else {
                content
            },
            is_case_sensitive,
            hierarchy_meaning: decode(text_of(resource, "hierarchyMeaning"), HIERARCHY_MEANINGS),
            value_set: self.intern_property(resource, "valueSet"),
            supplements: self.intern_property(resource, "supplements"),
            count: count_of(resource, "count"),
            properties,
            concepts,
            by_code: self.sorted_by_code(concepts, is_case_sensitive),
        };
        self.relate(&code_system, &reading.relatives);
        let tables = &mut self.definitions.terminology;
        let number = row(tables.code_systems.len());
        let index = if code_system.content == CodeSystemContent::Supplement {
            &mut tables.supplements_by_url
        } else {
            &mut tables.systems_by_url
        };
        index.push(code_system.url, code_system.version, number);
        tables.code_systems.push(code_system);
    }

    fn property_declarations<'a>(
        &mut self,
        resource: &'a Value,
        reading: &mut Reading<'a>,
    ) -> Span {
        let start = self.definitions.terminology.property_definitions.len();
        for property in list_of(resource, "property") {
            let Some(code) = text_of(property, "code") else {
                continue;
            };
            let uri = text_of(property, "uri");
            let own = uri.and_then(|uri| uri.strip_prefix(PROPERTY_URIS));
            reading
                .roles
                .extend(decode(own, ROLES).map(|role| (code, role)));
            let definition = PropertyDefinition {
                code: self.intern(code),
                uri: uri.map(|uri| self.intern(uri)),
            };
            let tables = &mut self.definitions.terminology;
            tables.property_definitions.push(definition);
        }
        Span::since(start, &self.definitions.terminology.property_definitions)
    }

    /// Adds concepts and what is nested in them.
    fn add_concepts<'a>(
        &mut self,
        concepts: &'a [Value],
        parent: Option<usize>,
        depth: u8,
        reading: &mut Reading<'a>,
    ) {
        if depth == MAX_CONCEPT_DEPTH {
            return;
        }
        for concept in concepts {
            let Some(code) = self.intern_property(concept, "code") else {
                continue;
            };
            let at = self.definitions.terminology.concepts.len();
            let mut compiled = Concept {
                code,
                display: self.intern_property(concept, "display"),
                definition: self.intern_property(concept, "definition"),
                depth,
                is_abstract: false,
                is_inactive: false,
                up: parent.map_or(0, |parent| row(at - parent)),
                below: 0,
                properties: Span::default(),
                designations: self.designations(concept),
            };
            self.add_properties(concept, &mut compiled, row(at), reading);
            self.definitions.terminology.concepts.push(compiled);
            self.add_concepts(list_of(concept, "concept"), Some(at), depth + 1, reading);
            let tables = &mut self.definitions.terminology;
            let below = row(tables.concepts.len() - at - 1);
            if let Some(stored) = tables.concepts.get_mut(at) {
                stored.below = below;
            }
        }
    }

    fn add_properties<'a>(
        &mut self,
        concept: &'a Value,
        compiled: &mut Concept,
        at: u32,
        reading: &mut Reading<'a>,
    ) {
        let start = self.definitions.terminology.concept_properties.len();
        for property in list_of(concept, "property") {
            let Some(code) = text_of(property, "code") else {
                continue;
            };
            let value = text_of(property, "valueCode");
            match reading.role(code) {
                Some(Role::NotSelectable) => {
                    compiled.is_abstract |= is_true(property, "valueBoolean");
                }
                Some(Role::Inactive) => compiled.is_inactive |= is_true(property, "valueBoolean"),
                Some(Role::Status) => {
                    compiled.is_inactive |= value.is_some_and(|code| INACTIVE.contains(&code));
                }
                Some(role @ (Role::Parent | Role::Child)) => {
                    reading.relatives.extend(value.map(|code| (at, role, code)));
                }
                None => {}
            }
            self.add_property(property, code);
        }
        let properties = &self.definitions.terminology.concept_properties;
        if properties.len() > start {
            compiled.properties = Span::since(start, properties);
        }
    }

    fn add_property(&mut self, property: &Value, code: &str) {
        let found = PROPERTY_VALUES
            .iter()
            .find_map(|(name, kind)| Some((property.get(*name)?, *kind)));
        let Some((value, kind)) = found else {
            return;
        };
        let value = match value.as_str() {
            Some(text) => self.intern(text),
            None => self.intern(&value.to_string()),
        };
        let code = self.intern(code);
        let tables = &mut self.definitions.terminology;
        tables
            .concept_properties
            .push(ConceptProperty { code, kind, value });
    }

    /// The rows of these concepts in the order of their codes.
    fn sorted_by_code(&mut self, concepts: Span, is_case_sensitive: bool) -> Span {
        let definitions = &self.definitions;
        let code_of = |row: u32| definitions.concept_of(ConceptId(row)).code;
        let mut rows: Vec<u32> = (concepts.start..concepts.start + concepts.len).collect();
        if is_case_sensitive {
            rows.sort_by_key(|row| code_of(*row));
        } else {
            let text = |row: u32| definitions.text(code_of(row));
            rows.sort_by(|left, right| compare_folded(text(*left), text(*right)));
        }
        let table = &mut self.definitions.terminology.concepts_by_code;
        let from = table.len();
        table.extend(rows);
        Span::since(from, table)
    }

    /// Stores what properties say of the hierarchy, but for what nesting says already.
    fn relate(&mut self, code_system: &CodeSystem, relatives: &[(u32, Role, &str)]) {
        for (at, role, code) in relatives {
            let Some(ConceptId(other)) = self.definitions.concept_id(code_system, code) else {
                continue;
            };
            let (parent, child) = match role {
                Role::Child => (*at, other),
                _ => (other, *at),
            };
            let up = self.definitions.concept_of(ConceptId(child)).up;
            let is_nested = up > 0 && child - up == parent;
            if parent != child && !is_nested {
                let tables = &mut self.definitions.terminology;
                tables.further_children.push((parent, child));
                tables.further_parents.push((child, parent));
            }
        }
    }
}
