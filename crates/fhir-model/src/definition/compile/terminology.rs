//! Code systems, and value sets as far as the code systems at hand enumerate them.
//!
//! Standard: <https://hl7.org/fhir/R4/valueset.html#compositions>: an include draws codes from a
//! system or from other value sets, from all of them at once if it names several; an exclude
//! takes codes away.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::{Compiler, ProblemKind, decode, is_true, list_of, text_of};
use crate::definition::terminology::{
    CodeSystem, CodeSystemContent, CodeSystemId, Concept, Member, NotEnumerable, Part, Reason,
    ValueSet, ValueSetId,
};
use crate::definition::{Definitions, Span, Text, row};

const CONTENTS: &[(&str, CodeSystemContent)] = &[
    ("not-present", CodeSystemContent::NotPresent),
    ("example", CodeSystemContent::Example),
    ("fragment", CodeSystemContent::Fragment),
    ("complete", CodeSystemContent::Complete),
    ("supplement", CodeSystemContent::Supplement),
];

/// Code systems whose codes are made by a grammar: no list of them can be complete.
const GRAMMARS: &[&str] = &[
    "http://unitsofmeasure.org",
    "http://varnomen.hgvs.org/",
    "urn:ietf:bcp:13",
    "urn:ietf:bcp:47",
    "urn:ietf:rfc:3986",
];

/// The values of the property `status` by which a concept is not to be used any more.
const INACTIVE: &[&str] = &["retired", "inactive", "withdrawn"];

/// How deep concepts may be nested; what is deeper is left out.
const MAX_CONCEPT_DEPTH: u8 = 64;

/// How deep value sets may import one another.
const MAX_IMPORT_DEPTH: usize = 32;

/// The codes of a value set while it is put together.
#[derive(Clone, Default)]
struct Draft {
    parts: Vec<DraftPart>,
    unknown: Vec<NotEnumerable>,
}

#[derive(Clone)]
enum DraftPart {
    /// A part that is stored already, perhaps for another value set.
    Stored(Part),
    /// Codes of one system.
    List(Text, Vec<Member>),
}

/// The value sets to compile, and how far each one is.
struct Queue<'a> {
    sources: Vec<Source<'a>>,
    by_url: HashMap<&'a str, usize>,
}

struct Source<'a> {
    resource: &'a Value,
    url: &'a str,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Waiting,
    InProgress,
    Done(ValueSetId),
}

impl Compiler {
    pub(super) fn code_systems(&mut self, resources: &[Value]) {
        for resource in resources {
            let url = text_of(resource, "url");
            let content = decode(text_of(resource, "content"), CONTENTS);
            let (Some(url), Some(content)) = (url, content) else {
                let missing = if url.is_none() { "url" } else { "content" };
                self.report(resource, ProblemKind::Missing(missing));
                continue;
            };
            self.code_system(resource, url, content);
        }
        self.definitions.terminology.systems_by_url.sort();
        self.definitions
            .terminology
            .further_children
            .sort_unstable();
    }

    fn code_system(&mut self, resource: &Value, url: &str, content: CodeSystemContent) {
        let start = self.definitions.terminology.concepts.len();
        let mut children = Vec::new();
        self.add_concepts(list_of(resource, "concept"), 0, &mut children);
        let tables = &mut self.definitions.terminology;
        let is_empty = tables.concepts.len() == start;
        let mut by_code: Vec<u32> = (row(start)..row(tables.concepts.len())).collect();
        by_code.sort_by_key(|at| {
            tables
                .concepts
                .get(*at as usize)
                .map(|concept| concept.code)
        });
        let from = tables.concepts_by_code.len();
        tables.concepts_by_code.extend(by_code);
        let code_system = CodeSystem {
            concepts: Span::since(start, &tables.concepts),
            by_code: Span::since(from, &tables.concepts_by_code),
            // Some definitions call themselves complete and list nothing.
            content: if is_empty {
                CodeSystemContent::NotPresent
            } else {
                content
            },
            is_case_sensitive: resource.get("caseSensitive") != Some(&Value::Bool(false)),
            url: self.intern(url),
            version: self.intern_property(resource, "version"),
            name: self.intern(text_of(resource, "name").unwrap_or_default()),
        };
        for (parent, child) in children {
            let position = self.row_of(&code_system, child);
            if let Some(child) = position {
                self.definitions
                    .terminology
                    .further_children
                    .push((parent, child));
            }
        }
        let tables = &mut self.definitions.terminology;
        let number = row(tables.code_systems.len());
        if code_system.content != CodeSystemContent::Supplement {
            tables
                .systems_by_url
                .push(code_system.url, code_system.version, number);
        }
        tables.code_systems.push(code_system);
    }

