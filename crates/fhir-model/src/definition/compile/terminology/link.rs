//! Finds what the components of value sets refer to, and which value sets are known completely.
//!
//! All value sets are linked, those of the starting set as well: a code system or value set that
//! has been added since may be what they mean. Imports that form a circle or go too far are cut
//! here, so that whoever follows imports comes to an end soon.

use super::filter;
use crate::definition::compile::{Compiler, Problem, ProblemKind};
use crate::definition::terminology::value_set::{Component, Source};
use crate::definition::terminology::{
    CodeSystemContent, CodeSystemId, NotEnumerable, Reason, ValueSetId,
};
use crate::definition::{Span, Text, row};

/// Code systems whose codes are made by a grammar: no list of them can be complete.
const GRAMMARS: &[&str] = &[
    "http://unitsofmeasure.org",
    "http://varnomen.hgvs.org/",
    "urn:ietf:bcp:13",
    "urn:ietf:bcp:47",
    "urn:ietf:rfc:3986",
];

/// How deep value sets may import one another.
const IMPORT_DEPTH_MAX: usize = 32;

/// How many includes and excludes may have to be asked to answer one question.
const COMPONENTS_ASKED_MAX: usize = 10_000;

/// How far a value set is.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Waiting,
    InProgress,
    /// How deep imports go from it, and how many components it asks.
    Done {
        depth: usize,
        asked: usize,
    },
}

impl Compiler {
    /// Links all value sets. Components from `first_new` on have never been linked.
    pub(super) fn link(&mut self, first_new: usize) {
        for at in 0..self.definitions.terminology.components.len() {
            self.link_component(at, at >= first_new);
        }
        self.link_imports();
        self.definitions.terminology.not_enumerable.clear();
        let mut states = vec![State::Waiting; self.definitions.terminology.value_sets.len()];
        for at in 0..states.len() {
            self.complete(&mut states, ValueSetId(row(at)), 0);
        }
    }

    /// Finds the code system of a component, and the concepts that pass its filters.
    fn link_component(&mut self, at: usize, is_new: bool) {
        let Some(mut component) = self.definitions.terminology.components.get(at).copied() else {
            return;
        };
        let Some(system) = component.system else {
            return;
        };
        let text = |text: Text| self.definitions.text(text);
        let version = component.version.map(text);
        let code_system = self.definitions.code_system_version(text(system), version);
        let is_same = !is_new && component.code_system == code_system;
        if is_same {
            return;
        }
        component.code_system = code_system;
        component.unknown = match (component.source, code_system) {
            (Source::None | Source::Listed(_), _) => None,
            _ if GRAMMARS.contains(&text(system)) => Some(Reason::Grammar),
            (_, None) => Some(Reason::CodeSystemNotHere),
            (_, Some(id)) => self.filter(&mut component, id),
        };
        if let Some(stored) = self.definitions.terminology.components.get_mut(at) {
            *stored = component;
        }
    }

    /// Finds the concepts that pass the filters, if there are filters. Returns why there may be
    /// more.
    fn filter(&mut self, component: &mut Component, id: CodeSystemId) -> Option<Reason> {
        let content = self.definitions.code_system_of(id).content;
        if content == CodeSystemContent::NotPresent {
            return Some(Reason::CodeSystemNotHere);
        }
        if let Source::Filtered(_) = component.source {
            let filters = component.filters.of(&self.definitions.terminology.filters);
            let runs = filter::runs(&self.definitions, id, filters);
            let table = &mut self.definitions.terminology.runs;
            let start = table.len();
            table.extend(runs.iter().flatten());
            component.source = Source::Filtered(Span::since(start, table));
            if runs.is_none() {
                return Some(Reason::Filter);
            }
        }
        (content != CodeSystemContent::Complete).then_some(Reason::CodeSystemNotHere)
    }

    fn link_imports(&mut self) {
        for at in 0..self.definitions.terminology.imports.len() {
            let found = self.definitions.terminology.imports.get(at).and_then(|it| {
                self.definitions
                    .value_set(self.definitions.text(it.canonical))
            });
            if let Some(import) = self.definitions.terminology.imports.get_mut(at) {
                import.value_set = found;
                import.is_cut = false;
            }
        }
    }

