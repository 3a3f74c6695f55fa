//! v2 tables → FHIR codes, one row per code: <https://terminology.hl7.org>.

use fhir_terminology::{CodeCheck, Coded, check_code};

use crate::definitions::embedded;

/// A row: v2 code, FHIR code.
type Row = (&'static str, &'static str);

fn find(table: &'static [Row], code: &str) -> Option<&'static str> {
    let row = table.iter().find(|(from, _)| *from == code);
    row.map(|(_, to)| *to)
}

/// The code system of BCP 47.
pub const LANGUAGE_TAGS: &str = "urn:ietf:bcp:47";

/// The code system of an HL7 v2 table.
pub fn table_system(table: &str) -> String {
    format!("http://terminology.hl7.org/CodeSystem/v2-{table}")
}

/// Whether a code may be of a code system: it is, or the system is not here as a whole.
pub fn may_have(system: &str, code: &str) -> bool {
    let coded = Coded {
        system: Some(system),
        version: None,
        code,
        display: None,
    };
    check_code(&embedded(), &coded) != CodeCheck::UnknownCode
}

/// Languages of ISO 639-2 that ISO 639-1 has too.
const SHORTER_LANGUAGES: &[Row] = &[
    ("alb", "sq"),
    ("amh", "am"),
    ("ara", "ar"),
    ("arm", "hy"),
    ("ben", "bn"),
    ("bos", "bs"),
    ("bul", "bg"),
    ("bur", "my"),
    ("cat", "ca"),
    ("ces", "cs"),
    ("chi", "zh"),
    ("cze", "cs"),
    ("dan", "da"),
    ("deu", "de"),
    ("dut", "nl"),
    ("ell", "el"),
    ("eng", "en"),
    ("est", "et"),
    ("eus", "eu"),
    ("fas", "fa"),
    ("fin", "fi"),
    ("fra", "fr"),
    ("fre", "fr"),
    ("geo", "ka"),
    ("ger", "de"),
    ("gle", "ga"),
    ("gre", "el"),
    ("guj", "gu"),
    ("hat", "ht"),
    ("hau", "ha"),
    ("heb", "he"),
    ("hin", "hi"),
    ("hrv", "hr"),
    ("hun", "hu"),
    ("hye", "hy"),
    ("ibo", "ig"),
    ("ice", "is"),
    ("ind", "id"),
    ("isl", "is"),
    ("ita", "it"),
    ("jpn", "ja"),
    ("kan", "kn"),
    ("kat", "ka"),
    ("khm", "km"),
    ("kin", "rw"),
    ("kor", "ko"),
    ("kur", "ku"),
    ("lao", "lo"),
    ("lav", "lv"),
    ("lit", "lt"),
    ("mac", "mk"),
    ("mal", "ml"),
    ("mar", "mr"),
    ("may", "ms"),
    ("mkd", "mk"),
    ("mon", "mn"),
    ("msa", "ms"),
    ("mya", "my"),
    ("nav", "nv"),
    ("nep", "ne"),
    ("nld", "nl"),
    ("nor", "no"),
    ("orm", "om"),
    ("pan", "pa"),
    ("per", "fa"),
    ("pol", "pl"),
    ("por", "pt"),
    ("pus", "ps"),
    ("ron", "ro"),
    ("rum", "ro"),
    ("run", "rn"),
    ("rus", "ru"),
    ("sin", "si"),
    ("slk", "sk"),
    ("slo", "sk"),
    ("slv", "sl"),
    ("smo", "sm"),
    ("som", "so"),
    ("spa", "es"),
    ("sqi", "sq"),
    ("srp", "sr"),
    ("swa", "sw"),
    ("swe", "sv"),
    ("tam", "ta"),
    ("tel", "te"),
    ("tgl", "tl"),
    ("tha", "th"),
    ("tib", "bo"),
    ("tir", "ti"),
    ("ton", "to"),
    ("tur", "tr"),
    ("ukr", "uk"),
    ("urd", "ur"),
    ("uzb", "uz"),
    ("vie", "vi"),
    ("wol", "wo"),
    ("yid", "yi"),
    ("yor", "yo"),
    ("zho", "zh"),
    ("zul", "zu"),
];

/// The BCP-47 tag of a language code of ISO 639-1 or 639-2, whichever case; three letters become
/// two where there are two, as BCP-47 demands.
pub fn language_tag(code: &str) -> Option<String> {
    let code = code.to_ascii_lowercase();
    let is_code = matches!(code.len(), 2 | 3) && code.bytes().all(|byte| byte.is_ascii_lowercase());
    let tag = is_code.then(|| find(SHORTER_LANGUAGES, &code).map_or(code, str::to_owned))?;
    may_have(LANGUAGE_TAGS, &tag).then_some(tag)
}

/// Table 0001, administrative sex → administrative-gender.
pub fn gender(code: &str) -> Option<&'static str> {
    const TABLE: &[Row] = &[
        ("F", "female"),
        ("M", "male"),
        ("O", "other"),
        ("A", "other"),
        ("N", "other"),
        ("X", "other"),
        ("U", "unknown"),
    ];
    find(TABLE, code)
}

