//! The story of the demo: ten days of a hospital's feed around Labor Day 2026, and two telephone
//! calls of a care manager.
//!
//! The messages are in `feed.hl7`; here stands when each arrives and what it means to a reader. A
//! step that the server has seen (its records are as new) is not told again, so a demo that was
//! interrupted goes on where it stopped.

use std::collections::HashMap;

use anyhow::{Context as _, ensure};
use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};

use crate::cli::demo::client::{Client, Time, each, text};
use crate::cli::demo::page::{Page, is_open, name, status};
use crate::cli::demo::panel;
use crate::plan_definition::vocabulary::CARE_TASK;

/// The messages, one after another.
const FEED: &str = include_str!("feed.hl7");
/// When the story begins: the panel is loaded.
const START: &str = "2026-08-31T06:00:00-04:00";
/// When it ends: a Wednesday morning, with things to do.
const END: &str = "2026-09-09T08:00:00-04:00";
/// Most Tasks on the worklist.
const WORKLIST_MAX: usize = 500;
/// The statuses of Tasks on the worklist.
const WORKLIST: &str = "requested,received,accepted,ready,in-progress,on-hold";

/// Commands for a curious reader; `{base}` is the FHIR base.
const PLACES: &str = r#"
BASE={base}

# The open Tasks of everybody, with their patients
curl "$BASE/Task?status=requested,in-progress&_include=Task:patient&_pretty=true"
# Ada Quillfeather: her visits, her care plan with its Tasks
curl "$BASE/Encounter?patient.identifier=20001&_pretty=true"
curl "$BASE/CarePlan?patient.identifier=20001&_include=CarePlan:activity-reference&_pretty=true"
# What caused what: the messages and the rules behind her Tasks
curl "$BASE/Task?patient.identifier=20001&_revinclude=Provenance:target&_pretty=true"
# Everything that changed from Friday 4 September on
curl "$BASE/_history?_since=2026-09-04T04:00:00Z&_pretty=true"
# What the server can do
curl "$BASE/metadata?_pretty=true"
# Let five days pass: timers fire on the way. Then look at the Tasks again
curl -H 'Content-Type: application/fhir+json' "$BASE/\$clock" -d '{
  "resourceType": "Parameters", "parameter": [
  { "name": "instant", "valueInstant": "2026-09-14T08:00:00-04:00" }] }'

The server goes on serving, at the end of its story. Ctrl-C stops it; records stay."#;

/// Something that happens.
struct Step {
    at: &'static str,
    act: Act,
    /// What it means, for a reader.
    words: &'static str,
}

