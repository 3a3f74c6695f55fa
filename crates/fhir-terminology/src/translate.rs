//! `ConceptMap/$translate`: <https://hl7.org/fhir/R4/conceptmap-operation-translate.html>.
//!
//! Without a map named, every map is asked that maps from the system of the code, and to the value
//! set or system that is asked for. Maps that refer to other maps are followed to a limit.

use std::borrow::Cow;

use fhir_model::definition::{
    ConceptMap, ConceptMapId, Definitions, Equivalence, MapElement, MapGroup, MapTarget, Text,
    Unmapped,
};
use serde_json::{Map, Value, json};

use crate::parameters::{Known, Use, canonical, text_of};
use crate::{Error, Parameters};

/// How many maps may follow one another by `unmapped`.
const MAPS_DEPTH_MAX: usize = 8;

const KNOWN: Known = &[
    ("url", Use::Used),
    ("conceptMap", Use::Used),
    ("conceptMapVersion", Use::Used),
    ("code", Use::Used),
    ("system", Use::Used),
    ("version", Use::Ignored),
    ("source", Use::Used),
    ("coding", Use::Used),
    ("codeableConcept", Use::Used),
    ("target", Use::Used),
    ("targetsystem", Use::Used),
    ("dependency", Use::Refused),
    ("reverse", Use::Used),
];

/// What a code is in another code system: `Parameters` with `result` and matches.
pub fn translate(definitions: &Definitions, parameters: &Parameters) -> Result<Value, Error> {
    parameters.check(KNOWN)?;
    let codings = codings(parameters)?;
    let (definitions, named) = concept_map(definitions, parameters)?;
    let translation = Translation {
        definitions: &definitions,
        named,
        source: parameters.text("source")?,
        target: parameters.text("target")?,
        target_system: parameters.text("targetsystem")?,
        is_reverse: parameters.flag("reverse")?.unwrap_or_default(),
    };
    let mut matches = Vec::new();
    for coding in &codings {
        translation.ask(coding, &mut matches);
    }
    Ok(answer(&definitions, &matches))
}

/// A code to translate.
struct Coding<'a> {
    system: Option<&'a str>,
    code: &'a str,
}

fn codings(parameters: &Parameters) -> Result<Vec<Coding<'_>>, Error> {
    let of = |coding| {
        let code = text_of(coding, "code");
        let code = code.ok_or_else(|| Error::Invalid("A Coding has no code".to_owned()))?;
        let system = text_of(coding, "system");
        Ok(Coding { system, code })
    };
    let concept = parameters.object("codeableConcept")?;
    match (
        parameters.text("code")?,
        parameters.object("coding")?,
        concept,
    ) {
        (Some(code), None, None) => {
            let system = parameters.text("system")?;
            Ok(vec![Coding { system, code }])
        }
        (None, Some(coding), None) => Ok(vec![of(coding)?]),
        (None, None, Some(concept)) => {
            let codings = concept.get("coding").and_then(Value::as_array);
            codings.into_iter().flatten().map(of).collect()
        }
        _ => Err(Error::Invalid(
            "One of code, coding and codeableConcept is needed".to_owned(),
        )),
    }
}

/// The map that is named or sent, if one is.
fn concept_map<'a>(
    definitions: &'a Definitions,
    parameters: &Parameters,
) -> Result<(Cow<'a, Definitions>, Option<ConceptMapId>), Error> {
    let sent = parameters.resource(definitions, "conceptMap", "ConceptMap")?;
    let (definitions, name) = match (sent, parameters.text("url")?) {
        (Some(sent), _) => sent,
        (None, Some(url)) => {
            let version = parameters.text("conceptMapVersion")?;
            (Cow::Borrowed(definitions), canonical(url, version))
        }
        (None, None) => return Ok((Cow::Borrowed(definitions), None)),
    };
    let map = definitions.concept_map(&name);
    let map = map.ok_or_else(|| Error::NotFound(format!("The concept map {name} is not known")))?;
    Ok((definitions, Some(map)))
}

struct Translation<'a> {
    definitions: &'a Definitions,
    named: Option<ConceptMapId>,
    /// The value set that the code is of.
    source: Option<&'a str>,
    /// The value set that is wanted.
    target: Option<&'a str>,
    /// The code system that is wanted.
    target_system: Option<&'a str>,
    is_reverse: bool,
}

/// A translation that was found.
#[derive(PartialEq)]
struct Match {
    equivalence: Equivalence,
    system: Option<Text>,
    code: Text,
    display: Option<Text>,
    product: Option<Text>,
    map: Text,
}