/// Table 0200, name type → name-use.
pub fn name_use(code: &str) -> Option<&'static str> {
    const TABLE: &[Row] = &[
        ("L", "official"),
        ("D", "usual"),
        ("N", "nickname"),
        ("M", "maiden"),
        ("BAD", "old"),
        ("TEMP", "temp"),
        ("MSK", "anonymous"),
        ("S", "anonymous"),
    ];
    find(TABLE, code)
}

/// Table 0190, address type → address-use and address-type.
pub fn address_use(code: &str) -> (Option<&'static str>, Option<&'static str>) {
    const USE: &[Row] = &[
        ("H", "home"),
        ("O", "work"),
        ("B", "work"),
        ("C", "temp"),
        ("BA", "old"),
        ("BI", "billing"),
        ("V", "temp"),
        ("HV", "home"),
    ];
    const TYPE: &[Row] = &[("M", "postal"), ("SH", "postal")];
    (find(USE, code), find(TYPE, code))
}

/// Table 0202, equipment type → contact-point-system.
pub fn contact_system(code: &str) -> &'static str {
    const TABLE: &[Row] = &[
        ("FX", "fax"),
        ("BP", "pager"),
        ("SAT", "phone"),
        ("TDD", "other"),
        ("TTY", "other"),
    ];
    find(TABLE, code).unwrap_or("phone")
}

/// Table 0002, marital status → v3-MaritalStatus and its FHIR extension for unknown.
pub fn marital_status(code: &str) -> Option<(&'static str, &'static str)> {
    const V3: &str = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus";
    const NULL: &str = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor";
    const TABLE: &[Row] = &[
        ("A", "L"),
        ("B", "U"),
        ("C", "C"),
        ("D", "D"),
        ("E", "L"),
        ("G", "T"),
        ("I", "I"),
        ("L", "L"),
        ("M", "M"),
        ("N", "A"),
        ("P", "T"),
        ("R", "T"),
        ("S", "S"),
        ("T", "T"),
        ("W", "W"),
    ];
    match code {
        "U" | "O" => Some((NULL, "UNK")),
        code => find(TABLE, code).map(|code| (V3, code)),
    }
}

/// Table 0004, patient class → v3-ActCode, where v2 says it; local codes come from the feed.
pub fn encounter_class(code: &str) -> Option<(&'static str, &'static str)> {
    const TABLE: &[(&str, &str, &str)] = &[
        ("E", "EMER", "emergency"),
        ("I", "IMP", "inpatient encounter"),
        ("O", "AMB", "ambulatory"),
        ("P", "PRENC", "pre-admission"),
        ("R", "AMB", "ambulatory"),
        ("B", "IMP", "inpatient encounter"),
        ("C", "AMB", "ambulatory"),
        ("N", "AMB", "ambulatory"),
        ("U", "AMB", "ambulatory"),
    ];
    TABLE
        .iter()
        .find(|(from, ..)| *from == code)
        .map(|(_, code, display)| (*code, *display))
}

/// The display of a class of v3-ActCode.
pub fn class_display(code: &str) -> Option<&'static str> {
    const TABLE: &[Row] = &[
        ("AMB", "ambulatory"),
        ("EMER", "emergency"),
        ("FLD", "field"),
        ("HH", "home health"),
        ("IMP", "inpatient encounter"),
        ("ACUTE", "inpatient acute"),
        ("NONAC", "inpatient non-acute"),
        ("OBSENC", "observation encounter"),
        ("PRENC", "pre-admission"),
        ("SS", "short stay"),
        ("VR", "virtual"),
    ];
    find(TABLE, code)
}

/// Table 0007, admission type → v3-ActPriority. Digits are NUBC form locator 14.
pub fn priority(code: &str) -> Option<(&'static str, &'static str)> {
    const TABLE: &[(&str, &str, &str)] = &[
        ("A", "EM", "emergency"),
        ("E", "EM", "emergency"),
        ("U", "UR", "urgent"),
        ("C", "EL", "elective"),
        ("R", "R", "routine"),
        ("1", "EM", "emergency"),
        ("2", "UR", "urgent"),
        ("3", "EL", "elective"),
        ("5", "EM", "emergency"),
    ];
    TABLE
        .iter()
        .find(|(from, ..)| *from == code)
        .map(|(_, code, display)| (*code, *display))
}

