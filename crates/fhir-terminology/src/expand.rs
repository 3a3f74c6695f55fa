//! `ValueSet/$expand`: <https://hl7.org/fhir/R4/valueset-operation-expand.html>.
//!
//! Codes come in the order of the definition. They are nested as their code system nests them where
//! a value set takes concepts of one code system by rule, is asked for whole, and nesting is not
//! refused.

use std::borrow::Cow;

use fhir_model::definition::{
    Concept, Definitions, Designation, Expansion, Member, Text, ValueSet, ValueSetId,
};
use serde_json::{Map, Value, json};

use crate::error::not_enumerable;
use crate::parameters::{Known, UNNAMED, Use, canonical};
use crate::{Error, Parameters};

/// The most codes that are sent at once; who wants more asks for pages.
pub const CODES_MAX: usize = 10_000;

const KNOWN: Known = &[
    ("url", Use::Used),
    ("valueSet", Use::Used),
    ("valueSetVersion", Use::Used),
    ("filter", Use::Used),
    ("offset", Use::Used),
    ("count", Use::Used),
    ("includeDesignations", Use::Used),
    ("designation", Use::Used),
    ("includeDefinition", Use::Ignored),
    ("activeOnly", Use::Used),
    ("excludeNested", Use::Used),
    ("excludeNotForUI", Use::Used),
    ("excludePostCoordinated", Use::Ignored),
    ("displayLanguage", Use::Used),
    ("exclude-system", Use::Used),
    ("system-version", Use::Used),
    ("check-system-version", Use::Used),
    ("force-system-version", Use::Used),
    ("context", Use::Refused),
    ("contextDirection", Use::Refused),
    ("date", Use::Refused),
    ("property", Use::Ignored),
    ("useSupplement", Use::Refused),
    ("default-valueset-version", Use::Refused),
];

/// What an expansion says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// `ValueSet.expansion.identifier`: a URI.
    pub identifier: &'a str,
    /// `ValueSet.expansion.timestamp`: a dateTime.
    pub timestamp: &'a str,
}

/// Lists the codes of a value set: a `ValueSet` with an expansion.
pub fn expand(
    definitions: &Definitions,
    parameters: &Parameters,
    stamp: &Stamp<'_>,
) -> Result<Value, Error> {
    parameters.check(KNOWN)?;
    let (definitions, id) = value_set(definitions, parameters)?;
    let expander = Expander::new(&definitions, id, parameters)?;
    expander.expand(stamp)
}

/// The value set that is meant: named, or sent.
pub(crate) fn value_set<'a>(
    definitions: &'a Definitions,
    parameters: &Parameters,
) -> Result<(Cow<'a, Definitions>, ValueSetId), Error> {
    let sent = parameters.resource(definitions, "valueSet", "ValueSet")?;
    let (definitions, name) = if let Some(sent) = sent {
        sent
    } else {
        let version = parameters.text("valueSetVersion")?;
        let name = canonical(parameters.needed("url")?, version);
        (Cow::Borrowed(definitions), name)
    };
    let found = definitions.value_set(&name);
    let id = found.ok_or_else(|| Error::NotFound(format!("The value set {name} is not known")))?;
    Ok((definitions, id))
}

/// One expansion while it is made.
struct Expander<'a> {
    definitions: &'a Definitions,
    id: ValueSetId,
    filter: Vec<String>,
    page: Page,
    wants: Wants<'a>,
    excluded: Vec<&'a str>,
    /// What was asked for, as the answer repeats it.
    echo: Vec<Value>,
}

/// Which of the codes are sent.
#[derive(Clone, Copy)]
struct Page {
    offset: Option<usize>,
    count: Option<usize>,
}

/// What is sent of each code.
#[derive(Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a parameter of the operation"
)]
struct Wants<'a> {
    designations: bool,
    active_only: bool,
    flat: bool,
    selectable_only: bool,
    language: Option<&'a str>,
}

impl<'a> Expander<'a> {
    fn new(
        definitions: &'a Definitions,
        id: ValueSetId,
        parameters: &'a Parameters,
    ) -> Result<Self, Error> {
        let flag = |name| Ok::<_, Error>(parameters.flag(name)?.unwrap_or_default());
        let page = Page {
            offset: parameters.number("offset")?,
            count: parameters.number("count")?,
        };
        let filter = parameters.text("filter")?.unwrap_or_default();
        let own_language = definitions.value_set_of(id).language;
        let language = parameters
            .language()?
            .or(own_language.map(|language| definitions.text(language)));
        let expander = Self {
            definitions,
            id,
            filter: filter.split_whitespace().map(str::to_lowercase).collect(),
            page,
            wants: Wants {
                designations: flag("includeDesignations")?,
                active_only: flag("activeOnly")?,
                flat: flag("excludeNested")?,
                selectable_only: flag("excludeNotForUI")?,
                language,
            },
            excluded: parameters.texts("exclude-system").collect(),
            echo: echo(parameters)?,
        };
        expander.check_versions(parameters)?;
        Ok(expander)
    }

