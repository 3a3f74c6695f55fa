//! The display of a code: which is right, and whether the one that was sent is.
//!
//! Right are the displays that the value set gives, that of the code system, and designations; where
//! a language is asked for, those of that language, and those that do not say theirs.

use fhir_model::definition::{CodeSystem, Concept, Text};
use serde_json::{Value, json};

use crate::expand::is_language;
use crate::membership::is_same_text;
use crate::validate_code::issues::{self, Issues};
use crate::validate_code::judge::Judge;
use crate::validate_code::sent::Placed;

/// A text that a code may be shown by.
struct Display<'a> {
    text: &'a str,
    language: Option<&'a str>,
}

impl Judge<'_> {
    /// Tells the right display, and says so if another one was sent.
    pub(super) fn display(
        &self,
        placed: &Placed<'_>,
        code_system: &CodeSystem,
        concept: &Concept,
        issues: &mut Issues,
        parameters: &mut Vec<Value>,
    ) {
        let displays = self.displays(placed, code_system, concept);
        let in_language = displays.iter().find(|it| self.speaks(it.language));
        if let Some(right) = in_language.or(displays.first()) {
            parameters.push(json!({ "name": "display", "valueString": right.text }));
        }
        if let Some(sent) = placed.coded.display.filter(|_| !displays.is_empty()) {
            self.check_display(placed, code_system, sent, &displays, issues);
        }
    }

    fn check_display(
        &self,
        placed: &Placed<'_>,
        code_system: &CodeSystem,
        sent: &str,
        displays: &[Display<'_>],
        issues: &mut Issues,
    ) {
        let is_right = |it: &&Display<'_>| is_same_text(it.text, sent);
        let wanted: Vec<&Display<'_>> = displays
            .iter()
            .filter(|it| it.language.is_none() || self.speaks(it.language))
            .collect();
        if wanted.iter().any(is_right) {
            return;
        }
        let code = placed.coded.code;
        let system = self.definitions.text(code_system.url);
        let language = self.language.unwrap_or("--");
        if wanted.is_empty() && displays.iter().any(|it| is_right(&it)) {
            let text = format!(
                "There are no valid display names found for the code {system}#{code} for \
                 language(s) '{language}'. The display is '{sent}' which is a valid display for \
                 the default language"
            );
            return issues.say(issues::DISPLAY_LANGUAGE, text, placed.part("display"));
        }
        let rest = if wanted.is_empty() {
            let default = displays.first().map_or("", |it| it.text);
            format!(
                "There are no valid display names found for language(s) '{language}'. Default \
                 display is '{default}'"
            )
        } else {
            let texts: Vec<String> = wanted.iter().map(|it| format!("'{}'", it.text)).collect();
            format!(
                "Valid display is {} (for the language(s) '{language}')",
                texts.join(" or ")
            )
        };
        let text = format!("Wrong Display Name '{sent}' for {system}#{code}. {rest}");
        issues.say(issues::DISPLAY, text, placed.part("display"));
    }

    /// Whether a text is of the language asked for.
    fn speaks(&self, language: Option<&str>) -> bool {
        self.language
            .is_none_or(|wanted| language.is_some_and(|tag| is_language(tag, wanted)))
    }

    /// All displays of a code: of the value set, of the code system, designations.
    fn displays(
        &self,
        placed: &Placed<'_>,
        code_system: &CodeSystem,
        concept: &Concept,
    ) -> Vec<Display<'_>> {
        let text = |text: Text| self.definitions.text(text);
        let own_language = code_system.language.map(text);
        let mut displays = Vec::new();
        if let Some(id) = self.value_set {
            let system = Some(text(code_system.url));
            let language = self.definitions.value_set_of(id).language.map(text);
            let listed = self
                .definitions
                .listed_displays(id, system, placed.coded.code);
            displays.extend(listed.map(|it| Display {
                text: text(it),
                language: language.or(own_language),
            }));
        }
        displays.extend(concept.display.map(|display| Display {
            text: text(display),
            language: own_language,
        }));
        let designations = self.definitions.designations(concept).iter();
        displays.extend(designations.map(|it| Display {
            text: text(it.value),
            language: it.language.map(text),
        }));
        displays
    }
}
