//! Where a patient goes when a visit ends: NUBC patient discharge status (UB-04 FL17, HL7 table
//! 0112) as one decision table.
//!
//! The table gives the group that pathways decide by and the FHIR
//! [discharge-disposition](http://terminology.hl7.org/CodeSystem/discharge-disposition) code that
//! the Encounter carries. Local codes of a feed ("HOME", "SNF") are mapped to NUBC codes by that
//! feed's configuration before they come here.

/// The system of the two-digit codes in [`ROWS`].
pub const NUBC_SYSTEM: &str = "https://www.nubc.org/CodeSystem/PatDischargeStatus";
/// The system of [`Row::fhir`].
pub const FHIR_SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/discharge-disposition";

/// What a disposition means for a pathway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Group {
    /// Home, with or without services.
    Community,
    /// Left against medical advice: home, but flagged.
    CommunityAma,
    /// Custodial care: assisted living (community) or a nursing facility (not); a person asks.
    Ambiguous,
    /// A post-acute facility.
    Facility,
    /// Another hospital: the stay goes on elsewhere.
    Transfer,
    /// Hospice at home or in a facility.
    Hospice,
    /// The patient died.
    Expired,
    /// Court or law enforcement.
    Custody,
    /// Not an end: admitted here, or still a patient.
    Continuing,
    /// Absent, local or not in the table.
    Unknown,
}

/// One row of the decision table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// NUBC code, two digits.
    pub code: &'static str,
    /// Our own words for it.
    pub display: &'static str,
    /// What it means for a pathway.
    pub group: Group,
    /// Code of [`FHIR_SYSTEM`]; absent where the code does not end a visit.
    pub fhir: Option<&'static str>,
    /// The hospital already plans to take the patient back (codes 81 to 95).
    pub planned_readmission: bool,
}

const fn row(
    code: &'static str,
    display: &'static str,
    group: Group,
    fhir: Option<&'static str>,
) -> Row {
    Row {
        code,
        display,
        group,
        fhir,
        planned_readmission: false,
    }
}

const fn planned(
    code: &'static str,
    display: &'static str,
    group: Group,
    fhir: &'static str,
) -> Row {
    Row {
        code,
        display,
        group,
        fhir: Some(fhir),
        planned_readmission: true,
    }
}

