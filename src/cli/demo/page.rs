//! How the demo looks: plain text, at most 100 columns.
//!
//! A resource becomes a line by [`SUMMARIES`]; what the line says is what the resource says.

use std::fmt::Write as _;

use chrono::{DateTime, NaiveDate};
use chrono_tz::Tz;
use serde_json::Value;

use crate::cli::demo::client::{Change, Time, each, text};

/// Columns of the page.
pub(super) const WIDTH: usize = 100;
/// Before what belongs to a time of day.
const INDENT: &str = "       ";

/// Where lines go.
pub(super) type Sink = Box<dyn Fn(&str) + Send + Sync>;

/// Prints in the zone of the care organisation.
pub(super) struct Page {
    zone: Tz,
    sink: Sink,
}

/// What a line says of a resource.
type Summary = fn(&Page, &Value) -> String;

/// The types that a step of the story can change, in the order in which they are printed.
const SUMMARIES: &[(&str, Summary)] = &[
    ("Patient", |_, resource| name(resource)),
    ("RelatedPerson", |_, resource| name(resource)),
    ("Encounter", |_, resource| visit(resource)),
    ("Condition", |_, resource| coded(resource, "/code")),
    ("EpisodeOfCare", |_, resource| {
        let programme = coded(resource, "/type/0");
        format!("{}, {programme}", text(resource, "/status"))
    }),
    ("CarePlan", |page, resource| page.care_plan(resource)),
    ("Goal", |_, resource| {
        let description = text(resource, "/description/text");
        format!("{}: {description}", text(resource, "/lifecycleStatus"))
    }),
    ("RiskAssessment", |_, resource| risk(resource)),
    ("Communication", |_, resource| {
        let reason = text(resource, "/statusReason/text");
        with_reason(text(resource, "/status"), reason)
    }),
    ("Task", |page, resource| page.task(resource)),
    ("Flag", |_, resource| coded(resource, "/code")),
];

/// Every step leaves a Provenance; a line for each would say only that.
const NOT_PRINTED: &[&str] = &["Provenance"];

impl Page {
    pub(super) fn new(zone: Tz, sink: Sink) -> Self {
        Self { zone, sink }
    }

    /// Prints lines as they are.
    pub(super) fn print(&self, text: &str) {
        for line in text.lines() {
            (self.sink)(line);
        }
    }

    /// A blank line, a heading, a rule.
    pub(super) fn heading(&self, text: &str) {
        let rule = "-".repeat(WIDTH.saturating_sub(text.chars().count() + 1));
        (self.sink)("");
        (self.sink)(&format!("{text} {rule}"));
    }

    /// The first line of something that happens.
    pub(super) fn event(&self, at: Time, what: &str, whom: &str, words: &str) {
        let time = self.local(at, "%H:%M");
        let line = format!("{time}  {what:<9}{whom:<22}{words}");
        (self.sink)("");
        (self.sink)(&cut(&line));
    }

    /// What a timer did, as one line.
    pub(super) fn timer(&self, change: &Change, whom: &str) {
        let time = self.local(change.at, "%H:%M");
        let summary = self.summary(&change.resource);
        let summary = summary.split_whitespace().collect::<Vec<_>>().join(" ");
        let resource_type = text(&change.resource, "/resourceType");
        (self.sink)(&cut(&format!(
            "{time}  {:<9}{whom:<22}{resource_type} {summary}",
            "timer"
        )));
    }

    /// A line below an event.
    pub(super) fn below(&self, words: &str) {
        (self.sink)(&cut(&format!("{INDENT}{words}")));
    }

