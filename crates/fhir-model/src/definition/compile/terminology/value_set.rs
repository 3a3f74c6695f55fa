//! `ValueSet`: its composition, and the expansion that it came with.
//!
//! Standard: <https://hl7.org/fhir/R4/valueset.html>.

use serde_json::Value;

use super::language_of;
use crate::definition::compile::{Compiler, Lists, ProblemKind, is_true, list_of, text_of};
use crate::definition::terminology::value_set::{Component, Filter, Import, Listed, Source};
use crate::definition::terminology::{ValueSet, ValueSetId};
use crate::definition::{Span, Text, row};

/// Lists of codes that are stored once.
pub(super) type StoredLists = Lists<Listed>;

impl Compiler {
    pub(in crate::definition::compile) fn value_sets(&mut self, resources: &[Value]) {
        let mut lists = StoredLists::new();
        let first_new = self.definitions.terminology.components.len();
        for resource in resources {
            match text_of(resource, "url") {
                Some(url) => {
                    self.value_set(resource, url, &mut lists);
                }
                None => self.report(resource, ProblemKind::Missing("url")),
            }
        }
        self.value_sets_of_code_systems();
        self.definitions.terminology.sets_by_url.sort();
        self.link(first_new);
    }

    fn value_set(&mut self, resource: &Value, url: &str, lists: &mut StoredLists) {
        let composition = match resource.get("compose") {
            Some(compose) => self.composition(compose, lists),
            None => Span::default(),
        };
        let expansion = match resource.get("expansion").filter(|it| is_complete(it)) {
            Some(expansion) => self.given_expansion(expansion, lists),
            None => Span::default(),
        };
        let admits_inactive = resource
            .get("compose")
            .and_then(|compose| compose.get("inactive")?.as_bool());
        let value_set = ValueSet {
            url: self.intern(url),
            version: self.intern_property(resource, "version"),
            name: self.intern(text_of(resource, "name").unwrap_or_default()),
            title: self.intern_property(resource, "title"),
            status: self.intern_property(resource, "status"),
            is_experimental: is_true(resource, "experimental"),
            language: language_of(self, resource),
            admits_inactive,
            is_expanded: false,
            composition,
            expansion,
            not_enumerable: Span::default(),
        };
        self.add_value_set(value_set);
    }

    fn add_value_set(&mut self, value_set: ValueSet) {
        let tables = &mut self.definitions.terminology;
        let id = ValueSetId(row(tables.value_sets.len()));
        tables
            .sets_by_url
            .push(value_set.url, value_set.version, id.0);
        tables.value_sets.push(value_set);
    }

    /// `CodeSystem.valueSet`: the value set of all codes, where no package has it.
    fn value_sets_of_code_systems(&mut self) {
        self.definitions.terminology.sets_by_url.sort();
        let missing: Vec<_> = self
            .definitions
            .code_systems()
            .iter()
            .filter_map(|system| Some((system.value_set?, system)))
            .filter(|(url, _)| {
                let url = self.definitions.text(*url);
                self.definitions.value_set(url).is_none()
            })
            .map(|(url, system)| (url, system.clone()))
            .collect();
        for (url, system) in missing {
            let component = Component {
                is_exclude: false,
                system: Some(system.url),
                version: None,
                source: Source::System,
                filters: Span::default(),
                imports: Span::default(),
                code_system: None,
                unknown: None,
            };
            let components = &mut self.definitions.terminology.components;
            let start = components.len();
            components.push(component);
            let composition = Span::since(start, components);
            let canonical = self.definitions.text(url).to_owned();
            let url = canonical.split('|').next().unwrap_or_default();
            let url = self.intern(url);
            self.add_value_set(ValueSet {
                url,
                version: system.version,
                name: system.name,
                title: system.title,
                status: system.status,
                is_experimental: system.is_experimental,
                language: system.language,
                admits_inactive: None,
                is_expanded: false,
                composition,
                expansion: Span::default(),
                not_enumerable: Span::default(),
            });
        }
    }

    fn composition(&mut self, compose: &Value, lists: &mut StoredLists) -> Span {
        let mut components = Vec::new();
        for (name, is_exclude) in [("include", false), ("exclude", true)] {
            for component in list_of(compose, name) {
                components.push(self.component(component, is_exclude, lists));
            }
        }
        self.store_components(components)
    }

    fn store_components(&mut self, components: Vec<Component>) -> Span {
        let table = &mut self.definitions.terminology.components;
        let start = table.len();
        table.extend(components);
        Span::since(start, table)
    }

