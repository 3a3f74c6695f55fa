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

use crate::cli::demo::client::{Change, Client, Time};
use crate::cli::demo::page::{Page, is_open, name, status, text};
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
    /// A care manager calls the patient with this record number: the Communication's status, and
    /// the reason where the patient was not reached.
    Call(&'static str, &'static str, Option<&'static str>),
}

const fn message(at: &'static str, control_id: &'static str, words: &'static str) -> Step {
    Step {
        at,
        act: Act::Message(control_id),
        words,
    }
}

const fn call(
    at: &'static str,
    record_number: &'static str,
    status: &'static str,
    reason: Option<&'static str>,
    words: &'static str,
) -> Step {
    Step {
        at,
        act: Act::Call(record_number, status, reason),
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
    message("2026-09-04T17:30:05-04:00", "DEMO-15", "of a sender that nobody configured"),
    message("2026-09-05T10:03:05-04:00", "DEMO-16", "goes home now, with home health"),
    call("2026-09-05T11:00:00-04:00", "20001", "stopped", Some("voicemail"),
        "is called, and does not answer"),
    message("2026-09-08T12:03:05-04:00", "DEMO-17", "goes home on Tuesday"),
    call("2026-09-08T15:20:00-04:00", "20001", "completed", None, "is called, and reached"),
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
    now: Option<Time>,
    /// Names of patients by logical id, as the server knows them.
    names: HashMap<String, String>,
}

impl Story {
    pub(super) fn new(client: Client, page: Page) -> Self {
        Self {
            client,
            page,
            now: None,
            names: HashMap::new(),
        }
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
        let now = match self.client.newest_change().await? {
            None => self.load_panel().await?,
            Some(newest) => self.find_panel(newest).await?,
        };
        self.now = Some(now);
        Ok(())
    }

    async fn load_panel(&self) -> anyhow::Result<Time> {
        let start = start()?;
        self.page.day(start);
        self.page.event(start, "FHIR", "", "a transaction loads the panel");
        let answer = self.client.post("", &panel::transaction()).await?;
        let locations = answer["entry"].as_array().into_iter().flatten();
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for entry in locations {
            let location = text(entry, "/response/location");
            let kind = location.split("/_history").next().and_then(|key| key.rsplit('/').nth(1));
            let kind = kind.unwrap_or_default();
            match counts.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, count)) => *count += 1,
                None => counts.push((kind, 1)),
            }
        }
        let counts: Vec<String> =
            counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        self.page.below(&format!("created {}", counts.join(", ")));
        Ok(start)
    }

    /// The records of an earlier run; those of anybody else are left alone.
    async fn find_panel(&self, newest: Time) -> anyhow::Result<Time> {
        let (system, value) = panel::PANEL;
        let query = format!("Group?identifier={system}%7C{value}&_summary=count");
        let found = self.client.get(&query).await?;
        ensure!(
            found["total"].as_u64() == Some(1),
            "the database holds records that are not the demo's; give the demo one of its own: \
             baton demo --data FOLDER"
        );
        let now = newest.max(start()?);
        self.client.move_clock(now).await?;
        let rest = STEPS.iter().filter(|step| time(step.at).is_ok_and(|at| at > now)).count();
        self.page.print("");
        self.page.print(if rest == 0 {
            "The records of an earlier run are here: the feed is not sent again."
        } else {
            "The records of an earlier run are here: the story goes on where it stopped."
        });
        Ok(now)
    }

    /// Everything that has not happened yet.
    pub(super) async fn play(&mut self) -> anyhow::Result<()> {
        for step in STEPS {
            let at = time(step.at)?;
            if self.now.is_some_and(|now| at <= now) {
                continue;
            }
            self.pass(at).await?;
            match step.act {
                Act::Message(control_id) => self.message(at, control_id, step.words).await?,
                Act::Call(record_number, status, reason) => {
                    self.call(at, record_number, status, reason, step.words).await?;
                }
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
        let Some(from) = self.now.filter(|now| *now < to) else {
            return Ok(());
        };
        self.client.move_clock(to).await?;
        let changes = self.client.changes(from + TimeDelta::milliseconds(1)).await?;
        let mut shown = from;
        let mut rest = changes.as_slice();
        while let Some(first) = rest.first() {
            let patient = patient_of(&first.resource).to_owned();
            let same = rest
                .iter()
                .take_while(|it| it.at == first.at && patient_of(&it.resource) == patient)
                .count();
            let (group, later) = rest.split_at(same);
            rest = later;
            self.timer(first.at, &patient, group, &mut shown).await?;
        }
        self.day_of(shown, to);
        self.now = Some(to);
        Ok(())
    }

    async fn timer(
        &mut self,
        at: Time,
        patient: &str,
        changes: &[Change],
        shown: &mut Time,
    ) -> anyhow::Result<()> {
        // A Provenance names no patient: it belongs to what was printed before it.
        if patient.is_empty() {
            return Ok(());
        }
        self.day_of(*shown, at);
        *shown = at;
        let name = self.name(patient).await?;
        self.page.event(at, "timer", &name, "a due instant has passed");
        self.page.changes(changes);
        Ok(())
    }

    /// The heading of a day, when a new one begins.
    fn day_of(&self, before: Time, at: Time) {
        let day = |at| self.page.local(at, "%F");
        if day(before) != day(at) {
            self.page.day(at);
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

    async fn call(
        &mut self,
        at: Time,
        record_number: &str,
        status: &str,
        reason: Option<&str>,
        words: &str,
    ) -> anyhow::Result<()> {
        let query = format!("Patient?identifier={}%7C{record_number}", panel::RECORD_NUMBER);
        let patients = self.client.search(&query).await?;
        let patient = patients.first().context("the patient of the call is not known")?;
        let id = text(patient, "/id");
        let query = format!(
            "Task?patient={id}&code={CARE_TASK}%7Cinteractive-contact&status={WORKLIST}"
        );
        let tasks = self.client.search(&query).await?;
        let task = tasks.first().context("the patient has no open Task to be called for")?;
        self.page.event(at, "FHIR", &name(patient), words);
        let mut communication = json!({
            "resourceType": "Communication",
            "basedOn": [{ "reference": format!("Task/{}", text(task, "/id")) }],
            "status": status,
            "medium": [{ "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode",
                "code": "PHONE",
            }] }],
            "subject": { "reference": format!("Patient/{id}") },
            "recipient": [{ "reference": format!("Patient/{id}") }],
            "sent": at.to_rfc3339(),
        });
        if let Some(reason) = reason {
            communication["statusReason"] = json!({ "text": reason });
        }
        self.client.post("Communication", &communication).await.map(|_| ())
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
        for patient in found.iter().filter(|it| text(it, "/resourceType") == "Patient") {
            self.names.insert(format!("Patient/{}", text(patient, "/id")), name(patient));
        }
        let mut tasks: Vec<&Value> = found
            .iter()
            .filter(|it| text(it, "/resourceType") == "Task" && is_open(it))
            .collect();
        tasks.sort_by_key(|task| (due(task), text(task, "/priority") == "routine"));
        let rows: Vec<[String; 5]> = tasks.iter().map(|task| self.row(task)).collect();
        let now = self.client.get("$clock").await?;
        let now = time(text(&now, "/parameter/0/valueInstant"))?;
        let now = self.page.local(now, "%a %-d %b %Y %H:%M");
        self.page.heading(&format!("The worklist on {now}, {}", self.page.zone()));
        self.page.table(["DUE", "PATIENT", "TASK", "STATUS", "PRIORITY"], &rows);
        self.page.heading("Where to look");
        let patient = tasks.first().map(|task| patient_of(task)).unwrap_or_default();
        self.page.print(&places(self.client.base(), patient));
        Ok(())
    }

    fn row(&self, task: &Value) -> [String; 5] {
        let name = self.names.get(patient_of(task)).cloned().unwrap_or_default();
        [
            self.page.written(text(task, "/restriction/period/end")),
            name,
            text(task, "/code/coding/0/display").to_owned(),
            status(task),
            text(task, "/priority").to_owned(),
        ]
    }
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
fn places(base: &str, patient: &str) -> String {
    let id = patient.trim_start_matches("Patient/");
    format!(
        "The open Tasks of everybody, with their patients:\n\
         curl '{base}/Task?status={WORKLIST}&_include=Task:patient&_pretty=true'\n\
         One patient: visits, care plans with their Tasks, what caused what:\n\
         curl '{base}/Encounter?patient={id}&_pretty=true'\n\
         curl '{base}/CarePlan?patient={id}&_include=CarePlan:activity-reference&_pretty=true'\n\
         curl '{base}/Provenance?patient={id}&_pretty=true'\n\
         Everything that changed on Friday 4 September:\n\
         curl '{base}/_history?_since=2026-09-04T04:00:00Z&_pretty=true'\n\
         What the server can do:\n\
         curl '{base}/metadata?_pretty=true'\n\
         Let five days pass; timers fire on the way:\n\
         curl -H 'Content-Type: application/fhir+json' '{base}/$clock' -d '{{\n  \
           \"resourceType\": \"Parameters\", \"parameter\": [\n  \
           {{ \"name\": \"instant\", \"valueInstant\": \"2026-09-14T08:00:00-04:00\" }}] }}'\n\
         \nThe server goes on serving; Ctrl-C stops it."
    )
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
        let control_ids: Vec<&str> =
            FEED.split("\n\n").filter_map(|message| message.split('|').nth(9)).collect();
        let sent: Vec<&str> = STEPS
            .iter()
            .filter_map(|step| match step.act {
                Act::Message(control_id) => Some(control_id),
                Act::Call(..) => None,
            })
            .collect();
        for control_id in control_ids {
            assert!(sent.contains(&control_id), "{control_id}");
            let parsed = hl7v2::parse(&message_bytes(control_id).unwrap()).unwrap();
            assert!(parsed.issues.is_empty(), "{control_id}: {:?}", parsed.issues);
        }
    }
}