    /// Says what is not known of a value set, after those that it imports. `None` if it is being
    /// completed already, or lies too deep.
    fn complete(
        &mut self,
        states: &mut [State],
        id: ValueSetId,
        depth: usize,
    ) -> Option<(usize, usize)> {
        let state = states.get_mut(id.0 as usize)?;
        match *state {
            State::Done { depth, asked } => return Some((depth, asked)),
            State::InProgress => return None,
            State::Waiting if depth > IMPORT_DEPTH_MAX => return None,
            State::Waiting => *state = State::InProgress,
        }
        let composition = self.definitions.value_set_of(id).composition;
        let (mut deepest, mut asked) = (0, composition.len as usize);
        let components: Vec<Component> = composition
            .of(&self.definitions.terminology.components)
            .to_vec();
        for component in &components {
            let Span { start, len } = component.imports;
            for at in start..start + len {
                let (its_depth, its_asked) = self.follow(states, at as usize, id, depth, asked);
                deepest = deepest.max(its_depth);
                asked += its_asked;
            }
        }
        self.say_what_is_not_known(id, &components);
        if let Some(state) = states.get_mut(id.0 as usize) {
            *state = State::Done {
                depth: deepest,
                asked,
            };
        }
        Some((deepest, asked))
    }

    /// Completes an imported value set; cuts the import if it leads back or too far. Returns how
    /// deep it goes and how many components it asks.
    fn follow(
        &mut self,
        states: &mut [State],
        import: usize,
        importer: ValueSetId,
        depth: usize,
        asked: usize,
    ) -> (usize, usize) {
        let imports = &self.definitions.terminology.imports;
        let Some(id) = imports.get(import).and_then(|import| import.value_set) else {
            return (0, 0);
        };
        let found = self
            .complete(states, id, depth + 1)
            .filter(|(its_depth, its_asked)| {
                its_depth < &IMPORT_DEPTH_MAX && asked + its_asked <= COMPONENTS_ASKED_MAX
            });
        if let Some((its_depth, its_asked)) = found {
            return (its_depth + 1, its_asked);
        }
        let Some(import) = self.definitions.terminology.imports.get_mut(import) else {
            return (0, 0);
        };
        import.value_set = None;
        import.is_cut = true;
        let canonical = import.canonical;
        let text = |text| self.definitions.text(text).to_owned();
        let resource = text(self.definitions.value_set_of(importer).url);
        let kind = ProblemKind::ImportCut(text(canonical));
        self.problems.push(Problem { resource, kind });
        (0, 0)
    }

    /// Stores the reasons why a value set is not known completely; if there are any, it is answered
    /// from the expansion that it came with, if it came with one.
    fn say_what_is_not_known(&mut self, id: ValueSetId, components: &[Component]) {
        let mut unknown = Vec::new();
        for component in components {
            self.unknown_of(component, &mut unknown);
        }
        if components.is_empty() {
            add(&mut unknown, None, Reason::ValueSetNotHere);
        }
        let tables = &mut self.definitions.terminology;
        let Some(value_set) = tables.value_sets.get_mut(id.0 as usize) else {
            return;
        };
        value_set.is_expanded = !unknown.is_empty() && value_set.expansion != Span::default();
        value_set.not_enumerable = if value_set.is_expanded || unknown.is_empty() {
            Span::default()
        } else {
            let start = tables.not_enumerable.len();
            tables.not_enumerable.extend(unknown);
            Span::since(start, &tables.not_enumerable)
        };
    }

    fn unknown_of(&self, component: &Component, unknown: &mut Vec<NotEnumerable>) {
        if let Some(reason) = component.unknown {
            add(unknown, component.system, reason);
        }
        let tables = &self.definitions.terminology;
        for import in component.imports.of(&tables.imports) {
            let Some(imported) = import.value_set else {
                add(unknown, component.system, import.reason());
                continue;
            };
            let theirs = self.definitions.value_set_of(imported).not_enumerable;
            for it in theirs.of(&tables.not_enumerable) {
                let concerns = |own: Text| it.system.is_none_or(|theirs| theirs == own);
                if component.system.is_none_or(concerns) {
                    add(unknown, component.system.or(it.system), it.reason);
                }
            }
        }
    }
}

fn add(unknown: &mut Vec<NotEnumerable>, system: Option<Text>, reason: Reason) {
    let found = NotEnumerable { system, reason };
    if !unknown.contains(&found) {
        unknown.push(found);
    }
}