enum Act {
    /// The hospital sends the message with this control id.
    Message(&'static str),
    /// A care manager calls a patient.
    Call(Call),
}

/// A telephone call.
struct Call {
    record_number: &'static str,
    /// `Communication.status`: completed reached the patient, stopped did not.
    status: &'static str,
    /// Why the patient was not reached.
    reason: Option<&'static str>,
}

const fn message(at: &'static str, control_id: &'static str, words: &'static str) -> Step {
    Step {
        at,
        act: Act::Message(control_id),
        words,
    }
}

const fn call(at: &'static str, call: Call, words: &'static str) -> Step {
    Step {
        at,
        act: Act::Call(call),
        words,
    }
}

/// What happens, in its order.
#[rustfmt::skip]
const STEPS: &[Step] = &[
    message("2026-08-31T08:12:05-04:00", "DEMO-01", "is admitted as an emergency"),
    message("2026-08-31T09:40:05-04:00", "DEMO-02", "is admitted for a planned operation"),
    message("2026-08-31T19:05:05-04:00", "DEMO-03", "is admitted as an emergency"),
    message("2026-09-01T10:05:05-04:00", "DEMO-04", "moves to another ward"),
    message("2026-09-01T13:30:05-04:00", "DEMO-05", "is admitted, and is on nobody's panel"),
    message("2026-09-01T21:40:05-04:00", "DEMO-06", "comes to the emergency department"),
    message("2026-09-02T01:25:05-04:00", "DEMO-07", "is treated there and goes home"),
    message("2026-09-02T09:00:05-04:00", "DEMO-08", "comes to the emergency department"),
    message("2026-09-02T14:30:05-04:00", "DEMO-09", "is admitted from there: the same visit goes on"),
    message("2026-09-03T11:02:05-04:00", "DEMO-10", "goes home, says the hospital"),
    message("2026-09-03T14:15:05-04:00", "DEMO-11", "stays: that discharge is cancelled"),
    message("2026-09-03T23:58:05-04:00", "DEMO-12", "goes home on Thursday, just before midnight"),
    message("2026-09-04T10:10:05-04:00", "DEMO-13", "left after midnight, on Friday: a correction"),
    message("2026-09-04T16:12:05-04:00", "DEMO-14", "goes home on the Friday before Labor Day"),
    message("2026-09-04T16:12:35-04:00", "DEMO-14", "the same bytes again: an answer got lost"),
    message("2026-09-04T17:30:05-04:00", "DEMO-15", "says a sender that nobody configured"),
    message("2026-09-05T10:03:05-04:00", "DEMO-16", "goes home now, with home health"),
    call("2026-09-05T11:00:00-04:00",
        Call { record_number: "20001", status: "stopped", reason: Some("voicemail") },
        "is called, and does not answer"),
    message("2026-09-08T12:03:05-04:00", "DEMO-17", "goes home on Tuesday"),
    call("2026-09-08T15:20:00-04:00",
        Call { record_number: "20001", status: "completed", reason: None },
        "is called, and reached"),
];

/// When the story begins.
pub(super) fn start() -> anyhow::Result<Time> {
    time(START)
}

/// Tells the story to a reader and a server.
pub(super) struct Story {
    client: Client,
    page: Page,
    /// How far the clock is.
    now: Time,
    /// The day whose heading was printed last.
    day: String,
    /// Names of patients by logical id, as the server knows them.
    names: HashMap<String, String>,
}

impl Story {
    pub(super) fn new(client: Client, page: Page) -> anyhow::Result<Self> {
        Ok(Self {
            client,
            page,
            now: start()?,
            day: String::new(),
            names: HashMap::new(),
        })
    }

    /// Says what is going on; loads the panel, or finds it.
    pub(super) async fn open(&mut self, database: &str) -> anyhow::Result<()> {
        let base = self.client.base().to_owned();
        self.page.heading("Baton, demo");
        self.page.print(&format!(
            "FHIR R4   {base}\nrecords   {database}\n\n\
             The people and the hospital are invented. THE CLOCK OF THIS SERVER IS HELD BY HAND, in\n\
             a week of 2026; times are those of {}.",
            self.page.zone()
        ));
        let (system, value) = panel::PANEL;
        match self
            .count(&format!("Group?identifier={system}%7C{value}"))
            .await?
        {
            0 => self.load_panel().await,
            _ => self.find_panel().await,
        }
    }

