//! The care organisation RPC, its patients, and what its care managers see and do.

use serde_json::{Value, json};

use crate::support::hospital::{GENHOSP, HARBORBH, LAKEHOSP, OAKSNF, Site};
use crate::support::server::{Baton, each};

const BATON: &str = "http://baton.health/fhir";
/// The first and the last day of daylight saving time in 2026.
const DAYLIGHT_SAVING: (&str, &str) = ("2026-03-08", "2026-10-31");

/// The configuration of the scenarios: the organisation and its four feeds.
pub(crate) fn settings() -> String {
    let organisation = "[care_organisation]\nname = \"RPC\"\nzone = \"America/New_York\"\n";
    let feeds = [&GENHOSP, &LAKEHOSP, &OAKSNF, &HARBORBH].map(Site::settings);
    format!("{organisation}{}", feeds.concat())
}

/// The end of a day in New York, as FHIR writes it.
pub(crate) fn end_of(day: &str) -> String {
    let (first, last) = DAYLIGHT_SAVING;
    let offset = if (first..=last).contains(&day) {
        "-04:00"
    } else {
        "-05:00"
    };
    format!("{day}T23:59:59{offset}")
}

/// A patient of the panel.
pub(crate) struct Patient<'b> {
    baton: &'b Baton,
    pub(crate) id: String,
}

impl<'b> Patient<'b> {
    /// A patient on the panel from 2026-01-01, screened for social needs now, with conditions.
    pub(crate) async fn on_panel(
        baton: &'b Baton,
        site: &Site,
        number: &str,
        conditions: &[&str],
    ) -> Self {
        let patient = baton
            .create(&json!({
                "resourceType": "Patient",
                "identifier": [{ "system": site.patients, "value": number }],
                "active": true,
                "name": [{ "family": "Example", "given": [format!("Patient{number}")] }],
                "gender": "female",
                "birthDate": "1950-01-31",
            }))
            .await;
        Self::join_panel(baton, &patient, conditions).await
    }

    /// Puts somebody on the panel, screened for social needs now, with conditions.
    pub(crate) async fn join_panel(baton: &'b Baton, patient: &Value, conditions: &[&str]) -> Self {
        let id = patient["id"].as_str().unwrap().to_owned();
        let reference = json!({ "reference": format!("Patient/{id}") });
        baton
            .create(&json!({
                "resourceType": "QuestionnaireResponse",
                "questionnaire": "http://loinc.org/q/96777-8",
                "status": "completed",
                "subject": reference,
                "authored": baton.now().await,
            }))
            .await;
        for code in conditions {
            baton
                .create(&json!({
                    "resourceType": "Condition",
                    "clinicalStatus": { "coding": [{
                        "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                        "code": "active",
                    }] },
                    "code": { "coding": [{
                        "system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code,
                    }] },
                    "subject": reference,
                }))
                .await;
        }
        baton
            .create(&json!({
                "resourceType": "Group",
                "type": "person",
                "actual": true,
                "code": { "coding": [{
                    "system": format!("{BATON}/CodeSystem/group-type"), "code": "panel",
                }] },
                "member": [{ "entity": reference, "period": { "start": "2026-01-01" } }],
            }))
            .await;
        baton.settle().await;
        Self { baton, id }
    }

    /// A patient whom an earlier server knew.
    pub(crate) fn known(baton: &'b Baton, id: String) -> Self {
        Self { baton, id }
    }

    pub(crate) fn reference(&self) -> String {
        format!("Patient/{}", self.id)
    }

    /// All Tasks of the patient.
    pub(crate) async fn tasks(&self) -> Vec<Value> {
        self.baton
            .search(&format!("Task?patient={}", self.id))
            .await
    }

    /// The Tasks of the patient with this code.
    pub(crate) async fn tasks_of(&self, code: &str) -> Vec<Value> {
        let mut tasks = self.tasks().await;
        tasks.retain(|task| task_code(task) == code);
        tasks
    }

    /// Asserts the Tasks with these codes, and that there are no others with them. A line is
    /// `code status (reason) day`, without the parentheses where there is no `statusReason`; the
    /// day stands for its end in New York.
    pub(crate) async fn check_tasks(&self, codes: &[&str], expected: &[&str]) {
        let mut tasks = self.tasks().await;
        tasks.retain(|task| codes.contains(&task_code(task)));
        check_lines(&tasks, expected);
    }

