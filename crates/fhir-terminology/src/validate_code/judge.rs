//! One code against a value set or its code system, with everything that was sent beside it.

use fhir_model::definition::{
    CodeSystemContent, CodeSystemId, ConceptId, Definitions, Membership, Question, Reason,
    ValueSetId,
};
use serde_json::{Value, json};

use crate::expand::name_of;
use crate::grammar;
use crate::membership::concept_of_member;
use crate::parameters::canonical;
use crate::validate_code::issues::{self, Issues};
use crate::validate_code::sent::Placed;

/// What became of a code.
pub(super) struct Judged {
    pub(super) is_member: bool,
    /// The code as it was found.
    pub(super) parameters: Vec<Value>,
}

/// What codes are judged by.
pub(super) struct Judge<'a> {
    pub(super) definitions: &'a Definitions,
    /// The value set; else each code is held against its code system.
    pub(super) value_set: Option<ValueSetId>,
    pub(super) admits_abstract: bool,
    pub(super) active_only: bool,
    pub(super) language: Option<&'a str>,
}

impl Judge<'_> {
    /// The canonical of the value set.
    pub(super) fn value_set_name(&self) -> String {
        self.value_set.map_or_else(String::new, |id| {
            name_of(self.definitions, self.definitions.value_set_of(id))
        })
    }

    /// Judges a code and says what there is to say of it.
    pub(super) fn judge(&self, placed: &Placed<'_>, issues: &mut Issues) -> Judged {
        let coded = &placed.coded;
        let mut parameters = vec![json!({ "name": "code", "valueCode": coded.code })];
        let is_member = match coded.system {
            None => self.without_system(placed, issues, &mut parameters),
            Some(system) => {
                parameters.push(json!({ "name": "system", "valueUri": system }));
                self.with_system(placed, system, issues, &mut parameters)
            }
        };
        Judged {
            is_member,
            parameters,
        }
    }

    /// A code without a system: of any that the value set draws from, where that may be inferred.
    fn without_system(
        &self,
        placed: &Placed<'_>,
        issues: &mut Issues,
        parameters: &mut Vec<Value>,
    ) -> bool {
        let Some(value_set) = self.value_set.filter(|_| placed.infers_system) else {
            self.not_in_value_set(placed, issues);
            let text = "Coding has no system. A code with no system has no defined meaning, and it \
                        cannot be validated. A system should be provided";
            issues.say(issues::NO_SYSTEM, text.to_owned(), placed.part(""));
            return false;
        };
        let membership = self.membership(value_set, &question(placed, None));
        if membership == Membership::Member {
            let found = concept_of_member(self.definitions, value_set, &placed.coded);
            if let Some((id, concept)) = found {
                let url = self.definitions.code_system_of(id).url;
                let url = self.definitions.text(url);
                parameters.push(json!({ "name": "system", "valueUri": url }));
                self.found(placed, id, concept, issues, parameters);
            }
            return true;
        }
        self.not_in_value_set(placed, issues);
        let text = format!(
            "The System URI could not be determined for the code '{}' in the ValueSet '{}'",
            placed.coded.code,
            self.value_set_name()
        );
        issues.say(issues::CANNOT_INFER, text, placed.part("code"));
        false
    }

    fn with_system(
        &self,
        placed: &Placed<'_>,
        system: &str,
        issues: &mut Issues,
        parameters: &mut Vec<Value>,
    ) -> bool {
        if !system.contains(':') {
            self.relative_system(placed, system, issues);
            return false;
        }
        let asked = self.asked(placed);
        let id = self.code_system(placed, system, asked.as_ref(), issues);
        let by_grammar = grammar::has_code(system, placed.coded.code);
        let concept = id.and_then(|id| {
            let found = self.definitions.code_system_of(id);
            self.definitions.concept_id(found, placed.coded.code)
        });
        let is_code = concept.is_some() || by_grammar == Some(true);
        let is_listed = matches!(&asked, Some(asked) if asked.membership == Membership::Member);
        let may_be = is_code || self.is_conceivable(placed, system, id, is_listed, issues);
        let is_member = match &asked {
            None => may_be,
            Some(asked) => self.is_member(placed, asked, may_be, issues),
        };
        if let (Some(id), Some(concept)) = (id, concept) {
            self.found(placed, id, concept, issues, parameters);
        }
        is_member
    }

    fn membership(&self, value_set: ValueSetId, question: &Question<'_>) -> Membership {
        self.definitions.answer(value_set, question)
    }

    /// What the value set says: of the version that was sent if it draws from that, else of any.
    fn asked(&self, placed: &Placed<'_>) -> Option<Asked> {
        let value_set = self.value_set?;
        let of_version = question(placed, placed.coded.version);
        let of_any = question(placed, None);
        let included = |question| self.definitions.included_from(value_set, question);
        let exact = placed.coded.version.and_then(|_| included(&of_version));
        let (question, included) = match exact {
            Some(found) => (of_version, Some(found)),
            None => (of_any, included(&of_any)),
        };
        let (code_system, pinned) = included.unwrap_or_default();
        Some(Asked {
            membership: self.membership(value_set, &question),
            code_system,
            is_pinned: pinned.is_some(),
        })
    }

    /// The code system that a code is of, in the version that the value set takes it from, else in
    /// the one that was sent.
    fn code_system(
        &self,
        placed: &Placed<'_>,
        system: &str,
        asked: Option<&Asked>,
        issues: &mut Issues,
    ) -> Option<CodeSystemId> {
        let sent = self
            .definitions
            .code_system_version(system, placed.coded.version);
        let Some(used) = asked.and_then(|asked| asked.code_system) else {
            return sent;
        };
        if let Some(version) = placed.coded.version
            && sent != Some(used)
        {
            let is_pinned = asked.is_some_and(|asked| asked.is_pinned);
            self.other_version(
                placed,
                system,
                version,
                used,
                is_pinned || sent.is_some(),
                issues,
            );
        }
        Some(used)
    }

    /// The value set takes the code from another version than was sent.
    fn other_version(
        &self,
        placed: &Placed<'_>,
        system: &str,
        sent: &str,
        used: CodeSystemId,
        is_wrong: bool,
        issues: &mut Issues,
    ) {
        if self
            .definitions
            .code_system_version(system, Some(sent))
            .is_none()
        {
            self.unknown_system(placed, system, issues);
        }
        let used = self.definitions.code_system_of(used).version;
        let used = used.map_or("", |version| self.definitions.text(version));
        let (kind, which) = if is_wrong {
            (issues::INVALID_VALUE_SET, "")
        } else {
            (issues::OTHER_VERSION, " for the versionless include")
        };
        let text = format!(
            "The code system '{system}' version '{used}'{which} in the ValueSet include is different \
             to the one in the value ('{sent}')"
        );
        issues.say(kind, text, placed.part("version"));
    }

    fn relative_system(&self, placed: &Placed<'_>, system: &str, issues: &mut Issues) {
        self.not_in_value_set(placed, issues);
        let expression = placed.part("system");
        let place = expression.as_deref().unwrap_or_default();
        let text = format!("{place} must be an absolute reference, not a local reference");
        issues.say(issues::UNUSABLE_SYSTEM, text, expression);
        self.unknown_system(placed, system, issues);
    }

    /// Whether a code that was not found could be one all the same, because its code system is not
    /// known completely. Says why not.
    fn is_conceivable(
        &self,
        placed: &Placed<'_>,
        system: &str,
        id: Option<CodeSystemId>,
        is_listed: bool,
        issues: &mut Issues,
    ) -> bool {
        let content = id.map(|id| self.definitions.code_system_of(id).content);
        let code = placed.coded.code;
        match content {
            None if grammar::has_code(system, code).is_some() => {}
            None | Some(CodeSystemContent::NotPresent) if is_listed => return true,
            None | Some(CodeSystemContent::NotPresent) => {
                self.unknown_system(placed, system, issues);
                return false;
            }
            Some(CodeSystemContent::Fragment | CodeSystemContent::Example) => {
                let text = format!(
                    "Unknown Code '{code}' in the CodeSystem {} - note that the code system is \
                     labeled as a fragment, so the code may be valid in some other fragment",
                    self.system_in_words(system, id)
                );
                issues.say(issues::UNKNOWN_IN_FRAGMENT, text, placed.part("code"));
                return true;
            }
            Some(CodeSystemContent::Complete | CodeSystemContent::Supplement) => {}
        }
        let name = self.system_in_words(system, id);
        let text = format!("Unknown code '{code}' in the CodeSystem {name}");
        issues.say(issues::UNKNOWN_CODE, text, placed.part("code"));
        false
    }

    fn system_in_words(&self, system: &str, id: Option<CodeSystemId>) -> String {
        let version = id.and_then(|id| self.definitions.code_system_of(id).version);
        version.map_or_else(
            || format!("'{system}'"),
            |version| format!("'{system}' version '{}'", self.definitions.text(version)),
        )
    }

    fn unknown_system(&self, placed: &Placed<'_>, system: &str, issues: &mut Issues) {
        if self.definitions.is_supplement(system) {
            let name = canonical(system, placed.coded.version);
            let place = placed.part("system");
            let text = format!(
                "CodeSystem {name} is a supplement, so can't be used as a value in {}",
                place.as_deref().unwrap_or_default()
            );
            return issues.say(issues::UNUSABLE_SYSTEM, text, place);
        }
        let known = self.definitions.code_system_versions(system);
        let known = known.filter(|it| it.content != CodeSystemContent::NotPresent);
        let known: Vec<&str> = known
            .filter_map(|it| it.version)
            .map(|version| self.definitions.text(version))
            .collect();
        let cannot = "could not be found, so the code cannot be validated";
        let text = match placed.coded.version {
            None => format!("{system} {cannot}"),
            Some(version) if known.is_empty() => format!(
                "'{system}' version '{version}' {cannot}. No versions of this code system are known"
            ),
            Some(version) => format!(
                "'{system}' version '{version}' {cannot}. Valid versions: {}",
                known.join(" or ")
            ),
        };
        let text = format!("A definition for CodeSystem {text}");
        issues.say(issues::NOT_FOUND, text, placed.part("system"));
    }

    /// Whether a code is in the value set; says why not.
    fn is_member(
        &self,
        placed: &Placed<'_>,
        asked: &Asked,
        may_be: bool,
        issues: &mut Issues,
    ) -> bool {
        match asked.membership {
            Membership::Member => return may_be,
            Membership::NotMember => {}
            Membership::Unknown(Reason::CodeSystemNotHere) if may_be => {
                let is_here = asked.code_system.is_some()
                    || self
                        .definitions
                        .code_system(placed.coded.system.unwrap_or_default())
                        .is_some_and(|it| it.content == CodeSystemContent::Fragment);
                if is_here {
                    return true;
                }
                self.missing_version(placed, issues);
                return false;
            }
            Membership::Unknown(Reason::CodeSystemNotHere | Reason::Grammar) if !may_be => {}
            Membership::Unknown(reason) => {
                self.cannot_say(placed, reason, issues);
                return false;
            }
        }
        self.not_in_value_set(placed, issues);
        false
    }

    /// The value set asks for a version of the code system that is not here.
    fn missing_version(&self, placed: &Placed<'_>, issues: &mut Issues) {
        let system = placed.coded.system.unwrap_or_default();
        let pinned = self.value_set.and_then(|id| {
            let mut systems = self.definitions.systems_of(id);
            let found = systems.find(|(url, ..)| self.definitions.text(*url) == system)?;
            found.1.map(|version| self.definitions.text(version))
        });
        let known = self.definitions.code_system_versions(system);
        let known: Vec<&str> = known
            .filter_map(|it| it.version)
            .map(|version| self.definitions.text(version))
            .collect();
        let text = format!(
            "A definition for CodeSystem '{system}' version '{}' could not be found, so the code \
             cannot be validated. Valid versions: {}",
            pinned.unwrap_or_default(),
            known.join(" or ")
        );
        issues.say(issues::NOT_FOUND, text, placed.part("system"));
    }

    /// Something that the value set needs is not here, or cannot be worked with.
    fn cannot_say(&self, placed: &Placed<'_>, reason: Reason, issues: &mut Issues) {
        let name = self.value_set_name();
        let code = placed.coded.code;
        let (kind, text) = match reason {
            Reason::ValueSetNotHere => (issues::NOT_FOUND, self.missing_import()),
            Reason::CodeSystemNotHere | Reason::Grammar => (
                issues::NOT_FOUND,
                format!(
                    "Whether '{code}' is in the value set '{name}' cannot be said: a code system \
                     of it is not here, or not completely"
                ),
            ),
            Reason::Filter | Reason::ImportCut => (
                issues::INVALID_VALUE_SET,
                format!(
                    "Whether '{code}' is in the value set '{name}' cannot be said: a filter or \
                     import of it cannot be worked with"
                ),
            ),
        };
        issues.say(kind, text, None);
    }

    fn missing_import(&self) -> String {
        let imports = self.value_set.into_iter();
        let mut imports = imports.flat_map(|id| self.definitions.imports_of(id));
        let missing = imports.find(|(_, found)| found.is_none());
        missing.map_or_else(
            || "The value set, or one that it imports, has no content".to_owned(),
            |(name, _)| {
                let name = self.definitions.text(name);
                format!("A definition for the value Set '{name}' could not be found")
            },
        )
    }

    fn not_in_value_set(&self, placed: &Placed<'_>, issues: &mut Issues) {
        if self.value_set.is_none() {
            return;
        }
        let kind = if placed.is_of_concept {
            issues::THIS_NOT_IN_VALUE_SET
        } else {
            issues::NOT_IN_VALUE_SET
        };
        let text = format!(
            "The provided code '{}' was not found in the value set '{}'",
            placed.in_words(),
            self.value_set_name()
        );
        issues.say(kind, text, placed.part("code"));
    }

    /// What there is to say of a code that its code system has.
    fn found(
        &self,
        placed: &Placed<'_>,
        id: CodeSystemId,
        concept: ConceptId,
        issues: &mut Issues,
        parameters: &mut Vec<Value>,
    ) {
        let code_system = self.definitions.code_system_of(id);
        let version = code_system.version.map(|it| self.definitions.text(it));
        if let Some(version) = version {
            parameters.push(json!({ "name": "version", "valueString": version }));
        }
        let found = self.definitions.concept_of(concept);
        if found.is_inactive {
            parameters.push(json!({ "name": "inactive", "valueBoolean": true }));
        }
        let right = self.definitions.text(found.code);
        if right != placed.coded.code {
            let name = canonical(self.definitions.text(code_system.url), version);
            let text = format!(
                "The code '{}' differs from the correct code '{right}' by case. Although the code \
                 system '{name}' is case insensitive, implementers are strongly encouraged to use \
                 the correct case anyway",
                placed.coded.code
            );
            issues.say(issues::CASE, text, placed.part("code"));
            parameters.push(json!({ "name": "normalized-code", "valueCode": right }));
        }
        self.check_use(placed, found.is_abstract, found.is_inactive, issues);
        self.display(placed, code_system, found, issues, parameters);
    }

    fn check_use(
        &self,
        placed: &Placed<'_>,
        is_abstract: bool,
        is_inactive: bool,
        issues: &mut Issues,
    ) {
        let code = placed.coded.code;
        if is_abstract && !self.admits_abstract {
            let system = placed.coded.system.unwrap_or_default();
            let text =
                format!("Code '{system}#{code}' is abstract, and not allowed in this context");
            issues.say(issues::ABSTRACT, text, placed.part("code"));
            self.not_in_value_set(placed, issues);
        }
        if is_inactive {
            let text = format!(
                "The concept '{code}' has a status of inactive and its use should be reviewed"
            );
            issues.say(issues::INACTIVE, text, placed.part(""));
        }
        if is_inactive && self.active_only {
            let text = format!("The concept '{code}' is valid but is not active");
            issues.say(issues::NOT_ACTIVE, text, placed.part("code"));
            self.not_in_value_set(placed, issues);
        }
    }
}

/// What the value set says of a code.
struct Asked {
    membership: Membership,
    /// The code system that it takes the code from.
    code_system: Option<CodeSystemId>,
    /// Whether it asks for a version of it.
    is_pinned: bool,
}

/// What is asked of the value set. Abstract concepts are let through: whether they may be used is said
/// apart.
fn question<'q>(placed: &Placed<'q>, version: Option<&'q str>) -> Question<'q> {
    Question {
        system: placed.coded.system,
        version,
        code: placed.coded.code,
        admits_abstract: true,
        grammars: Some(&grammar::has_code),
    }
}
