//! Tokens of elements, and what their modifiers ask for beside them.
//!
//! <https://hl7.org/fhir/R4/search.html#token>. `:text` looks at displays and texts, `:of-type` at
//! the type of an identifier, `:identifier` at that of a reference.

use std::borrow::Cow;

use fhir_model::element::Element;

use crate::search::codes;
use crate::search::extract::rule::{Sink, child_text};
use crate::search::normalise::fold;
use crate::search::value::{Display, IDENTIFIER, OF_TYPE, ParameterId, TEXT, Text, Token};

fn push_as(sink: &mut Sink<'_>, parameter: ParameterId, system: Option<&str>, code: &str) {
    let code = if sink.ignores_case {
        code.to_lowercase()
    } else {
        code.to_owned()
    };
    sink.values.tokens.push(Token {
        parameter,
        system: system.unwrap_or_default().to_owned(),
        code,
    });
}

/// Adds a code that has no system.
pub(super) fn push(sink: &mut Sink<'_>, code: &str) {
    push_as(sink, sink.parameter, None, code);
}

pub(super) fn plain(sink: &mut Sink<'_>, element: Element<'_>) {
    if let Some(code) = element.value_text() {
        push(sink, &code);
    }
}

/// The code, and what it is shown as; tells the latter, normalised.
pub(super) fn coding(sink: &mut Sink<'_>, element: Element<'_>) {
    coding_with_display(sink, element);
}

fn coding_with_display(sink: &mut Sink<'_>, element: Element<'_>) -> Option<String> {
    let fields = sink.fields;
    let display = child_text(element, fields.display).filter(|_| !sink.is_component);
    let display = display.map(|display| fold(&display));
    let display = display.filter(|display| !display.is_empty());
    let Some(code) = child_text(element, fields.code) else {
        if let Some(display) = &display {
            push_text(sink, display.clone());
        }
        return display;
    };
    let system = child_text(element, fields.system);
    let code = codes::settled(sink.definitions, system.as_deref(), code);
    push_as(sink, sink.parameter, system.as_deref(), &code);
    if let Some(normalised) = &display {
        sink.values.displays.push(Display {
            parameter: sink.parameter,
            system: system.map(Cow::into_owned).unwrap_or_default(),
            code: code.into_owned(),
            normalised: normalised.clone(),
        });
    }
    display
}

/// A text that belongs to no code.
fn push_text(sink: &mut Sink<'_>, normalised: String) {
    sink.values.strings.push(Text {
        parameter: sink.parameter.aspect(TEXT),
        normalised,
        exact: String::new(),
    });
}

/// The codings; and the text, unless it is the display of one of them.
pub(super) fn codeable_concept(sink: &mut Sink<'_>, element: Element<'_>) {
    let fields = sink.fields;
    let text = child_text(element, fields.text).filter(|_| !sink.is_component);
    let text = text.map(|text| fold(&text)).filter(|text| !text.is_empty());
    let mut is_display = false;
    for item in element.children(fields.coding) {
        let display = coding_with_display(sink, item);
        is_display |= display.is_some() && display == text;
    }
    if let Some(text) = text.filter(|_| !is_display) {
        push_text(sink, text);
    }
}

pub(super) fn identifier(sink: &mut Sink<'_>, element: Element<'_>) {
    let fields = sink.fields;
    let value = child_text(element, fields.value);
    if let Some(value) = &value {
        let system = child_text(element, fields.system);
        push_as(sink, sink.parameter, system.as_deref(), value);
    }
    let Some(of_type) = element.child(fields.r#type).filter(|_| !sink.is_component) else {
        return;
    };
    for coding in of_type.children(fields.coding) {
        if let Some((code, value)) = child_text(coding, fields.code).zip(value.as_ref()) {
            let system = child_text(coding, fields.system);
            let code = codes::settled(sink.definitions, system.as_deref(), code);
            let code = codes::typed(&code, value);
            push_as(
                sink,
                sink.parameter.aspect(OF_TYPE),
                system.as_deref(),
                &code,
            );
        }
    }
    let displays = of_type
        .children(fields.coding)
        .filter_map(|coding| child_text(coding, fields.display));
    for text in displays.chain(child_text(of_type, fields.text)) {
        let text = fold(&text);
        if !text.is_empty() {
            push_text(sink, text);
        }
    }
}

/// The identifier of a reference.
pub(super) fn of_reference(sink: &mut Sink<'_>, element: Element<'_>) {
    let fields = sink.fields;
    if sink.is_component {
        return;
    }
    if let Some(value) = child_text(element, fields.value) {
        let system = child_text(element, fields.system);
        push_as(
            sink,
            sink.parameter.aspect(IDENTIFIER),
            system.as_deref(),
            &value,
        );
    }
}

/// The system of a ContactPoint (`phone`) is no system of a token.
pub(super) fn contact_point(sink: &mut Sink<'_>, element: Element<'_>) {
    if let Some(value) = child_text(element, sink.fields.value) {
        push(sink, &value);
    }
}
