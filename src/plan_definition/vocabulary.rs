//! The names of our own conformance resources in `fhir-profiles/baton`: one base, and under it
//! every canonical, system and code that the pathways write.

/// The canonical base of everything that is ours.
pub const BASE: &str = "http://baton.health/fhir";

/// `identifier.system` and `groupIdentifier.system` of a pathway instance. The value is
/// `{plan id}/{Encounter id}/{number}`.
pub const PATHWAY_IDENTIFIER: &str = "http://baton.health/fhir/identifier/pathway";

/// CodeSystem: `Task.code`.
pub const CARE_TASK: &str = "http://baton.health/fhir/CodeSystem/care-task";
/// Task: two-way contact within two business days.
pub const INTERACTIVE_CONTACT: &str = "interactive-contact";
/// Task: medications reconciled no later than the visit.
pub const MEDICATION_RECONCILIATION: &str = "medication-reconciliation";
/// Task: the visit within 7 or 14 days.
pub const FACE_TO_FACE: &str = "face-to-face";
/// Task: home or nursing facility?
pub const CONFIRM_SETTING: &str = "confirm-setting";
/// Task: the end of the thirty days.
pub const TCM_CLOSEOUT: &str = "tcm-closeout";
/// CodeSystem: `Task.businessStatus` and `Task.statusReason`.
pub const CARE_TASK_STATUS: &str = "http://baton.health/fhir/CodeSystem/care-task-status";
/// CodeSystem: `Task.input.type` and `Task.output.type`.
pub const CARE_TASK_PARAMETER: &str = "http://baton.health/fhir/CodeSystem/care-task-parameter";
/// CodeSystem: what a Task or a pathway came to.
pub const CARE_TASK_RESULT: &str = "http://baton.health/fhir/CodeSystem/care-task-result";
/// CodeSystem: `EpisodeOfCare.type` and `CarePlan.category`.
pub const PATHWAY_TYPE: &str = "http://baton.health/fhir/CodeSystem/pathway-type";
/// CodeSystem: `Flag.code`.
pub const CARE_FLAG: &str = "http://baton.health/fhir/CodeSystem/care-flag";

/// Extension: when an action is due.
pub const DUE_RULE: &str = "http://baton.health/fhir/StructureDefinition/due-rule";
/// Extension: the number of a RiskAssessment.
pub const SCORE: &str = "http://baton.health/fhir/StructureDefinition/score";
/// Extension: why an EpisodeOfCare or a CarePlan has its status, and which Encounter caused it.
pub const PATHWAY_STATUS_REASON: &str =
    "http://baton.health/fhir/StructureDefinition/pathway-status-reason";
/// Extension: what a Task on hold goes back to.
pub const HELD_STATUS: &str = "http://baton.health/fhir/StructureDefinition/held-status";
/// Extension: when we learnt of the admission (TRC-NIA).
pub const ADMISSION_NOTIFICATION: &str =
    "http://baton.health/fhir/StructureDefinition/admission-notification";
/// Extension: level of medical decision making of a face-to-face Encounter.
pub const MEDICAL_DECISION_MAKING: &str =
    "http://baton.health/fhir/StructureDefinition/medical-decision-making";

/// Profile of CarePlan.
pub const TCM_CARE_PLAN: &str = "http://baton.health/fhir/StructureDefinition/tcm-careplan";
/// Profile of Goal.
pub const TCM_GOAL: &str = "http://baton.health/fhir/StructureDefinition/tcm-goal";
/// Profile of EpisodeOfCare.
pub const TCM_EPISODE_OF_CARE: &str =
    "http://baton.health/fhir/StructureDefinition/tcm-episodeofcare";
/// Profile of Task.
pub const TCM_TASK: &str = "http://baton.health/fhir/StructureDefinition/tcm-task";

/// PlanDefinition of the thirty days after a discharge home.
pub const TCM_30: &str = "http://baton.health/fhir/PlanDefinition/tcm-30";
/// PlanDefinition of the notice of an admission.
pub const ADMISSION_WATCH: &str = "http://baton.health/fhir/PlanDefinition/admission-watch";
/// PlanDefinition of the follow-up of an emergency visit.
pub const ED_FOLLOW_UP: &str = "http://baton.health/fhir/PlanDefinition/ed-follow-up";

/// `RiskAssessment.method` code of our LACE.
pub const LACE_METHOD: &str = "lace-2010/ds-1";
/// CodeSystem of [`LACE_METHOD`].
pub const RISK_METHOD: &str = "http://baton.health/fhir/CodeSystem/risk-method";
/// CPT, for the two codes of transitional care.
pub const CPT: &str = "http://www.ama-assn.org/go/cpt";