    /// Loads the panel into an empty store; the records of anybody else are left alone.
    async fn load_panel(&mut self) -> anyhow::Result<()> {
        ensure!(
            self.count("Patient?").await? == 0,
            "the database holds patients that are not the demo's; give the demo one of its own: \
             baton demo --data FOLDER"
        );
        self.day_of(self.now);
        self.page.event(
            self.now,
            "FHIR",
            "the panel",
            "is loaded by one transaction",
        );
        let answer = self.client.post("", &panel::transaction()).await?;
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for entry in each(&answer, "entry") {
            let location = text(entry, "/response/location");
            let kind = location
                .split("/_history")
                .next()
                .and_then(|key| key.rsplit('/').nth(1));
            let kind = kind.unwrap_or_default();
            match counts.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, count)) => *count += 1,
                None => counts.push((kind, 1)),
            }
        }
        let counts: Vec<String> = counts
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        self.page.below(&format!("created {}", counts.join(", ")));
        Ok(())
    }

    async fn count(&self, query: &str) -> anyhow::Result<u64> {
        let found = self.client.get(&format!("{query}&_summary=count")).await?;
        let total = found.get("total").and_then(Value::as_u64);
        total.context("a count has a total")
    }

    /// The records of an earlier run: the clock goes on where they end.
    async fn find_panel(&mut self) -> anyhow::Result<()> {
        self.now = self.client.newest_change().await?.max(self.now);
        self.client.move_clock(self.now).await?;
        let is_later = |step: &&Step| time(step.at).is_ok_and(|at| at > self.now);
        let rest = STEPS.iter().filter(is_later).count();
        self.page.print("\n");
        self.page.print(if rest == 0 {
            "The records of an earlier run are here: the feed is not sent again, the clock goes on where\n\
             they end."
        } else {
            "The records of an earlier run are here: the story goes on where it stopped."
        });
        Ok(())
    }

    /// Everything that has not happened yet.
    pub(super) async fn play(&mut self) -> anyhow::Result<()> {
        for step in STEPS {
            let at = time(step.at)?;
            if at <= self.now {
                continue;
            }
            self.pass(at).await?;
            self.day_of(at);
            match &step.act {
                Act::Message(control_id) => self.message(at, control_id, step.words).await?,
                Act::Call(call) => self.call(at, call, step.words).await?,
            }
            // What the step caused is complete when the clock answers.
            self.client.move_clock(at).await?;
            let changes = self.client.changes(at).await?;
            self.page.changes(&changes);
        }
        self.pass(time(END)?).await
    }

    /// Lets time pass; prints what the timers do on the way.
    async fn pass(&mut self, to: Time) -> anyhow::Result<()> {
        if to <= self.now {
            return Ok(());
        }
        self.client.move_clock(to).await?;
        let changes = self
            .client
            .changes(self.now + TimeDelta::milliseconds(1))
            .await?;
        self.now = to;
        let mut previous = None;
        for change in &changes {
            // A Provenance names no patient: it belongs to what was printed before it.
            let patient = patient_of(&change.resource);
            if patient.is_empty() {
                continue;
            }
            let name = self.name(patient).await?;
            self.day_of(change.at);
            if previous != Some(change.at) {
                self.page.print("\n");
            }
            self.page.timer(change, &name);
            previous = Some(change.at);
        }
        Ok(())
    }

    /// The heading of a day, when a new one begins.
    fn day_of(&mut self, at: Time) {
        let day = self.page.local(at, "%a %-d %b %Y");
        if day != self.day {
            self.page.heading(&day);
            self.day = day;
        }
    }

    async fn message(&mut self, at: Time, control_id: &str, words: &str) -> anyhow::Result<()> {
        let bytes = message_bytes(control_id)?;
        let message = hl7v2::parse(&bytes)?.message;
        let part = |location| message.get(location).unwrap_or_default().into_owned();
        let event = format!("{}^{}", part("MSH-9.1"), part("MSH-9.2"));
        let patient = format!("{} {}", part("PID-5.2"), part("PID-5.1"));
        self.page.event(at, &event, &patient, words);
        let answer = self.client.send(&bytes).await?;
        self.page.below(&format!("answered {answer}"));
        Ok(())
    }

    /// A call is about the open Task of contact, and is told by a Communication.
    async fn call(&self, at: Time, call: &Call, words: &str) -> anyhow::Result<()> {
        let (system, number) = (panel::RECORD_NUMBER, call.record_number);
        let query = format!("Patient?identifier={system}%7C{number}");
        let patients = self.client.search(&query).await?;
        let patient = patients
            .first()
            .context("the patient of the call is not known")?;
        self.page.event(at, "FHIR", &name(patient), words);
        let id = text(patient, "/id");
        let query =
            format!("Task?patient={id}&code={CARE_TASK}%7Cinteractive-contact&status={WORKLIST}");
        let tasks = self.client.search(&query).await?;
        let task = tasks
            .first()
            .context("the patient has no open Task to be called for")?;
        let communication = communication(at, call, text(task, "/id"), id);
        self.client.post("Communication", &communication).await?;
        Ok(())
    }

    async fn name(&mut self, patient: &str) -> anyhow::Result<String> {
        if let Some(name) = self.names.get(patient) {
            return Ok(name.clone());
        }
        let found = name(&self.client.get(patient).await?);
        self.names.insert(patient.to_owned(), found.clone());
        Ok(found)
    }

    /// The worklist, and where to look further.
    pub(super) async fn close(&mut self) -> anyhow::Result<()> {
        let query = format!("Task?status={WORKLIST}&_include=Task:patient&_count={WORKLIST_MAX}");
        let found = self.client.search(&query).await?;
        for patient in found
            .iter()
            .filter(|it| text(it, "/resourceType") == "Patient")
        {
            self.names
                .insert(format!("Patient/{}", text(patient, "/id")), name(patient));
        }
        let mut tasks: Vec<&Value> = found
            .iter()
            .filter(|it| text(it, "/resourceType") == "Task" && is_open(it))
            .collect();
        tasks.sort_by_key(|task| (due(task), text(task, "/priority") == "routine"));
        let rows: Vec<[String; 5]> = tasks.iter().map(|task| self.row(task)).collect();
        let now = self.client.get("$clock").await?;
        let now = time(text(&now, "/parameter/0/valueInstant"))?;
        let overdue = tasks
            .iter()
            .filter(|task| due(task).is_some_and(|due| due < now))
            .count();
        let now = self.page.local(now, "%a %-d %b %Y %H:%M");
        self.page
            .heading(&format!("The worklist on {now}, {}", self.page.zone()));
        self.page
            .table(["DUE", "PATIENT", "TASK", "STATUS", "PRIORITY"], &rows);
        self.page
            .print(&format!("\n{} open Tasks, {overdue} past due", tasks.len()));
        self.page.heading("Where to look");
        self.page.print(&places(self.client.base()));
        Ok(())
    }

    fn row(&self, task: &Value) -> [String; 5] {
        let name = self
            .names
            .get(patient_of(task))
            .cloned()
            .unwrap_or_default();
        [
            self.page.minute(text(task, "/restriction/period/end")),
            name,
            text(task, "/code/coding/0/display").to_owned(),
            status(task),
            text(task, "/priority").to_owned(),
        ]
    }
}