    /// Adds concepts and what is nested in them. `children` takes what the property `child` says:
    /// the row of a concept and the code of a concept that is under it as well.
    fn add_concepts<'a>(
        &mut self,
        concepts: &'a [Value],
        depth: u8,
        children: &mut Vec<(u32, &'a str)>,
    ) {
        if depth == MAX_CONCEPT_DEPTH {
            return;
        }
        for concept in concepts {
            let Some(code) = self.intern_property(concept, "code") else {
                continue;
            };
            let mut compiled = Concept {
                code,
                display: self.intern_property(concept, "display"),
                depth,
                is_abstract: false,
                is_inactive: false,
            };
            let number = row(self.definitions.terminology.concepts.len());
            for property in list_of(concept, "property") {
                let value = text_of(property, "valueCode");
                match text_of(property, "code") {
                    Some("notSelectable") => {
                        compiled.is_abstract |= is_true(property, "valueBoolean");
                    }
                    Some("inactive") => {
                        compiled.is_inactive |= is_true(property, "valueBoolean");
                    }
                    Some("status") => {
                        compiled.is_inactive |= value.is_some_and(|code| INACTIVE.contains(&code));
                    }
                    Some("child") => children.extend(value.map(|code| (number, code))),
                    _ => {}
                }
            }
            self.definitions.terminology.concepts.push(compiled);
            self.add_concepts(list_of(concept, "concept"), depth + 1, children);
        }
    }

    /// The row of the concept with this code.
    fn row_of(&self, code_system: &CodeSystem, code: &str) -> Option<u32> {
        let tables = &self.definitions.terminology;
        let code = self.definitions.find_text(code)?;
        let code_at = |at: &u32| {
            tables
                .concepts
                .get(*at as usize)
                .map(|concept| concept.code)
        };
        let by_code = code_system.by_code.of(&tables.concepts_by_code);
        let at = by_code
            .binary_search_by(|at| code_at(at).cmp(&Some(code)))
            .ok()?;
        by_code.get(at).copied()
    }

    pub(super) fn value_sets(&mut self, resources: &[Value]) {
        let mut queue = Queue {
            sources: Vec::new(),
            by_url: HashMap::new(),
        };
        for resource in resources {
            let Some(url) = text_of(resource, "url") else {
                self.report(resource, ProblemKind::Missing("url"));
                continue;
            };
            queue.by_url.insert(url, queue.sources.len());
            queue.sources.push(Source {
                resource,
                url,
                state: State::Waiting,
            });
        }
        for at in 0..queue.sources.len() {
            self.value_set(&mut queue, at, 0);
        }
        self.definitions.terminology.sets_by_url.sort();
    }

    /// Compiles a value set and those it imports. `None` if it imports itself.
    fn value_set(&mut self, queue: &mut Queue<'_>, at: usize, depth: usize) -> Option<ValueSetId> {
        let source = queue.sources.get_mut(at)?;
        match source.state {
            State::Done(id) => return Some(id),
            State::InProgress => return None,
            State::Waiting if depth > MAX_IMPORT_DEPTH => return None,
            State::Waiting => source.state = State::InProgress,
        }
        let (resource, url) = (source.resource, source.url);
        let draft = self.composition(queue, resource, depth);
        let id = self.store(resource, url, draft);
        if let Some(source) = queue.sources.get_mut(at) {
            source.state = State::Done(id);
        }
        Some(id)
    }