    /// The lines of changed resources.
    pub(super) fn changes<'c>(&self, changes: impl IntoIterator<Item = &'c Change>) {
        let mut lines: Vec<(usize, String)> = changes
            .into_iter()
            .filter_map(|change| self.change(change))
            .collect();
        lines.sort_by_key(|(rank, _)| *rank);
        if lines.is_empty() {
            self.below("nothing changed");
        }
        for (_, line) in lines {
            self.below(&line);
        }
    }

    fn change(&self, change: &Change) -> Option<(usize, String)> {
        let resource_type = text(&change.resource, "/resourceType");
        if NOT_PRINTED.contains(&resource_type) {
            return None;
        }
        let mark = if change.is_new { "new" } else { "now" };
        let rank = SUMMARIES
            .iter()
            .position(|(name, _)| *name == resource_type);
        let summary = self.summary(&change.resource);
        let rank = rank.unwrap_or(SUMMARIES.len());
        Some((rank, format!("{mark} {resource_type:<15}{summary}")))
    }

    fn summary(&self, resource: &Value) -> String {
        let resource_type = text(resource, "/resourceType");
        let known = SUMMARIES.iter().find(|(name, _)| *name == resource_type);
        known.map_or_else(
            || text(resource, "/status").to_owned(),
            |(_, summary)| summary(self, resource),
        )
    }

    /// An instant in the zone of the page.
    pub(super) fn local(&self, at: Time, format: &str) -> String {
        at.with_timezone(&self.zone).format(format).to_string()
    }

    /// The name of the zone.
    pub(super) fn zone(&self) -> &'static str {
        self.zone.name()
    }

    /// The day of a FHIR date or dateTime, in the zone of the page.
    fn day(&self, text: &str) -> String {
        const FORMAT: &str = "%a %-d %b";
        match DateTime::parse_from_rfc3339(text) {
            Ok(at) => self.local(at, FORMAT),
            Err(_) => text
                .parse::<NaiveDate>()
                .map_or_else(|_| text.to_owned(), |day| day.format(FORMAT).to_string()),
        }
    }

    /// A FHIR instant in the zone of the page, to the minute.
    pub(super) fn minute(&self, text: &str) -> String {
        let instant = DateTime::parse_from_rfc3339(text);
        instant.map_or_else(|_| text.to_owned(), |at| self.local(at, "%a %e %b %H:%M"))
    }

    fn care_plan(&self, resource: &Value) -> String {
        let first = self.day(text(resource, "/period/start"));
        let last = self.day(text(resource, "/period/end"));
        format!("{}, {first} to {last}", text(resource, "/status"))
    }

    fn task(&self, resource: &Value) -> String {
        let code = text(resource, "/code/coding/0/code");
        let status = status(resource);
        if !is_open(resource) {
            return format!("{code:<26}{status}");
        }
        let due = self.day(text(resource, "/restriction/period/end"));
        let mut line = format!("{code:<26}{status:<23} due {due}");
        let priority = text(resource, "/priority");
        if priority != "routine" {
            let _ = write!(line, ", {priority}");
        }
        line
    }

    /// Rows under headings, each column as wide as its widest cell.
    pub(super) fn table<const COLUMNS: usize>(
        &self,
        headings: [&str; COLUMNS],
        rows: &[[String; COLUMNS]],
    ) {
        let mut widths = headings.map(str::len);
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let padded: Vec<String> = cells
                .zip(widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            padded.join("  ").trim_end().to_owned()
        };
        (self.sink)(&cut(&line(&mut headings.into_iter())));
        for row in rows {
            (self.sink)(&cut(&line(&mut row.iter().map(String::as_str))));
        }
    }
}

/// The status of a Task, with what makes it special.
pub(super) fn status(task: &Value) -> String {
    let status = text(task, "/status");
    let business = text(task, "/businessStatus/coding/0/code");
    let reason = text(task, "/statusReason/coding/0/code");
    with_reason(status, if reason.is_empty() { business } else { reason })
}

/// Whether work on a Task remains.
pub(super) fn is_open(task: &Value) -> bool {
    !matches!(
        text(task, "/status"),
        "completed" | "failed" | "cancelled" | "rejected" | "entered-in-error"
    )
}

/// The first name of a person, as people say it.
pub(super) fn name(person: &Value) -> String {
    let given = text(person, "/name/0/given/0");
    let family = text(person, "/name/0/family");
    format!("{given} {family}").trim().to_owned()
}