    fn component(
        &mut self,
        component: &Value,
        is_exclude: bool,
        lists: &mut StoredLists,
    ) -> Component {
        let system = self.intern_property(component, "system");
        let concepts = list_of(component, "concept");
        let filters = self.filters(list_of(component, "filter"));
        let source = if system.is_none() {
            Source::None
        } else if !concepts.is_empty() {
            let listed: Vec<Listed> = concepts.iter().filter_map(|it| self.listed(it)).collect();
            self.store_list(lists, listed)
        } else if filters == Span::default() {
            Source::System
        } else {
            Source::Filtered(Span::default())
        };
        Component {
            is_exclude,
            system,
            version: self.intern_property(component, "version"),
            source,
            filters,
            imports: self.imports(component),
            code_system: None,
            unknown: None,
        }
    }

    fn filters(&mut self, filters: &[Value]) -> Span {
        if filters.is_empty() {
            return Span::default();
        }
        let compiled: Vec<Filter> = filters
            .iter()
            .map(|filter| Filter {
                property: self.intern_property(filter, "property"),
                operator: self.intern_property(filter, "op"),
                value: self.intern_property(filter, "value"),
            })
            .collect();
        let table = &mut self.definitions.terminology.filters;
        let start = table.len();
        table.extend(compiled);
        Span::since(start, table)
    }

    fn imports(&mut self, component: &Value) -> Span {
        let canonicals = self.intern_list(component, "valueSet");
        if canonicals.is_empty() {
            return Span::default();
        }
        let table = &mut self.definitions.terminology.imports;
        let start = table.len();
        table.extend(canonicals.into_iter().map(|canonical| Import {
            canonical,
            value_set: None,
            is_cut: false,
        }));
        Span::since(start, table)
    }

    fn listed(&mut self, concept: &Value) -> Option<Listed> {
        Some(Listed {
            code: self.intern_property(concept, "code")?,
            display: self.intern_property(concept, "display"),
            designations: self.designations(concept),
        })
    }

    fn store_list(&mut self, lists: &mut StoredLists, listed: Vec<Listed>) -> Source {
        let tables = &mut self.definitions.terminology;
        let start = tables.listed.len();
        let span = lists.store(&mut tables.listed, listed);
        let mut rows: Vec<u32> = (row(start)..row(tables.listed.len())).collect();
        rows.sort_by_key(|at| tables.listed.get(*at as usize).map(|listed| listed.code));
        tables.listed_by_code.extend(rows);
        Source::Listed(span)
    }

    /// The codes of an expansion, at all levels, as lists of codes of one system. What only groups
    /// others is left out.
    fn given_expansion(&mut self, expansion: &Value, lists: &mut StoredLists) -> Span {
        let mut runs: Vec<(Text, Option<Text>, Vec<Listed>)> = Vec::new();
        let mut pending: Vec<&Value> = list_of(expansion, "contains").iter().rev().collect();
        while let Some(entry) = pending.pop() {
            pending.extend(list_of(entry, "contains").iter().rev());
            let system = self.intern_property(entry, "system");
            let (Some(system), Some(listed)) = (system, self.listed(entry)) else {
                continue;
            };
            if is_true(entry, "abstract") {
                continue;
            }
            let version = self.intern_property(entry, "version");
            match runs.last_mut() {
                Some((last, its, list)) if *last == system && *its == version => list.push(listed),
                _ => runs.push((system, version, vec![listed])),
            }
        }
        let components = runs
            .into_iter()
            .map(|(system, version, listed)| Component {
                is_exclude: false,
                system: Some(system),
                version,
                source: self.store_list(lists, listed),
                filters: Span::default(),
                imports: Span::default(),
                code_system: None,
                unknown: None,
            })
            .collect();
        self.store_components(components)
    }
}

/// Whether an expansion lists all codes: it is not a page of a longer one, nor cut off.
fn is_complete(expansion: &Value) -> bool {
    const TOO_COSTLY: &str = "http://hl7.org/fhir/StructureDefinition/valueset-toocostly";
    let is_cut = list_of(expansion, "extension")
        .iter()
        .any(|it| text_of(it, "url") == Some(TOO_COSTLY));
    let total = expansion.get("total").and_then(Value::as_u64);
    let listed = || count(list_of(expansion, "contains"));
    !is_cut && total.is_none_or(|total| total <= listed())
}

/// How many codes are listed, at all levels.
fn count(contains: &[Value]) -> u64 {
    let mut pending: Vec<&Value> = contains.iter().collect();
    let mut found = 0;
    while let Some(entry) = pending.pop() {
        pending.extend(list_of(entry, "contains"));
        found += 1;
    }
    found
}