    fn composition(&mut self, queue: &mut Queue<'_>, resource: &Value, depth: usize) -> Draft {
        let Some(compose) = resource.get("compose") else {
            return self.given_expansion(resource);
        };
        let mut draft = Draft::default();
        for include in list_of(compose, "include") {
            let included = self.component(queue, include, depth);
            draft.parts.extend(included.parts);
            draft.unknown.extend(included.unknown);
        }
        for exclude in list_of(compose, "exclude") {
            let excluded = self.component(queue, exclude, depth);
            draft = self.subtract(draft, &excluded);
        }
        draft
    }

    /// A value set without a composition is what its expansion lists.
    fn given_expansion(&mut self, resource: &Value) -> Draft {
        let mut draft = Draft::default();
        let Some(expansion) = resource.get("expansion") else {
            return draft;
        };
        let mut pending: Vec<&Value> = list_of(expansion, "contains").iter().rev().collect();
        while let Some(entry) = pending.pop() {
            pending.extend(list_of(entry, "contains").iter().rev());
            let system = self.intern_property(entry, "system");
            let code = self.intern_property(entry, "code");
            let (Some(system), Some(code)) = (system, code) else {
                continue;
            };
            let member = Member {
                code,
                display: self.intern_property(entry, "display"),
            };
            match draft.parts.last_mut() {
                Some(DraftPart::List(last, members)) if *last == system => members.push(member),
                _ => draft.parts.push(DraftPart::List(system, vec![member])),
            }
        }
        draft
    }

    /// What one include or exclude means: codes that are in its system part and in every value
    /// set that it names.
    fn component(&mut self, queue: &mut Queue<'_>, component: &Value, depth: usize) -> Draft {
        let system = text_of(component, "system");
        let mut draft = system.map(|system| self.system_part(component, system));
        for canonical in list_of(component, "valueSet")
            .iter()
            .filter_map(Value::as_str)
        {
            let imported = self.import(queue, canonical, depth);
            draft = Some(match draft {
                None => imported,
                Some(draft) => self.intersect(&draft, imported),
            });
        }
        draft.unwrap_or_default()
    }

    fn import(&mut self, queue: &mut Queue<'_>, canonical: &str, depth: usize) -> Draft {
        let url = canonical.split('|').next().unwrap_or_default();
        let id = match queue.by_url.get(url) {
            Some(at) => self.value_set(queue, *at, depth + 1),
            None => self.definitions.value_set(canonical),
        };
        let Some(id) = id else {
            return not_enumerable(None, Reason::ValueSetNotHere);
        };
        let tables = &self.definitions.terminology;
        let imported = self.definitions.value_set_of(id);
        let parts = imported.parts.of(&tables.parts).iter().copied();
        Draft {
            parts: parts.map(DraftPart::Stored).collect(),
            unknown: imported.not_enumerable.of(&tables.not_enumerable).to_vec(),
        }
    }

    /// The codes that a component takes from its system.
    fn system_part(&mut self, component: &Value, url: &str) -> Draft {
        let system = self.intern(url);
        let concepts = list_of(component, "concept");
        if !concepts.is_empty() {
            let members = concepts
                .iter()
                .filter_map(|concept| self.listed(url, concept))
                .collect();
            let parts = vec![DraftPart::List(system, members)];
            return Draft {
                parts,
                unknown: Vec::new(),
            };
        }
        if GRAMMARS.contains(&url) {
            return not_enumerable(Some(system), Reason::Grammar);
        }
        let number = self
            .definitions
            .terminology
            .systems_by_url
            .find(&self.definitions.pool, url);
        let Some(id) = number.map(CodeSystemId) else {
            return not_enumerable(Some(system), Reason::CodeSystemNotHere);
        };
        let mut draft = match list_of(component, "filter") {
            [] => Draft {
                parts: vec![DraftPart::Stored(Part::System(id))],
                unknown: Vec::new(),
            },
            filters => match self.filtered(id, filters) {
                Some(members) => Draft {
                    parts: vec![DraftPart::List(system, members)],
                    unknown: Vec::new(),
                },
                None => not_enumerable(Some(system), Reason::Filter),
            },
        };
        if self.definitions.code_system_of(id).content != CodeSystemContent::Complete {
            let reason = Reason::CodeSystemNotHere;
            draft.unknown = vec![NotEnumerable {
                system: Some(system),
                reason,
            }];
        }
        draft
    }