    /// What a client demands of the versions of code systems must be so already.
    fn check_versions(&self, parameters: &Parameters) -> Result<(), Error> {
        const DEMANDS: [&str; 3] = [
            "system-version",
            "check-system-version",
            "force-system-version",
        ];
        for name in DEMANDS {
            for demand in parameters.texts(name) {
                let (system, wanted) = demand.split_once('|').ok_or_else(|| {
                    Error::Invalid(format!("{name} is written as system|version"))
                })?;
                self.check_version(name, system, wanted)?;
            }
        }
        Ok(())
    }

    fn check_version(&self, name: &str, system: &str, wanted: &str) -> Result<(), Error> {
        let text = |text| self.definitions.text(text);
        for (url, pinned, id) in self.definitions.systems_of(self.id) {
            let here = id.and_then(|id| self.definitions.code_system_of(id).version);
            let is_other = here.is_some_and(|version| text(version) != wanted);
            let is_free = name != "system-version" || pinned.is_none();
            if text(url) == system && is_other && is_free {
                return Err(Error::NotSupported(format!(
                    "{name}: the value set is answered from another version of {system} than {wanted}"
                )));
            }
        }
        Ok(())
    }

    fn expand(self, stamp: &Stamp<'_>) -> Result<Value, Error> {
        if let Expansion::NotEnumerable([first, ..]) = self.definitions.expansion(self.id) {
            let system = first.system.map(|system| self.definitions.text(system));
            return Err(not_enumerable(&self.name(), system, first.reason));
        }
        let members: Vec<(Text, Member)> = self.members().collect();
        let total = members.len();
        let start = self.page.offset.unwrap_or_default().min(total);
        let count = self.page.count.unwrap_or(total).min(total - start);
        if count > CODES_MAX {
            return Err(Error::TooCostly(format!(
                "{} has {total} codes, and {CODES_MAX} at most are sent at once; ask for pages by \
                 offset and count",
                self.name()
            )));
        }
        let page = members.get(start..start + count).unwrap_or_default();
        let contains = if self.is_nested(page) {
            self.nested(page)
        } else {
            page.iter()
                .map(|it| Value::Object(self.entry(it)))
                .collect()
        };
        Ok(self.answer(stamp, total, contains))
    }

    fn members(&self) -> impl Iterator<Item = (Text, Member)> {
        let members = self.definitions.members_with_abstract(self.id);
        members.filter(|(system, member)| {
            let concept = self.concept(member);
            let is_inactive = concept.is_some_and(|concept| concept.is_inactive);
            let is_abstract = concept.is_some_and(|concept| concept.is_abstract);
            let is_refused = (self.wants.active_only && is_inactive)
                || (self.wants.selectable_only && is_abstract)
                || self.excluded.contains(&self.definitions.text(*system));
            !is_refused && self.passes_filter(member)
        })
    }