    /// The pathway of a plan that began with this visit, by its number.
    pub(crate) fn pathway(&self, plan: &str, encounter: &Value, number: u32) -> Pathway<'_> {
        Pathway {
            baton: self.baton,
            patient: self,
            encounter: format!("Encounter/{}", encounter["id"].as_str().unwrap()),
            name: format!("{plan}/{}/{number}", encounter["id"].as_str().unwrap()),
        }
    }

    pub(crate) async fn flags(&self) -> Vec<String> {
        let flags = self
            .baton
            .search(&format!("Flag?patient={}", self.id))
            .await;
        flags
            .iter()
            .map(|flag| text(flag, "/code/coding/0/code").to_owned())
            .collect()
    }
}

/// The one Encounter with this visit number.
pub(crate) async fn encounter(baton: &Baton, site: &Site, visit: &str) -> Value {
    let mut found = baton
        .search(&format!("Encounter?identifier={}|{visit}", site.visits))
        .await;
    assert_eq!(found.len(), 1, "Encounters {visit}");
    found.remove(0)
}

/// What a discharge to the community starts, by the days of its due instants.
pub(crate) struct Core<'a> {
    /// Day of the discharge, day zero.
    pub(crate) discharged: &'a str,
    pub(crate) info: &'a str,
    pub(crate) contact: &'a str,
    /// Of the visit and of the reconciliation of medications.
    pub(crate) visit: &'a str,
    /// The end of the thirty days.
    pub(crate) closeout: &'a str,
    /// LACE.
    pub(crate) score: u64,
    pub(crate) risk: &'a str,
}

/// One run of a plan for one visit.
pub(crate) struct Pathway<'p> {
    baton: &'p Baton,
    patient: &'p Patient<'p>,
    encounter: String,
    /// Value of its identifier.
    name: String,
}