    /// A code that a component lists, with the display of the code system if it gives none.
    fn listed(&mut self, system: &str, concept: &Value) -> Option<Member> {
        let code = self.intern_property(concept, "code")?;
        let display = self.intern_property(concept, "display").or_else(|| {
            let code_system = self.definitions.code_system(system)?;
            self.definitions.concept_by_text(code_system, code)?.display
        });
        Some(Member { code, display })
    }

    /// The concepts that pass all filters; `None` if a filter needs more than is known here.
    fn filtered(&self, code_system: CodeSystemId, filters: &[Value]) -> Option<Vec<Member>> {
        let code_system = self.definitions.code_system_of(code_system);
        let mut rows: Option<BTreeSet<u32>> = None;
        for filter in filters {
            let passed = self.filter(code_system, filter)?;
            rows = Some(match rows {
                None => passed,
                Some(rows) => rows.intersection(&passed).copied().collect(),
            });
        }
        let concepts = &self.definitions.terminology.concepts;
        Some(
            rows?
                .into_iter()
                .filter_map(|at| concepts.get(at as usize))
                .filter(|concept| !concept.is_abstract)
                .map(Concept::member)
                .collect(),
        )
    }

    /// The rows of the concepts that pass a filter by hierarchy.
    fn filter(&self, code_system: &CodeSystem, filter: &Value) -> Option<BTreeSet<u32>> {
        let code = self.row_of(code_system, text_of(filter, "value")?);
        let is_hierarchy = matches!(text_of(filter, "property")?, "concept" | "code");
        let operation = text_of(filter, "op").filter(|_| is_hierarchy)?;
        let below = code.map(|code| self.descendants(code)).unwrap_or_default();
        Some(match operation {
            "=" => code.into_iter().collect(),
            "is-a" => below.into_iter().chain(code).collect(),
            "descendent-of" => below,
            "is-not-a" => {
                let span = code_system.concepts;
                let not_below = |at: &u32| !below.contains(at) && Some(*at) != code;
                (span.start..span.start + span.len)
                    .filter(not_below)
                    .collect()
            }
            _ => return None,
        })
    }

    /// The rows of all concepts under the one in `root`, by nesting and by further parents.
    fn descendants(&self, root: u32) -> BTreeSet<u32> {
        let tables = &self.definitions.terminology;
        let depth = |at: u32| {
            tables
                .concepts
                .get(at as usize)
                .map_or(0, |concept| concept.depth)
        };
        let mut found = BTreeSet::new();
        let mut pending = vec![root];
        while let Some(parent) = pending.pop() {
            let nested = (parent + 1..row(tables.concepts.len()))
                .take_while(|at| depth(*at) > depth(parent))
                .filter(|at| depth(*at) == depth(parent) + 1);
            let edges = &tables.further_children;
            let first = edges.partition_point(|(above, _)| *above < parent);
            let further = edges.get(first..).unwrap_or_default().iter();
            let further = further
                .take_while(|(above, _)| *above == parent)
                .map(|(_, child)| *child);
            pending.extend(nested.chain(further).filter(|child| found.insert(*child)));
        }
        found
    }

    /// The codes of both. What is unknown in either may be in the result.
    fn intersect(&self, left: &Draft, right: Draft) -> Draft {
        let known = self.codes(&right);
        let both = self.keep(&left.parts, |system, code| known.contains(&(system, code)));
        let mut unknown = left.unknown.clone();
        unknown.extend(right.unknown);
        Draft {
            parts: both,
            unknown,
        }
    }

