//! The trigger events of ADT messages (table 0003), and what each does to a visit.

/// What an event does to the visit that its message names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Movement {
    /// A05: the visit is planned.
    Preadmit,
    /// A01: the patient is admitted.
    Admit,
    /// A04: the patient has come (emergency, outpatient, observation at some sites).
    Register,
    /// A06, A07: the patient class changes.
    ChangeClass,
    /// A02: the patient lies elsewhere.
    Transfer,
    /// A12: the transfer is taken back.
    CancelTransfer,
    /// A08: a snapshot of what is known; never moves a visit backwards.
    Update,
    /// A03: the visit ends.
    Discharge,
    /// A13: the discharge is taken back.
    CancelDischarge,
    /// A11: the admission or registration is taken back.
    CancelAdmit,
    /// A38: the plan is taken back.
    CancelPreadmit,
    /// A21: the patient is away for a time; not a discharge.
    LeaveOfAbsence,
    /// A22, A52: the patient is back, or never left.
    ReturnFromLeave,
    /// A28, A31: about the person; no visit.
    Person,
}

/// An event that Baton acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TriggerEvent {
    /// The code.
    pub code: &'static str,
    /// What it does.
    pub movement: Movement,
    /// Which of two messages of the same second comes first: the lower rank.
    pub rank: u8,
    /// The display of the code.
    pub display: &'static str,
}

const fn row(
    code: &'static str,
    movement: Movement,
    rank: u8,
    display: &'static str,
) -> TriggerEvent {
    TriggerEvent {
        code,
        movement,
        rank,
        display,
    }
}

/// The events that Baton acts on, sorted by code.
#[rustfmt::skip]
pub const ACTED_ON: &[TriggerEvent] = &[
    row("A01", Movement::Admit, 2, "ADT/ACK - Admit/visit notification"),
    row("A02", Movement::Transfer, 4, "ADT/ACK - Transfer a patient"),
    row("A03", Movement::Discharge, 7, "ADT/ACK - Discharge/end visit"),
    row("A04", Movement::Register, 1, "ADT/ACK - Register a patient"),
    row("A05", Movement::Preadmit, 0, "ADT/ACK - Pre-admit a patient"),
    row("A06", Movement::ChangeClass, 3, "ADT/ACK - Change an outpatient to an inpatient"),
    row("A07", Movement::ChangeClass, 3, "ADT/ACK - Change an inpatient to an outpatient"),
    row("A08", Movement::Update, 5, "ADT/ACK - Update patient information"),
    row("A11", Movement::CancelAdmit, 9, "ADT/ACK - Cancel admit/visit notification"),
    row("A12", Movement::CancelTransfer, 5, "ADT/ACK - Cancel transfer"),
    row("A13", Movement::CancelDischarge, 8, "ADT/ACK - Cancel discharge/end visit"),
    row("A21", Movement::LeaveOfAbsence, 5, "ADT/ACK - Patient goes on a \"leave of absence\""),
    row("A22", Movement::ReturnFromLeave, 6, "ADT/ACK - Patient returns from a \"leave of absence\""),
    row("A28", Movement::Person, 5, "ADT/ACK - Add person information"),
    row("A31", Movement::Person, 5, "ADT/ACK - Update person information"),
    row("A38", Movement::CancelPreadmit, 9, "ADT/ACK - Cancel pre-admit"),
    row("A52", Movement::ReturnFromLeave, 6, "ADT/ACK - Cancel leave of absence for a patient"),
];

/// Events of ADT messages that are acknowledged and kept but not acted on, sorted.
#[rustfmt::skip]
const NOT_ACTED_ON: &[&str] = &[
    "A09", "A10", "A14", "A15", "A16", "A17", "A18", "A20", "A23", "A24", "A25", "A26", "A27",
    "A29", "A30", "A32", "A33", "A34", "A35", "A36", "A37", "A39", "A40", "A41", "A42", "A43",
    "A44", "A45", "A46", "A47", "A48", "A49", "A50", "A51", "A53", "A54", "A55", "A60", "A61",
    "A62",
];

/// How Baton stands to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has effects.
    ActedOn {
        /// Whether it speaks of a visit.
        is_visit: bool,
    },
    /// It is acknowledged and kept.
    NotActedOn,
    /// Table 0003 has no such event for ADT.
    Unknown,
}

/// How Baton stands to the event with this code.
pub fn standing(code: &str) -> Standing {
    match find(code) {
        Some(event) => Standing::ActedOn {
            is_visit: event.movement != Movement::Person,
        },
        None if NOT_ACTED_ON.binary_search(&code).is_ok() => Standing::NotActedOn,
        None => Standing::Unknown,
    }
}

/// The event with this code, if Baton acts on it.
pub fn find(code: &str) -> Option<&'static TriggerEvent> {
    let index = ACTED_ON
        .binary_search_by(|event| event.code.cmp(code))
        .ok()?;
    ACTED_ON.get(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_disjoint() {
        assert!(ACTED_ON.is_sorted_by_key(|event| event.code));
        assert!(NOT_ACTED_ON.is_sorted());
        assert!(NOT_ACTED_ON.iter().all(|code| find(code).is_none()));
    }

    #[test]
    fn events_stand_as_the_table_says() {
        assert_eq!(standing("A03"), Standing::ActedOn { is_visit: true });
        assert_eq!(standing("A31"), Standing::ActedOn { is_visit: false });
        assert_eq!(standing("A40"), Standing::NotActedOn);
        assert_eq!(standing("A0X"), Standing::Unknown);
        assert_eq!(standing(""), Standing::Unknown);
    }
}