    fn concept(&self, member: &Member) -> Option<&'a Concept> {
        member.concept.map(|id| self.definitions.concept_of(id))
    }

    /// Whether each word of the filter is somewhere in the code or in its texts.
    fn passes_filter(&self, member: &Member) -> bool {
        if self.filter.is_empty() {
            return true;
        }
        let designations = self.designations_of(member).map(|it| it.value);
        let texts: Vec<String> = std::iter::once(member.code)
            .chain(member.display)
            .chain(designations)
            .map(|text| self.definitions.text(text).to_lowercase())
            .collect();
        let is_found = |word: &String| texts.iter().any(|text| text.contains(word));
        self.filter.iter().all(is_found)
    }

    fn designations_of(&self, member: &Member) -> impl Iterator<Item = &'a Designation> {
        let listed = self.definitions.member_designations(member);
        let own = self
            .concept(member)
            .map(|concept| self.definitions.designations(concept));
        listed.iter().chain(own.into_iter().flatten())
    }

    /// Whether the codes are nested: whole, and concepts of one code system taken by rule.
    fn is_nested(&self, page: &[(Text, Member)]) -> bool {
        let is_whole = !self.wants.flat
            && self.filter.is_empty()
            && self.page.offset.is_none()
            && self.page.count.is_none();
        let first = page.first().and_then(|(_, member)| member.code_system);
        is_whole
            && page.is_sorted_by_key(|(_, member)| member.concept)
            && page.iter().all(|(_, member)| {
                !member.is_listed && member.concept.is_some() && member.code_system == first
            })
    }

    /// Each code under the nearest one that it is nested in.
    fn nested(&self, page: &[(Text, Member)]) -> Vec<Value> {
        // The entries that are open, each with the number of the last concept nested in it.
        let mut open: Vec<(usize, Map<String, Value>)> = Vec::new();
        let mut top = Vec::new();
        for item in page {
            let Some(id) = item.1.concept else { continue };
            while open.last().is_some_and(|(end, _)| *end < id.index()) {
                close(&mut open, &mut top);
            }
            let end = id.index() + self.definitions.concept_of(id).nested_count();
            open.push((end, self.entry(item)));
        }
        while !open.is_empty() {
            close(&mut open, &mut top);
        }
        top
    }

    fn entry(&self, (system, member): &(Text, Member)) -> Map<String, Value> {
        let text = |text: Text| Value::from(self.definitions.text(text));
        let concept = self.concept(member);
        let mut entry = Map::new();
        entry.insert("system".to_owned(), text(*system));
        if concept.is_some_and(|concept| concept.is_abstract) {
            entry.insert("abstract".to_owned(), true.into());
        }
        if concept.is_some_and(|concept| concept.is_inactive) {
            entry.insert("inactive".to_owned(), true.into());
        }
        if let Some(version) = self.version_of(member) {
            entry.insert("version".to_owned(), text(version));
        }
        entry.insert("code".to_owned(), text(member.code));
        let display = self.display(member);
        if let Some(display) = display {
            entry.insert("display".to_owned(), text(display));
        }
        let designations = self.designations(member, display);
        if !designations.is_empty() {
            entry.insert("designation".to_owned(), designations.into());
        }
        entry
    }

    /// The texts that are not shown as the display, if they are asked for.
    fn designations(&self, member: &Member, shown: Option<Text>) -> Vec<Value> {
        if !self.wants.designations {
            return Vec::new();
        }
        let system = member
            .code_system
            .map(|id| self.definitions.code_system_of(id));
        let own = member.display.filter(|_| shown != member.display);
        let own = own.map(|value| Designation {
            language: system.and_then(|system| system.language),
            use_coding: None,
            value,
        });
        let others = self.designations_of(member).copied();
        own.into_iter()
            .chain(others.filter(|it| own.is_none() || Some(it.value) != shown))
            .map(|it| designation(self.definitions, &it))
            .collect()
    }

    /// The version of a code's system, where the value set draws from several.
    fn version_of(&self, member: &Member) -> Option<Text> {
        let own = self.definitions.code_system_of(member.code_system?);
        let mut others = self
            .definitions
            .systems_of(self.id)
            .filter(|(url, _, id)| *url == own.url && *id != member.code_system);
        others.next().and(own.version)
    }

    /// The display in the language asked for, if there is one.
    fn display(&self, member: &Member) -> Option<Text> {
        let system = member
            .code_system
            .map(|id| self.definitions.code_system_of(id));
        let own = system.and_then(|system| system.language);
        let own = own.map(|language| self.definitions.text(language));
        let speaks = |tag: Option<&str>| {
            let wanted = self.wants.language;
            wanted.is_none_or(|wanted| tag.is_some_and(|tag| is_language(tag, wanted)))
        };
        if speaks(own) {
            return member.display;
        }
        let mut designations = self.designations_of(member);
        designations
            .find(|it| speaks(it.language.map(|tag| self.definitions.text(tag))))
            .map(|it| it.value)
            .or(member.display)
    }

    fn name(&self) -> String {
        let set = self.definitions.value_set_of(self.id);
        name_of(self.definitions, set)
    }

    fn answer(self, stamp: &Stamp<'_>, total: usize, contains: Vec<Value>) -> Value {
        let set = self.definitions.value_set_of(self.id);
        let mut answer = metadata(self.definitions, set);
        let mut expansion = Map::new();
        expansion.insert("identifier".to_owned(), stamp.identifier.into());
        expansion.insert("timestamp".to_owned(), stamp.timestamp.into());
        expansion.insert("total".to_owned(), total.into());
        if let Some(offset) = self.page.offset {
            expansion.insert("offset".to_owned(), offset.into());
        }
        let used = self.used();
        let parameters: Vec<Value> = self.echo.into_iter().chain(used).collect();
        if !parameters.is_empty() {
            expansion.insert("parameter".to_owned(), parameters.into());
        }
        if !contains.is_empty() {
            expansion.insert("contains".to_owned(), contains.into());
        }
        answer.insert("expansion".to_owned(), expansion.into());
        answer.into()
    }

    /// The code systems and value sets that the expansion was made from.
    fn used(&self) -> Vec<Value> {
        let mut used = Vec::new();
        let mut pending = vec![self.id];
        while let Some(id) = pending.pop() {
            for (_, _, system) in self.definitions.systems_of(id) {
                let Some(system) = system.map(|id| self.definitions.code_system_of(id)) else {
                    continue;
                };
                let version = system.version.map(|it| self.definitions.text(it));
                let name = canonical(self.definitions.text(system.url), version);
                add_used(&mut used, "used-codesystem", &name);
            }
            for (_, import) in self.definitions.imports_of(id) {
                let Some(import) = import else { continue };
                let set = self.definitions.value_set_of(import);
                if add_used(&mut used, "used-valueset", &name_of(self.definitions, set)) {
                    pending.push(import);
                }
            }
        }
        used
    }
}