    /// The codes of `draft` without those of `excluded`. Where it is unknown what is excluded,
    /// the codes of that system are unknown as well.
    fn subtract(&self, draft: Draft, excluded: &Draft) -> Draft {
        let known = self.codes(excluded);
        let is_touched = |system: Text| {
            let mut systems = known.iter().map(|(system, _)| *system);
            systems.any(|touched| touched == system)
        };
        let mut rest = Draft {
            parts: Vec::new(),
            unknown: draft.unknown,
        };
        for part in draft.parts {
            let system = self.system_of(&part);
            let unknown = excluded.unknown.iter();
            let doubt = unknown
                .copied()
                .find(|unknown| unknown.system.is_none_or(|it| it == system));
            if let Some(doubt) = doubt {
                rest.unknown.push(NotEnumerable {
                    system: Some(system),
                    ..doubt
                });
            } else if is_touched(system) {
                let keep = |system, code| !known.contains(&(system, code));
                rest.parts
                    .extend(self.keep(std::slice::from_ref(&part), keep));
            } else {
                rest.parts.push(part);
            }
        }
        rest
    }

    /// Lists of the codes that `is_kept` accepts.
    fn keep(&self, parts: &[DraftPart], is_kept: impl Fn(Text, Text) -> bool) -> Vec<DraftPart> {
        let lists = parts.iter().map(|part| {
            let system = self.system_of(part);
            let members = self.members_of(part).into_iter();
            DraftPart::List(
                system,
                members.filter(|it| is_kept(system, it.code)).collect(),
            )
        });
        lists.collect()
    }

    fn codes(&self, draft: &Draft) -> HashSet<(Text, Text)> {
        let parts = draft.parts.iter();
        let codes = parts.flat_map(|part| {
            let system = self.system_of(part);
            self.members_of(part)
                .into_iter()
                .map(move |member| (system, member.code))
        });
        codes.collect()
    }

    fn system_of(&self, part: &DraftPart) -> Text {
        match part {
            DraftPart::Stored(Part::System(id)) => self.definitions.code_system_of(*id).url,
            DraftPart::Stored(Part::List { system, .. }) | DraftPart::List(system, _) => *system,
        }
    }

    fn members_of(&self, part: &DraftPart) -> Vec<Member> {
        match part {
            DraftPart::Stored(part) => self
                .definitions
                .part_members(*part)
                .map(|(_, member)| member)
                .collect(),
            DraftPart::List(_, members) => members.clone(),
        }
    }

    /// Stores a value set that is put together.
    fn store(&mut self, resource: &Value, url: &str, draft: Draft) -> ValueSetId {
        let url = self.intern(url);
        let version = self.intern_property(resource, "version");
        let name = self.intern(text_of(resource, "name").unwrap_or_default());
        let parts: Vec<Part> = draft
            .parts
            .into_iter()
            .map(|part| match part {
                DraftPart::Stored(part) => part,
                DraftPart::List(system, members) => {
                    store_list(&mut self.definitions, system, members)
                }
            })
            .collect();
        let tables = &mut self.definitions.terminology;
        let starts = (tables.parts.len(), tables.not_enumerable.len());
        tables.parts.extend(parts);
        for unknown in draft.unknown {
            if !tables
                .not_enumerable
                .get(starts.1..)
                .is_some_and(|rest| rest.contains(&unknown))
            {
                tables.not_enumerable.push(unknown);
            }
        }
        let id = ValueSetId(row(tables.value_sets.len()));
        tables.sets_by_url.push(url, version, id.0);
        tables.value_sets.push(ValueSet {
            url,
            version,
            name,
            parts: Span::since(starts.0, &tables.parts),
            not_enumerable: Span::since(starts.1, &tables.not_enumerable),
        });
        id
    }
}

/// Stores codes of one system, in their order and sorted.
fn store_list(definitions: &mut Definitions, system: Text, list: Vec<Member>) -> Part {
    let tables = &mut definitions.terminology;
    let start = tables.members.len();
    tables.members.extend(list);
    let mut rows: Vec<u32> = (row(start)..row(tables.members.len())).collect();
    rows.sort_by_key(|at| tables.members.get(*at as usize).map(|member| member.code));
    let from = tables.members_by_code.len();
    tables.members_by_code.extend(rows);
    Part::List {
        system,
        members: Span::since(start, &tables.members),
        by_code: Span::since(from, &tables.members_by_code),
    }
}

fn not_enumerable(system: Option<Text>, reason: Reason) -> Draft {
    Draft {
        parts: Vec::new(),
        unknown: vec![NotEnumerable { system, reason }],
    }
}
