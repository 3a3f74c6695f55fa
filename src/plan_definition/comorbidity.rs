//! Groups of diseases by ICD-10 prefix: Charlson's groups (Quan et al. 2005) with the weights that
//! LACE gives them, and the groups that make an emergency visit one to follow up.
//!
//! Both are tables to be edited. Codes are compared without the dot, by prefix; SNOMED CT alone is
//! not grouped.

/// One disease group.
#[derive(Debug)]
pub struct DiseaseGroup {
    /// Its name.
    pub name: &'static str,
    /// ICD-10 prefixes without dots; `a-b` is every category from a to b.
    prefixes: &'static [&'static str],
    /// LACE weight; groups that LACE does not count have none and are not listed.
    pub lace_weight: u32,
    /// The group that makes this one not count again.
    hidden_by: Option<&'static str>,
}

const fn group(
    name: &'static str,
    prefixes: &'static [&'static str],
    lace_weight: u32,
    hidden_by: Option<&'static str>,
) -> DiseaseGroup {
    DiseaseGroup {
        name,
        prefixes,
        lace_weight,
        hidden_by,
    }
}

/// The groups that LACE counts. Diabetes is E10 to E14 by its fourth character.
#[rustfmt::skip]
pub const LACE_GROUPS: &[DiseaseGroup] = &[
    group("myocardial infarction", &["I21", "I22", "I252"], 1, None),
    group("congestive heart failure", &["I099", "I110", "I130", "I132", "I255", "I420", "I425-I429", "I43", "I50", "P290"], 2, None),
    group("peripheral vascular disease", &["I70", "I71", "I731", "I738", "I739", "I771", "I790", "I792", "K551", "K558", "K559", "Z958", "Z959"], 1, None),
    group("cerebrovascular disease", &["G45", "G46", "H340", "I60-I69"], 1, None),
    group("dementia", &["F00-F03", "F051", "G30", "G311"], 3, None),
    group("chronic pulmonary disease", &["I278", "I279", "J40-J47", "J60-J67", "J684", "J701", "J703"], 2, None),
    group("connective tissue disease", &["M05", "M06", "M315", "M32-M34", "M351", "M353", "M360"], 3, None),
    group("peptic ulcer", &["K25-K28"], 1, None),
    group("mild liver disease", &["B18", "K700-K703", "K709", "K713-K715", "K717", "K73", "K74", "K760", "K762-K764", "K768", "K769", "Z944"], 2, Some("moderate or severe liver disease")),
    group("diabetes", &[
        "E100", "E101", "E106", "E108", "E109", "E110", "E111", "E116", "E118", "E119",
        "E120", "E121", "E126", "E128", "E129", "E130", "E131", "E136", "E138", "E139",
        "E140", "E141", "E146", "E148", "E149"], 1, Some("diabetes with organ damage")),
    group("diabetes with organ damage", &[
        "E102-E105", "E107", "E112-E115", "E117", "E122-E125", "E127", "E132-E135", "E137",
        "E142-E145", "E147"], 2, None),
    group("moderate or severe renal disease", &["I120", "I131", "N032-N037", "N052-N057", "N18", "N19", "N250", "Z490-Z492", "Z940", "Z992"], 2, None),
    group("cancer", &["C00-C26", "C30-C34", "C37-C41", "C43", "C45-C58", "C60-C76", "C81-C85", "C88", "C90-C97"], 2, Some("metastatic cancer")),
    group("moderate or severe liver disease", &["I850", "I859", "I864", "I982", "K704", "K711", "K721", "K729", "K765-K767"], 4, None),
    group("metastatic cancer", &["C77-C80"], 6, None),
    group("HIV", &["B20-B22", "B24"], 4, None),
];