impl Pathway<'_> {
    pub(crate) async fn tasks(&self) -> Vec<Value> {
        let query = format!(
            "Task?group-identifier={BATON}/identifier/pathway|{}",
            self.name
        );
        self.baton.search(&query).await
    }

    pub(crate) async fn task(&self, code: &str) -> Value {
        let mut tasks = self.tasks().await;
        tasks.retain(|task| task_code(task) == code);
        assert_eq!(tasks.len(), 1, "Tasks {code} of {}", self.name);
        tasks.remove(0)
    }

    /// Asserts all Tasks of the pathway, a line each as in [`Patient::check_tasks`].
    pub(crate) async fn check(&self, expected: &[&str]) {
        check_lines(&self.tasks().await, expected);
    }

    pub(crate) async fn care_plan(&self) -> Value {
        self.one("CarePlan").await
    }

    pub(crate) async fn episode(&self) -> Value {
        self.one("EpisodeOfCare").await
    }

    /// Status of CarePlan and EpisodeOfCare.
    pub(crate) async fn status(&self) -> (String, String) {
        let (plan, episode) = (self.care_plan().await, self.episode().await);
        (
            text(&plan, "/status").to_owned(),
            text(&episode, "/status").to_owned(),
        )
    }

    async fn one(&self, resource_type: &str) -> Value {
        let identifier = format!("{BATON}/identifier/pathway|{}", self.name);
        let query = format!("{resource_type}?identifier={identifier}");
        let mut found = self.baton.search(&query).await;
        assert_eq!(found.len(), 1, "{query}");
        found.remove(0)
    }

    /// Asserts the core five as they begin, with CarePlan, EpisodeOfCare and RiskAssessment.
    pub(crate) async fn check_core(&self, core: &Core<'_>) {
        let lines = [
            ("discharge-info", core.info),
            ("interactive-contact", core.contact),
            ("medication-reconciliation", core.visit),
            ("face-to-face", core.visit),
            ("tcm-closeout", core.closeout),
        ]
        .map(|(code, day)| format!("{code} requested {day}"));
        self.check(&lines.each_ref().map(String::as_str)).await;

        let (plan, episode) = (self.care_plan().await, self.episode().await);
        let plan_reference = format!("CarePlan/{}", text(&plan, "/id"));
        for task in self.tasks().await {
            assert_eq!(task["intent"], "order");
            assert_eq!(text(&task, "/for/reference"), self.patient.reference());
            assert_eq!(text(&task, "/encounter/reference"), self.encounter);
            assert_eq!(text(&task, "/basedOn/0/reference"), plan_reference);
        }
        assert_eq!(plan["status"], "active");
        assert_eq!(plan["intent"], "plan");
        assert_eq!(
            plan["period"],
            json!({ "start": core.discharged, "end": core.closeout })
        );
        assert_eq!(text(&plan, "/subject/reference"), self.patient.reference());
        assert_eq!(text(&plan, "/encounter/reference"), self.encounter);
        assert_eq!(episode["status"], "active");
        assert_eq!(episode["period"]["start"], core.discharged);
        assert_eq!(
            text(&episode, "/patient/reference"),
            self.patient.reference()
        );

        let risk = self.one("RiskAssessment").await;
        let score = each(&risk, "extension")
            .find(|extension| extension["url"] == format!("{BATON}/StructureDefinition/score"));
        assert_eq!(score.unwrap()["valueInteger"], core.score, "LACE");
        assert_eq!(text(&risk, "/method/coding/0/code"), "lace-2010/ds-1");
        assert_eq!(
            text(&risk, "/prediction/0/qualitativeRisk/coding/0/code"),
            core.risk
        );
    }

    /// Somebody tried to reach the patient by phone: `completed`, or `stopped` with a reason.
    pub(crate) async fn call(&self, status: &str, reason: Option<&str>, sent: &str) {
        self.baton.clock(sent).await;
        let contact = self.task("interactive-contact").await;
        let patient = json!({ "reference": self.patient.reference() });
        let mut communication = json!({
            "resourceType": "Communication",
            "status": status,
            "basedOn": [{ "reference": format!("Task/{}", text(&contact, "/id")) }],
            "category": [{ "text": "outreach" }],
            "medium": [{ "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode",
                "code": "PHONE",
            }] }],
            "subject": patient,
            "recipient": [patient],
            "sent": sent,
        });
        if let Some(reason) = reason {
            communication["statusReason"] = json!({ "text": reason });
        }
        self.baton.create(&communication).await;
        self.baton.settle().await;
    }

    /// The patient was seen at the practice.
    pub(crate) async fn office_visit(&self, at: &str, decision_making: &str) {
        self.baton.clock(at).await;
        let episode = self.episode().await;
        let visit = json!({
            "resourceType": "Encounter",
            "status": "finished",
            "class": {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB",
            },
            "extension": [{
                "url": format!("{BATON}/StructureDefinition/medical-decision-making"),
                "valueCode": decision_making,
            }],
            "subject": { "reference": self.patient.reference() },
            "episodeOfCare": [{ "reference": format!("EpisodeOfCare/{}", text(&episode, "/id")) }],
            "period": { "start": at },
        });
        self.baton.create(&visit).await;
        self.baton.settle().await;
    }

    /// Medications were reconciled on this day.
    pub(crate) async fn reconcile_medications(&self, day: &str) {
        let output = json!([{
            "type": { "coding": [{
                "system": format!("{BATON}/CodeSystem/care-task-parameter"),
                "code": "medication-reconciliation-date",
            }] },
            "valueDate": day,
        }]);
        self.complete("medication-reconciliation", Some(output))
            .await;
    }

    /// Somebody completes a Task.
    pub(crate) async fn complete(&self, code: &str, output: Option<Value>) {
        let mut task = self.task(code).await;
        task["status"] = json!("completed");
        if let Some(output) = output {
            task["output"] = output;
        }
        let path = format!("/Task/{}", text(&task, "/id"));
        let version = format!("W/\"{}\"", text(&task, "/meta/versionId"));
        let request = self
            .baton
            .request(&format!("PUT {path}"))
            .header("If-Match", &version);
        request.json(&task).send().await.expect(200);
        self.baton.settle().await;
    }

    /// The codes of a Task's output of this type.
    pub(crate) async fn output(&self, code: &str, output: &str) -> Vec<String> {
        let task = self.task(code).await;
        outputs(&task, output)
            .map(|output| text(output, "/valueCoding/code").to_owned())
            .collect()
    }

    /// `Task.businessStatus`.
    pub(crate) async fn business_status(&self, code: &str) -> String {
        text(&self.task(code).await, "/businessStatus/coding/0/code").to_owned()
    }
}

/// The outputs of a Task of this type.
pub(crate) fn outputs<'a>(task: &'a Value, code: &str) -> impl Iterator<Item = &'a Value> {
    each(task, "output").filter(move |output| text(output, "/type/coding/0/code") == code)
}

#[track_caller]
fn check_lines(tasks: &[Value], expected: &[&str]) {
    let mut found: Vec<String> = tasks.iter().map(line).collect();
    let mut expected: Vec<String> = expected
        .iter()
        .map(|line| {
            let (head, day) = line.rsplit_once(' ').unwrap();
            format!("{head} {}", end_of(day))
        })
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

fn line(task: &Value) -> String {
    let reason = match text(task, "/statusReason/coding/0/code") {
        "" => String::new(),
        reason => format!(" ({reason})"),
    };
    let due = text(task, "/restriction/period/end");
    format!(
        "{} {}{reason} {due}",
        task_code(task),
        text(task, "/status")
    )
}

fn task_code(task: &Value) -> &str {
    text(task, "/code/coding/0/code")
}

/// A text, empty where there is none.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