/// Table 0023, admit source (v2 samples and NUBC form locator 15) → admit-source.
pub fn admit_source(code: &str) -> Option<&'static str> {
    const TABLE: &[Row] = &[
        ("2", "outp"),
        ("4", "hosp-trans"),
        ("5", "nursing"),
        ("6", "other"),
        ("7", "emd"),
        ("ER", "emd"),
        ("8", "other"),
        ("F", "other"),
    ];
    find(TABLE, code)
}

/// Table 0063, relationship → v3-RoleCode.
pub fn relationship(code: &str) -> Option<(&'static str, &'static str)> {
    const ROLE: &str = "http://terminology.hl7.org/CodeSystem/v3-RoleCode";
    const CONTACT: &str = "http://terminology.hl7.org/CodeSystem/v2-0131";
    const TABLE: &[(&str, &str, &str)] = &[
        ("SPO", ROLE, "SPS"),
        ("DOM", ROLE, "DOMPART"),
        ("CHD", ROLE, "CHILD"),
        ("GCH", ROLE, "GRNDCHILD"),
        ("NCH", ROLE, "NCHILD"),
        ("SCH", ROLE, "STPCHLD"),
        ("FCH", ROLE, "CHLDFOST"),
        ("PAR", ROLE, "PRN"),
        ("MTH", ROLE, "MTH"),
        ("FTH", ROLE, "FTH"),
        ("SIB", ROLE, "SIB"),
        ("BRO", ROLE, "BRO"),
        ("SIS", ROLE, "SIS"),
        ("GRP", ROLE, "GRPRN"),
        ("FND", ROLE, "FRND"),
        ("GRD", ROLE, "GUARD"),
        ("EXF", ROLE, "EXT"),
        ("NBR", ROLE, "NBOR"),
        ("EMC", CONTACT, "C"),
        ("CGV", ROLE, "FAMMEMB"),
    ];
    TABLE
        .iter()
        .find(|(from, ..)| *from == code)
        .map(|(_, system, code)| (*system, *code))
}

/// Table 0131, contact role → patient-contactrelationship.
pub fn contact_role(code: &str) -> Option<&'static str> {
    const TABLE: &[Row] = &[
        ("C", "C"),
        ("E", "E"),
        ("F", "F"),
        ("I", "I"),
        ("N", "N"),
        ("S", "S"),
        ("U", "U"),
        ("EP", "C"),
        ("CP", "C"),
    ];
    find(TABLE, code)
}

/// Table 0344, patient's relationship to insured → subscriber-relationship.
pub fn subscriber_relationship(code: &str) -> &'static str {
    const TABLE: &[Row] = &[
        ("SEL", "self"),
        ("18", "self"),
        ("01", "self"),
        ("SPO", "spouse"),
        ("02", "spouse"),
        ("CHD", "child"),
        ("03", "child"),
        ("PAR", "parent"),
        ("DOM", "common"),
    ];
    find(TABLE, code).unwrap_or("other")
}

/// Table 0052, diagnosis type → diagnosis-role and condition-ver-status.
pub fn diagnosis_type(code: &str) -> (Option<&'static str>, &'static str) {
    match code {
        "A" => (Some("AD"), "provisional"),
        "F" => (Some("DD"), "confirmed"),
        "W" => (None, "provisional"),
        _ => (None, "unconfirmed"),
    }
}

/// Table 0396, names of coding systems → URI.
pub fn code_system(name: &str) -> Option<String> {
    const TABLE: &[Row] = &[
        ("I10", "http://hl7.org/fhir/sid/icd-10-cm"),
        ("I10C", "http://hl7.org/fhir/sid/icd-10-cm"),
        ("ICD10", "http://hl7.org/fhir/sid/icd-10-cm"),
        ("ICD-10-CM", "http://hl7.org/fhir/sid/icd-10-cm"),
        ("ICD10CM", "http://hl7.org/fhir/sid/icd-10-cm"),
        ("I9C", "http://hl7.org/fhir/sid/icd-9-cm"),
        ("I9", "http://hl7.org/fhir/sid/icd-9-cm"),
        ("ICD9", "http://hl7.org/fhir/sid/icd-9-cm"),
        ("SCT", "http://snomed.info/sct"),
        ("SNM", "http://snomed.info/sct"),
        ("LN", "http://loinc.org"),
        ("RXNORM", "http://www.nlm.nih.gov/research/umls/rxnorm"),
        ("CVX", "http://hl7.org/fhir/sid/cvx"),
        ("UCUM", "http://unitsofmeasure.org"),
        ("CDCREC", "urn:oid:2.16.840.1.113883.6.238"),
    ];
    if let Some(uri) = find(TABLE, name) {
        return Some(uri.to_owned());
    }
    let table = name.strip_prefix("HL7")?;
    let is_table = table.len() == 4 && table.bytes().all(|byte| byte.is_ascii_digit());
    is_table.then(|| format!("http://terminology.hl7.org/CodeSystem/v2-{table}"))
}