/// The chronic conditions that make an emergency visit one to follow up: our own list, in the
/// spirit of HEDIS FMC, whose value sets are licensed.
#[rustfmt::skip]
pub const FOLLOW_UP_GROUPS: &[(&str, &[&str])] = &[
    ("chronic obstructive pulmonary disease and asthma", &["J40-J45", "J47"]),
    ("dementia", &["F01-F03", "F051", "G30", "G31"]),
    ("chronic kidney disease", &["N18", "I12", "I13", "Z992"]),
    ("depression", &["F32", "F33", "F341"]),
    ("heart failure", &["I50", "I110", "I130", "I132", "I0981"]),
    ("acute myocardial infarction", &["I21", "I22", "I252"]),
    ("atrial fibrillation", &["I48"]),
    ("stroke and transient ischaemic attack", &["I60", "I61", "I63", "I64", "G45", "H341"]),
];

/// The code without dot and blanks, in capitals.
fn normalise(code: &str) -> String {
    code.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_uppercase())
        .collect()
}

/// Whether the normalised `code` lies under `prefix`, which may be a range of equally long ones.
fn is_under(code: &str, prefix: &str) -> bool {
    match prefix.split_once('-') {
        None => code.starts_with(prefix),
        Some((first, last)) => code
            .get(..first.len())
            .is_some_and(|start| first <= start && start <= last),
    }
}

/// The LACE groups of these ICD-10 codes after the hierarchy: the worse of two hides the milder.
pub fn lace_groups<'a>(codes: impl IntoIterator<Item = &'a str>) -> Vec<&'static DiseaseGroup> {
    let codes: Vec<String> = codes.into_iter().map(normalise).collect();
    let has = |group: &DiseaseGroup| {
        codes
            .iter()
            .any(|code| group.prefixes.iter().any(|prefix| is_under(code, prefix)))
    };
    let present: Vec<_> = LACE_GROUPS.iter().filter(|group| has(group)).collect();
    let is_hidden = |group: &DiseaseGroup| {
        group
            .hidden_by
            .is_some_and(|worse| present.iter().any(|other| other.name == worse))
    };
    present
        .iter()
        .copied()
        .filter(|group| !is_hidden(group))
        .collect()
}

/// How many of the follow-up groups these ICD-10 codes touch.
pub fn follow_up_groups<'a>(codes: impl IntoIterator<Item = &'a str>) -> usize {
    let codes: Vec<String> = codes.into_iter().map(normalise).collect();
    FOLLOW_UP_GROUPS
        .iter()
        .filter(|(_, prefixes)| {
            codes
                .iter()
                .any(|code| prefixes.iter().any(|prefix| is_under(code, prefix)))
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(codes: &[&str], expected: &[&str]) {
        let names: Vec<_> = lace_groups(codes.iter().copied())
            .iter()
            .map(|group| group.name)
            .collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn codes_fall_into_their_groups() {
        check(&["E11.9"], &["diabetes"]);
        check(&["E11.22"], &["diabetes with organ damage"]);
        check(&["E11.9", "E11.40"], &["diabetes with organ damage"]);
        check(
            &["i50.9", "J449"],
            &["congestive heart failure", "chronic pulmonary disease"],
        );
        check(&["I42.6"], &["congestive heart failure"]);
        check(&["I42.1"], &[]);
        check(&["K70.30", "K72.10"], &["moderate or severe liver disease"]);
        check(&["C50.911", "C79.51"], &["metastatic cancer"]);
        check(&["C44.9", "Z00.0", ""], &[]);
        check(&["F02.80", "G30.9"], &["dementia"]);
        check(&["N18.31"], &["moderate or severe renal disease"]);
        check(&["J99"], &[]);
    }

    #[test]
    fn a_group_counts_once_for_the_follow_up() {
        assert_eq!(follow_up_groups(["I50.22", "N18.31", "F33.1"]), 3);
        assert_eq!(follow_up_groups(["I50.22", "I50.9"]), 1);
        assert_eq!(follow_up_groups(["I11.0"]), 1);
        assert_eq!(follow_up_groups(["I25.2", "I48.91"]), 2);
        assert_eq!(follow_up_groups([]), 0);
    }

    #[test]
    fn every_hidden_group_names_a_group() {
        for group in LACE_GROUPS {
            if let Some(worse) = group.hidden_by {
                assert!(
                    LACE_GROUPS.iter().any(|other| other.name == worse),
                    "{worse}"
                );
            }
        }
    }
}