fn add_used(used: &mut Vec<Value>, name: &str, uri: &str) -> bool {
    let entry = json!({ "name": name, "valueUri": uri });
    let is_new = !used.contains(&entry);
    if is_new {
        used.push(entry);
    }
    is_new
}

/// Puts the entry that was opened last where it belongs.
fn close(open: &mut Vec<(usize, Map<String, Value>)>, top: &mut Vec<Value>) {
    let Some((_, entry)) = open.pop() else { return };
    match open.last_mut() {
        None => top.push(entry.into()),
        Some((_, parent)) => {
            let contains = parent
                .entry("contains")
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(contains) = contains {
                contains.push(entry.into());
            }
        }
    }
}

/// Whether a language tag is of a language that is asked for: `de-CH` is of `de`.
pub(crate) fn is_language(tag: &str, wanted: &str) -> bool {
    wanted.split(',').any(|range| {
        let range = range.split(';').next().unwrap_or_default().trim();
        let start = tag.get(..range.len());
        let rest = tag.get(range.len()..).unwrap_or_default();
        !range.is_empty()
            && start.is_some_and(|start| start.eq_ignore_ascii_case(range))
            && (rest.is_empty() || rest.starts_with('-'))
    })
}

/// A designation as FHIR writes it.
pub(crate) fn designation(definitions: &Definitions, designation: &Designation) -> Value {
    let mut object = Map::new();
    if let Some(language) = designation.language {
        object.insert("language".to_owned(), definitions.text(language).into());
    }
    if let Some(coding) = designation.use_coding {
        let coding = serde_json::from_str(definitions.text(coding)).unwrap_or_default();
        object.insert("use".to_owned(), coding);
    }
    let value = definitions.text(designation.value);
    object.insert("value".to_owned(), value.into());
    object.into()
}

/// The canonical of a value set, with its version.
pub(crate) fn name_of(definitions: &Definitions, set: &ValueSet) -> String {
    let version = set.version.map(|version| definitions.text(version));
    canonical(definitions.text(set.url), version)
}

/// What the answer repeats of the value set.
fn metadata(definitions: &Definitions, set: &ValueSet) -> Map<String, Value> {
    let mut answer = Map::new();
    answer.insert("resourceType".to_owned(), "ValueSet".into());
    let url = definitions.text(set.url);
    let own = [
        ("url", Some(set.url).filter(|_| url != UNNAMED)),
        ("version", set.version),
        ("name", Some(set.name)),
        ("title", set.title),
    ];
    for (name, value) in own {
        let value = value.map(|value| definitions.text(value));
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            answer.insert(name.to_owned(), value.into());
        }
    }
    let status = set
        .status
        .map_or("active", |status| definitions.text(status));
    answer.insert("status".to_owned(), status.into());
    if set.is_experimental {
        answer.insert("experimental".to_owned(), true.into());
    }
    answer
}

/// The parameters that decided what the expansion is like.
fn echo(parameters: &Parameters) -> Result<Vec<Value>, Error> {
    const FLAGS: [&str; 4] = [
        "includeDesignations",
        "activeOnly",
        "excludeNested",
        "excludeNotForUI",
    ];
    let mut echo = Vec::new();
    for name in FLAGS {
        if let Some(flag) = parameters.flag(name)? {
            echo.push(json!({ "name": name, "valueBoolean": flag }));
        }
    }
    for name in ["offset", "count"] {
        if let Some(number) = parameters.number(name)? {
            echo.push(json!({ "name": name, "valueInteger": number }));
        }
    }
    for (name, kind) in [("filter", "valueString"), ("displayLanguage", "valueCode")] {
        if let Some(text) = parameters.text(name)? {
            echo.push(json!({ "name": name, kind: text }));
        }
    }
    for system in parameters.texts("exclude-system") {
        echo.push(json!({ "name": "exclude-system", "valueUri": system }));
    }
    Ok(echo)
}