fn communication(at: Time, call: &Call, task: &str, patient: &str) -> Value {
    let patient = json!({ "reference": format!("Patient/{patient}") });
    let mut communication = json!({
        "resourceType": "Communication",
        "basedOn": [{ "reference": format!("Task/{task}") }],
        "status": call.status,
        "medium": [{ "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode",
            "code": "PHONE",
        }] }],
        "subject": patient,
        "recipient": [patient],
        "sent": at.to_rfc3339(),
    });
    if let (Some(object), Some(reason)) = (communication.as_object_mut(), call.reason) {
        object.insert("statusReason".to_owned(), json!({ "text": reason }));
    }
    communication
}

fn time(text: &str) -> anyhow::Result<Time> {
    DateTime::parse_from_rfc3339(text).with_context(|| format!("{text} is no instant"))
}

fn due(task: &Value) -> Option<Time> {
    time(text(task, "/restriction/period/end")).ok()
}

/// The reference to the patient whom a resource concerns; empty where it names none.
fn patient_of(resource: &Value) -> &str {
    ["/for/reference", "/subject/reference", "/patient/reference"]
        .iter()
        .map(|pointer| text(resource, pointer))
        .find(|reference| reference.starts_with("Patient/"))
        .unwrap_or_default()
}

/// The message with this control id, as it goes over the wire.
fn message_bytes(control_id: &str) -> anyhow::Result<Vec<u8>> {
    let mut messages = FEED.split("\n\n").map(str::trim);
    let found = messages.find(|message| message.split('|').nth(9) == Some(control_id));
    let found = found.with_context(|| format!("{control_id} is not in the feed"))?;
    Ok(found.replace('\n', "\r").into_bytes())
}

/// Commands for a curious reader.
fn places(base: &str) -> String {
    PLACES.replace("{base}", base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_are_in_the_order_of_time() {
        let mut times: Vec<Time> = STEPS.iter().map(|step| time(step.at).unwrap()).collect();
        times.insert(0, start().unwrap());
        times.push(time(END).unwrap());
        assert!(times.is_sorted_by(|earlier, later| earlier < later));
    }

    #[test]
    fn every_message_is_sent_and_well_formed() {
        let control_ids: Vec<&str> = FEED
            .split("\n\n")
            .filter_map(|message| message.split('|').nth(9))
            .collect();
        let sent: Vec<&str> = STEPS
            .iter()
            .filter_map(|step| match step.act {
                Act::Message(control_id) => Some(control_id),
                Act::Call(_) => None,
            })
            .collect();
        for control_id in control_ids {
            assert!(sent.contains(&control_id), "{control_id}");
            let parsed = hl7v2::parse(&message_bytes(control_id).unwrap()).unwrap();
            assert!(
                parsed.issues.is_empty(),
                "{control_id}: {:?}",
                parsed.issues
            );
        }
    }
}