/// The decision table, sorted by code.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    row("01", "Home or self care", Group::Community, Some("home")),
    row("02", "Acute care hospital", Group::Transfer, Some("other-hcf")),
    row("03", "Skilled nursing facility", Group::Facility, Some("snf")),
    row("04", "Custodial or supportive care", Group::Ambiguous, Some("long")),
    row("05", "Cancer centre or children's hospital", Group::Transfer, Some("other-hcf")),
    row("06", "Home with home health service", Group::Community, Some("home")),
    row("07", "Left against advice", Group::CommunityAma, Some("aadvice")),
    row("08", "Home with intravenous therapy", Group::Community, Some("home")),
    row("09", "Admitted as inpatient to this hospital", Group::Continuing, None),
    row("20", "Died", Group::Expired, Some("exp")),
    row("21", "Court or law enforcement", Group::Custody, Some("oth")),
    row("30", "Still a patient", Group::Continuing, None),
    row("31", "Still a patient", Group::Continuing, None),
    row("32", "Still a patient", Group::Continuing, None),
    row("33", "Still a patient", Group::Continuing, None),
    row("34", "Still a patient", Group::Continuing, None),
    row("35", "Still a patient", Group::Continuing, None),
    row("36", "Still a patient", Group::Continuing, None),
    row("37", "Still a patient", Group::Continuing, None),
    row("38", "Still a patient", Group::Continuing, None),
    row("39", "Still a patient", Group::Continuing, None),
    row("40", "Died at home (hospice)", Group::Expired, Some("exp")),
    row("41", "Died in a facility (hospice)", Group::Expired, Some("exp")),
    row("42", "Died, place unknown (hospice)", Group::Expired, Some("exp")),
    row("43", "Federal health care facility", Group::Transfer, Some("other-hcf")),
    row("50", "Hospice at home", Group::Hospice, Some("hosp")),
    row("51", "Hospice in a facility", Group::Hospice, Some("hosp")),
    row("61", "Swing bed", Group::Facility, Some("snf")),
    row("62", "Inpatient rehabilitation", Group::Facility, Some("rehab")),
    row("63", "Long-term care hospital", Group::Facility, Some("other-hcf")),
    row("64", "Medicaid nursing facility", Group::Facility, Some("long")),
    row("65", "Psychiatric hospital or unit", Group::Transfer, Some("psy")),
    row("66", "Critical access hospital", Group::Transfer, Some("other-hcf")),
    row("69", "Disaster alternative care site", Group::Facility, Some("other-hcf")),
    row("70", "Other facility", Group::Facility, Some("other-hcf")),
    planned("81", "Home or self care", Group::Community, "home"),
    planned("82", "Acute care hospital", Group::Transfer, "other-hcf"),
    planned("83", "Skilled nursing facility", Group::Facility, "snf"),
    planned("84", "Custodial or supportive care", Group::Ambiguous, "long"),
    planned("85", "Cancer centre or children's hospital", Group::Transfer, "other-hcf"),
    planned("86", "Home with home health service", Group::Community, "home"),
    planned("87", "Court or law enforcement", Group::Custody, "oth"),
    planned("88", "Federal health care facility", Group::Transfer, "other-hcf"),
    planned("89", "Swing bed", Group::Facility, "snf"),
    planned("90", "Inpatient rehabilitation", Group::Facility, "rehab"),
    planned("91", "Long-term care hospital", Group::Facility, "other-hcf"),
    planned("92", "Medicaid nursing facility", Group::Facility, "long"),
    planned("93", "Psychiatric hospital or unit", Group::Transfer, "psy"),
    planned("94", "Critical access hospital", Group::Transfer, "other-hcf"),
    planned("95", "Other facility", Group::Facility, "other-hcf"),
];

/// The row of a code; one-digit codes of older samples (`1`) are read as two digits (`01`).
pub fn lookup(code: &str) -> Option<&'static Row> {
    let code = code.trim();
    ROWS.iter().find(|row| {
        row.code == code || (code.len() == 1 && row.code.strip_prefix('0') == Some(code))
    })
}

/// The group of a code; what is absent or not in the table is [`Group::Unknown`].
pub fn group(code: Option<&str>) -> Group {
    code.and_then(lookup)
        .map_or(Group::Unknown, |row| row.group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_each_code_once() {
        assert!(ROWS.windows(2).all(|pair| pair[0].code < pair[1].code));
    }

    #[test]
    fn only_a_continuing_stay_has_no_fhir_code() {
        for row in ROWS {
            assert_eq!(
                row.fhir.is_none(),
                row.group == Group::Continuing,
                "{}",
                row.code
            );
        }
    }

    #[track_caller]
    fn check(code: &str, expected_group: Group, expected_fhir: Option<&str>) {
        assert_eq!(group(Some(code)), expected_group);
        assert_eq!(lookup(code).and_then(|row| row.fhir), expected_fhir);
    }

    #[test]
    fn codes_mean_what_the_table_of_dispositions_says() {
        check("01", Group::Community, Some("home"));
        check("1", Group::Community, Some("home"));
        check("81", Group::Community, Some("home"));
        check("04", Group::Ambiguous, Some("long"));
        check("92", Group::Facility, Some("long"));
        check("03", Group::Facility, Some("snf"));
        check("63", Group::Facility, Some("other-hcf"));
        check("93", Group::Transfer, Some("psy"));
        check("07", Group::CommunityAma, Some("aadvice"));
        check("51", Group::Hospice, Some("hosp"));
        check("20", Group::Expired, Some("exp"));
        check("87", Group::Custody, Some("oth"));
        check("09", Group::Continuing, None);
        check("35", Group::Continuing, None);
        check("HOME", Group::Unknown, None);
        check("", Group::Unknown, None);
        assert_eq!(group(None), Group::Unknown);
    }
}