impl Translation<'_> {
    fn ask(&self, coding: &Coding<'_>, matches: &mut Vec<Match>) {
        match self.named {
            Some(map) => self.ask_map(map, coding, matches, 0),
            None => {
                for (id, map) in self.definitions.concept_maps() {
                    if self.is_meant(map) {
                        self.ask_map(id, coding, matches, 0);
                    }
                }
            }
        }
    }

    /// Whether a map is between the value sets that were named.
    fn is_meant(&self, map: &ConceptMap) -> bool {
        let is = |own: Option<Text>, wanted: Option<&str>| {
            wanted.is_none_or(|wanted| {
                own.is_some_and(|own| bare(self.definitions.text(own)) == bare(wanted))
            })
        };
        let (from, to) = if self.is_reverse {
            (map.target, map.source)
        } else {
            (map.source, map.target)
        };
        is(from, self.source) && is(to, self.target)
    }

    fn ask_map(
        &self,
        id: ConceptMapId,
        coding: &Coding<'_>,
        matches: &mut Vec<Match>,
        depth: usize,
    ) {
        let map = self.definitions.concept_map_of(id);
        for group in self.definitions.map_groups(map) {
            let (from, to) = if self.is_reverse {
                (group.target, group.source)
            } else {
                (group.source, group.target)
            };
            let is = |own: Option<Text>, wanted: Option<&str>| {
                let own = own.map(|own| self.definitions.text(own));
                wanted.is_none_or(|wanted| own.is_none_or(|own| own == wanted))
            };
            // Without a map named, a map that does not say its system is not asked.
            let is_said = self.named.is_some() || (from.is_some() && coding.system.is_some());
            if !is_said || !is(from, coding.system) || !is(to, self.target_system) {
                continue;
            }
            if self.is_reverse {
                self.ask_reverse(map, group, coding, matches);
            } else {
                self.ask_group(map, group, coding, matches, depth);
            }
        }
    }

    fn ask_group(
        &self,
        map: &ConceptMap,
        group: &MapGroup,
        coding: &Coding<'_>,
        matches: &mut Vec<Match>,
        depth: usize,
    ) {
        let elements = self.definitions.map_elements_for(group, coding.code);
        for element in elements {
            for target in self.definitions.map_targets(element) {
                add(matches, forward(map, group, target));
            }
        }
        if !elements.is_empty() {
            return;
        }
        match group.unmapped {
            Some(Unmapped::Provided) => {
                let code = self.definitions.find_text(coding.code);
                let found = code.map(|code| unmapped(map, group, code, None, Equivalence::Equal));
                add(matches, found);
            }
            Some(Unmapped::Fixed { code, display }) => {
                let equivalence = Equivalence::Inexact;
                add(
                    matches,
                    Some(unmapped(map, group, code, display, equivalence)),
                );
            }
            Some(Unmapped::OtherMap(other)) if depth < MAPS_DEPTH_MAX => {
                let other = self.definitions.concept_map(self.definitions.text(other));
                if let Some(other) = other {
                    self.ask_map(other, coding, matches, depth + 1);
                }
            }
            Some(Unmapped::OtherMap(_)) | None => {}
        }
    }

    fn ask_reverse(
        &self,
        map: &ConceptMap,
        group: &MapGroup,
        coding: &Coding<'_>,
        matches: &mut Vec<Match>,
    ) {
        let Some(code) = self.definitions.find_text(coding.code) else {
            return;
        };
        for element in self.definitions.map_elements(group) {
            for target in self.definitions.map_targets(element) {
                if target.code == Some(code) && target.equivalence.is_match() {
                    add(matches, Some(backward(map, group, element, target)));
                }
            }
        }
    }
}

fn forward(map: &ConceptMap, group: &MapGroup, target: &MapTarget) -> Option<Match> {
    Some(Match {
        equivalence: target.equivalence,
        system: group.target,
        code: target.code?,
        display: target.display,
        product: target.product,
        map: map.url,
    })
}

fn backward(map: &ConceptMap, group: &MapGroup, element: &MapElement, target: &MapTarget) -> Match {
    Match {
        equivalence: target.equivalence.reversed(),
        system: group.source,
        code: element.code,
        display: element.display,
        product: None,
        map: map.url,
    }
}

fn unmapped(
    map: &ConceptMap,
    group: &MapGroup,
    code: Text,
    display: Option<Text>,
    equivalence: Equivalence,
) -> Match {
    Match {
        equivalence,
        system: group.target,
        code,
        display,
        product: None,
        map: map.url,
    }
}

fn add(matches: &mut Vec<Match>, found: Option<Match>) {
    if let Some(found) = found.filter(|found| !matches.contains(found)) {
        matches.push(found);
    }
}

/// A canonical without its version.
fn bare(canonical: &str) -> &str {
    canonical.split('|').next().unwrap_or_default()
}

fn answer(definitions: &Definitions, matches: &[Match]) -> Value {
    let is_translated = matches.iter().any(|found| found.equivalence.is_match());
    let mut parameters = vec![json!({ "name": "result", "valueBoolean": is_translated })];
    if !is_translated {
        let message = "No translation is known for the code";
        parameters.push(json!({ "name": "message", "valueString": message }));
    }
    parameters.extend(matches.iter().map(|found| of_match(definitions, found)));
    json!({ "resourceType": "Parameters", "parameter": parameters })
}

fn of_match(definitions: &Definitions, found: &Match) -> Value {
    let mut concept = Map::new();
    let own = [
        ("system", found.system),
        ("code", Some(found.code)),
        ("display", found.display),
    ];
    for (name, value) in own {
        if let Some(value) = value {
            concept.insert(name.to_owned(), definitions.text(value).into());
        }
    }
    let mut parts = vec![
        json!({ "name": "equivalence", "valueCode": found.equivalence.code() }),
        json!({ "name": "concept", "valueCoding": concept }),
    ];
    parts.extend(products(definitions, found));
    parts.push(json!({ "name": "source", "valueUri": definitions.text(found.map) }));
    json!({ "name": "match", "part": parts })
}

/// What else a mapping says, a `product` each.
fn products(definitions: &Definitions, found: &Match) -> Vec<Value> {
    let product = found.product.map(|product| definitions.text(product));
    let product = product.and_then(|product| serde_json::from_str::<Value>(product).ok());
    let list = product.as_ref().and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .map(|product| {
            let concept = json!({
                "system": product.get("system"),
                "code": product.get("value"),
                "display": product.get("display"),
            });
            let mut concept = concept;
            if let Some(members) = concept.as_object_mut() {
                members.retain(|_, value| !value.is_null());
            }
            let element = product.get("property").cloned().unwrap_or_default();
            json!({ "name": "product", "part": [
                { "name": "element", "valueUri": element },
                { "name": "concept", "valueCoding": concept },
            ]})
        })
        .collect()
}