fn with_reason(status: &str, reason: &str) -> String {
    if reason.is_empty() {
        status.to_owned()
    } else {
        format!("{status}: {reason}")
    }
}

/// Code and words of the CodeableConcept at a JSON pointer; nothing where there is none.
fn coded(resource: &Value, pointer: &str) -> String {
    let Some(concept) = resource.pointer(pointer) else {
        return String::new();
    };
    let code = text(concept, "/coding/0/code");
    let display = text(concept, "/coding/0/display");
    let words = if display.is_empty() {
        text(concept, "/text")
    } else {
        display
    };
    format!("{code} {words}").trim().to_owned()
}

fn visit(encounter: &Value) -> String {
    let number = text(encounter, "/identifier/0/value");
    let class = text(encounter, "/class/code");
    let mut line = format!("{number} {}, class {class}", text(encounter, "/status"));
    let mut places = each(encounter, "location").rev();
    if let Some(place) = places.find(|place| text(place, "/status") == "active") {
        let _ = write!(line, ", at {}", text(place, "/location/display"));
    }
    let disposition = coded(encounter, "/hospitalization/dischargeDisposition");
    if !disposition.is_empty() {
        let _ = write!(line, ", discharged: {disposition}");
    }
    line
}

fn risk(resource: &Value) -> String {
    let score = each(resource, "extension")
        .find_map(|extension| extension.get("valueInteger").and_then(Value::as_i64));
    let level = text(resource, "/prediction/0/qualitativeRisk/coding/0/code");
    let method = text(resource, "/method/coding/0/code");
    // The code of the method is `lace-2010/ds-1`: the name of the score before the first dash.
    let method = method.split('-').next().unwrap_or(method).to_uppercase();
    score.map_or_else(
        || level.to_owned(),
        |score| format!("{method} {score}, {level}"),
    )
}

fn cut(line: &str) -> String {
    if line.chars().count() <= WIDTH {
        return line.trim_end().to_owned();
    }
    let head: String = line.chars().take(WIDTH - 3).collect();
    format!("{}...", head.trim_end())
}

#[cfg(test)]
mod tests {
    use chrono_tz::America::New_York;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(resource: Value, expected: &str) {
        let page = Page::new(New_York, Box::new(|_| {}));
        let at = DateTime::parse_from_rfc3339("2026-09-04T20:12:05Z").unwrap();
        let change = Change {
            at,
            is_new: true,
            resource,
        };
        let line = page.change(&change).map(|(_, line)| line);
        assert_eq!(line.unwrap_or_default(), expected);
    }

    #[test]
    fn a_resource_is_a_line() {
        check(json!({ "resourceType": "Provenance" }), "");
        check(
            json!({
                "resourceType": "Task",
                "status": "requested",
                "priority": "urgent",
                "code": { "coding": [{ "code": "interactive-contact" }] },
                "restriction": { "period": { "end": "2026-09-10T03:59:59Z" } },
            }),
            "new Task           interactive-contact       requested               \
             due Wed 9 Sep, urgent",
        );
        check(
            json!({
                "resourceType": "Task",
                "status": "cancelled",
                "statusReason": { "coding": [{ "code": "superseded" }] },
                "code": { "coding": [{ "code": "inpatient-coordination" }] },
            }),
            "new Task           inpatient-coordination    cancelled: superseded",
        );
        check(
            json!({
                "resourceType": "RiskAssessment",
                "extension": [{ "valueInteger": 12 }],
                "method": { "coding": [{ "code": "lace-2010/ds-1" }] },
                "prediction": [{ "qualitativeRisk": { "coding": [{ "code": "high" }] } }],
            }),
            "new RiskAssessment LACE 12, high",
        );
        check(
            json!({ "resourceType": "Basic", "status": "active" }),
            "new Basic          active",
        );
    }

    #[test]
    fn a_long_line_is_cut() {
        let line = "x".repeat(WIDTH + 1);
        assert_eq!(cut(&line).chars().count(), WIDTH);
        assert_eq!(cut("short "), "short");
    }
}
