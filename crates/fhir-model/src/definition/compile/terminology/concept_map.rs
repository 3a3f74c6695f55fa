//! `ConceptMap`: <https://hl7.org/fhir/R4/conceptmap.html>.

use serde_json::Value;

use crate::definition::compile::{Compiler, Lists, ProblemKind, decode, list_of, text_of};
use crate::definition::concept_map::{
    ConceptMap, EQUIVALENCES, Equivalence, MapElement, MapGroup, MapTarget, Unmapped,
};
use crate::definition::{Span, Text, row};

/// Lists of targets that are stored once.
type StoredTargets = Lists<MapTarget>;

impl Compiler {
    pub(in crate::definition::compile) fn concept_maps(&mut self, resources: &[Value]) {
        let mut targets = StoredTargets::new();
        for resource in resources {
            match text_of(resource, "url") {
                Some(url) => self.concept_map(resource, url, &mut targets),
                None => self.report(resource, ProblemKind::Missing("url")),
            }
        }
        self.definitions.terminology.maps.by_url.sort();
    }

    fn concept_map(&mut self, resource: &Value, url: &str, targets: &mut StoredTargets) {
        let groups: Vec<MapGroup> = list_of(resource, "group")
            .iter()
            .map(|group| self.map_group(group, targets))
            .collect();
        let side = |compiler: &mut Self, names: [&str; 2]| {
            let mut found = names.iter().filter_map(|name| text_of(resource, name));
            found.next().map(|canonical| compiler.intern(canonical))
        };
        let map = ConceptMap {
            url: self.intern(url),
            version: self.intern_property(resource, "version"),
            name: self.intern(text_of(resource, "name").unwrap_or_default()),
            source: side(self, ["sourceCanonical", "sourceUri"]),
            target: side(self, ["targetCanonical", "targetUri"]),
            groups: {
                let table = &mut self.definitions.terminology.maps.groups;
                let start = table.len();
                table.extend(groups);
                Span::since(start, table)
            },
        };
        let tables = &mut self.definitions.terminology.maps;
        tables
            .by_url
            .push(map.url, map.version, row(tables.maps.len()));
        tables.maps.push(map);
    }

    fn map_group(&mut self, group: &Value, targets: &mut StoredTargets) -> MapGroup {
        let mut elements: Vec<MapElement> = list_of(group, "element")
            .iter()
            .filter_map(|element| self.map_element(element, targets))
            .collect();
        elements.sort_by_key(|element| element.code);
        MapGroup {
            source: self.intern_property(group, "source"),
            target: self.intern_property(group, "target"),
            unmapped: group.get("unmapped").and_then(|it| self.unmapped(it)),
            elements: {
                let table = &mut self.definitions.terminology.maps.elements;
                let start = table.len();
                table.extend(elements);
                Span::since(start, table)
            },
        }
    }

    fn map_element(&mut self, element: &Value, targets: &mut StoredTargets) -> Option<MapElement> {
        let code = self.intern_property(element, "code")?;
        let list: Vec<MapTarget> = list_of(element, "target")
            .iter()
            .map(|target| self.map_target(target))
            .collect();
        Some(MapElement {
            code,
            display: self.intern_property(element, "display"),
            targets: targets.store(&mut self.definitions.terminology.maps.targets, list),
        })
    }

    fn map_target(&mut self, target: &Value) -> MapTarget {
        let equivalence = decode(text_of(target, "equivalence"), EQUIVALENCES);
        MapTarget {
            code: self.intern_property(target, "code"),
            display: self.intern_property(target, "display"),
            equivalence: equivalence.unwrap_or(Equivalence::RelatedTo),
            comment: self.intern_property(target, "comment"),
            depends_on: self.intern_json(target, "dependsOn"),
            product: self.intern_json(target, "product"),
        }
    }

    fn unmapped(&mut self, unmapped: &Value) -> Option<Unmapped> {
        let text = |compiler: &mut Self, name: &str| -> Option<Text> {
            compiler.intern_property(unmapped, name)
        };
        match text_of(unmapped, "mode")? {
            "provided" => Some(Unmapped::Provided),
            "fixed" => Some(Unmapped::Fixed {
                code: text(self, "code")?,
                display: text(self, "display"),
            }),
            "other-map" => Some(Unmapped::OtherMap(text(self, "url")?)),
            _ => None,
        }
    }
}
