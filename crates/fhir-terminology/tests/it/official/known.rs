//! The official cases that are left out, and those that do not agree, each with the reason.

/// Suites and operations that are no business of these operations.
pub(super) const LEFT_OUT: &[(&str, &str)] = &[
    (
        "metadata",
        "the server's CapabilityStatement, and R5's TerminologyCapabilities",
    ),
    ("compare", "an operation of one server, not of FHIR R4"),
];

/// Suites and cases of a mode other than `general` are written for one server.
pub(super) const MODE: &str = "general";

const VERSION: &str = "asks for another version of a code system or value set than is in use; R4's \
     $validate-code has no such parameter, and $expand refuses it";
const HARD: &str =
    "a language that excludes all others: a display of another language is shown here";
const DESIGNATION: &str =
    "R4 asks for designations of certain languages or uses; all are sent here";
const SUPPLEMENT: &str = "supplements are ignored";
const DISPLAY_STATUS: &str = "the status of a designation is an extension that is not read";
const HEADER: &str = "the language of a display is taken from the parameter displayLanguage only";
const CONTAINED: &str = "a value set contained in another one cannot be imported here";
const WRONG_PIN: &str =
    "the value set pins a version that is not here; said once, not by version too";
const OVERLOAD: &str = "two versions of a code system in one value set, of which HL7's server makes \
     one; codes of another version that are listed stay listed";
const STATUS: &str = "standards-status and withdrawal are extensions that are not read";
const MEMBERSHIP_ONLY: &str = "a parameter of one server";

/// Cases that do not agree.
pub(super) const DISAGREE: &[(&str, &str)] = &[
    ("language-xform-en-multi-de-hard", HARD),
    ("language-xform-de-multi-en-hard", HARD),
    ("language-echo-en-designations", DESIGNATION),
    ("extensions-echo-enumerated", SUPPLEMENT),
    ("validate-code-bad-supplement", SUPPLEMENT),
    ("validate-coding-good2-supplement", SUPPLEMENT),
    ("validate-code-inactive-display", DISPLAY_STATUS),
    ("validation-simple-coding-bad-language-header", HEADER),
    ("validation-simple-coding-bad-language-vs", HEADER),
    ("validation-complex-codeableconcept-vsonly", MEMBERSHIP_ONLY),
    ("validation-contained-good", CONTAINED),
    ("validation-contained-bad", CONTAINED),
    ("version-version-profile-default", VERSION),
    ("validation-version-profile-coding", VERSION),
    ("coding-vnn-vsnn-default", VERSION),
    ("coding-v10-vs1w-default", VERSION),
    ("coding-v10-vs1wb-default", VERSION),
    ("coding-v10-vs10-default", VERSION),
    ("coding-vnn-vs1w-default", VERSION),
    ("coding-v10-vs10-check", VERSION),
    ("coding-v10-vsnn-check", VERSION),
    ("coding-vbb-vsnn-check", VERSION),
    ("coding-vnn-vs1w-check", VERSION),
    ("coding-vnn-vs1wb-check", VERSION),
    ("coding-vnn-vsnn-force", VERSION),
    ("coding-v10-vs20-force", VERSION),
    ("coding-vnn-vs1wb-force", VERSION),
    ("codeableconcept-v10-vs1wb", WRONG_PIN),
    ("codeableconcept-vnn-vs1wb", WRONG_PIN),
    ("codeableconcept-v10-vs1w-default", VERSION),
    ("codeableconcept-v10-vs10-default", VERSION),
    ("codeableconcept-v10-vsnn-default", VERSION),
    ("codeableconcept-vbb-vs10-default", VERSION),
    ("codeableconcept-vnn-vs10-default", VERSION),
    ("codeableconcept-vnn-vsnn-check", VERSION),
    ("codeableconcept-v10-vs1w-check", VERSION),
    ("codeableconcept-v10-vs20-check", VERSION),
    ("codeableconcept-v10-vs1w-force", VERSION),
    ("codeableconcept-v10-vs1wb-force", VERSION),
    ("codeableconcept-v10-vs20-force", VERSION),
    ("codeableconcept-v10-vsnn-force", VERSION),
    ("codeableconcept-vbb-vsnn-force", VERSION),
    ("codeableconcept-vnn-vs1w-force", VERSION),
    ("codeableconcept-vnn-vs10-force", VERSION),
    ("code-v10-vs1w-default", VERSION),
    ("code-v10-vs1wb-default", VERSION),
    ("code-v10-vs20-default", VERSION),
    ("code-v10-vsnn-default", VERSION),
    ("code-vbb-vs10-default", VERSION),
    ("code-vnn-vs1wb-default", VERSION),
    ("code-vnn-vsnn-check", VERSION),
    ("code-v10-vs1wb-check", VERSION),
    ("code-v10-vsnn-check", VERSION),
    ("code-vnn-vs1w-check", VERSION),
    ("code-vnn-vs1wb-check", VERSION),
    ("code-v10-vs1wb-force", VERSION),
    ("code-v10-vs20-force", VERSION),
    ("code-v10-vsnn-force", VERSION),
    ("code-vbb-vs10-force", VERSION),
    ("code-vbb-vsnn-force", VERSION),
    ("code-vnn-vs1w-force", VERSION),
    ("code-vnn-vs1wb-force", VERSION),
    ("vs-expand-all-v2-force", VERSION),
    ("vs-expand-v-mixed-force", VERSION),
    ("vs-expand-v-w-force", VERSION),
    ("vs-expand-v2-force", VERSION),
    ("vs-expand-v-n-default-request", VERSION),
    ("vs-expand-all-v1-check", VERSION),
    ("expand-enum-good", OVERLOAD),
    ("expand-enum-bad", OVERLOAD),
    ("expand-exclude-versioned", OVERLOAD),
    ("expand-exclude-merged", OVERLOAD),
    ("validate-all-bad2", OVERLOAD),
    ("validate-bad-v2code3", OVERLOAD),
    ("not-withdrawn-validate", STATUS),
    ("deprecating-validate", STATUS),
    ("deprecating-validate-2", STATUS),
    ("indirect-validation-zero-pinned", VERSION),
    ("indirect-validation-zero-pinned-wrong", VERSION),
];
