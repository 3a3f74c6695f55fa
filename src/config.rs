//! Every setting, with its unit, default and reason: one TOML file, checked against
//! `config/schema.json`, from which `docs/CONFIGURATION.md` is written.
//!
//! Flags and environment variables (read by the command line) override the file. An unknown key,
//! a wrong type or a value out of range is an error that names the line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use chrono_tz::Tz;
use jsonschema::error::ValidationErrorKind;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

mod located;

/// The schema that ships with Baton: the description of every setting.
pub const SCHEMA: &str = include_str!("config/schema.json");

/// All settings.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Where Baton listens.
    pub listen: Listen,
    /// Where records are kept.
    pub store: Store,
    /// Limits of the FHIR API.
    pub rest: Rest,
    /// Profiles in force.
    pub validation: Validation,
    /// FHIR packages that extend the embedded definitions: `hl7.fhir.us.core@6.1.0`.
    pub packages: Vec<String>,
    /// A folder of packages.
    pub package_folder: Option<PathBuf>,
    /// The package cache; `~/.fhir/packages` when `None`.
    pub package_cache: Option<PathBuf>,
    /// A registry, if the network may be asked for packages.
    pub package_registry: Option<String>,
    /// What happens when a package depends on one that is not found.
    pub package_dependencies: MissingDependency,
    /// Where compiled packages are kept; beside the SQLite database when `None`.
    pub package_images: Option<PathBuf>,
    /// Limits of searches.
    pub search: Search,
    /// Who knows code systems that are not here.
    pub terminology: Terminology,
    /// The MLLP listener.
    pub intake: Intake,
    /// Whose care managers work with Baton.
    pub care_organisation: CareOrganisation,
    /// The ADT feeds.
    #[serde(rename = "feed")]
    pub feeds: Vec<Arc<Feed>>,
}

/// Where Baton listens.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Listen {
    /// Address of the FHIR API.
    pub http: String,
    /// Address of the MLLP listener.
    pub mllp: String,
    /// The FHIR base as clients see it.
    pub base_url: Option<String>,
    /// Allow other addresses than loopback without authentication.
    pub without_authentication: bool,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            http: "127.0.0.1:8080".into(),
            mllp: "127.0.0.1:2575".into(),
            base_url: None,
            without_authentication: false,
        }
    }
}

/// Where records are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Store {
    /// URL of the database.
    pub database: Option<String>,
    /// PostgreSQL: connections of this process that work.
    pub connections_max: u32,
    /// PostgreSQL: longest time for one statement, in seconds; 0 is no limit.
    pub statement_timeout_secs: u64,
    /// PostgreSQL: longest wait for a lock, in seconds; 0 is no limit.
    pub lock_timeout_secs: u64,
    /// PostgreSQL: longest time for which a transaction may do nothing, in seconds; 0 is no limit.
    pub idle_transaction_timeout_secs: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            database: None,
            connections_max: 16,
            statement_timeout_secs: 60,
            lock_timeout_secs: 30,
            idle_transaction_timeout_secs: 60,
        }
    }
}

/// Limits of the FHIR API.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Rest {
    /// Largest request body.
    pub body_bytes_max: usize,
    /// Deepest nesting of a JSON body.
    pub depth_max: u32,
    /// Matches on a page when `_count` is absent.
    pub page_count_default: u32,
    /// Most matches on a page.
    pub page_count_max: u32,
    /// Longest time for one request, in seconds.
    pub timeout_secs: u64,
    /// Longest time for the head of a request, in seconds.
    pub header_timeout_secs: u64,
    /// Most connections.
    pub connections_max: usize,
    /// Origins whose pages may use the API in a browser.
    pub cors_origins: Vec<String>,
    /// Whether `$purge` is offered.
    pub purge: bool,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            body_bytes_max: 64 << 20,
            depth_max: 64,
            page_count_default: 50,
            page_count_max: 1000,
            timeout_secs: 60,
            header_timeout_secs: 30,
            connections_max: 1024,
            cors_origins: Vec::new(),
            purge: false,
        }
    }
}

/// How resources that clients send are validated.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Validation {
    /// How much is checked.
    pub level: ValidationLevel,
    /// What becomes of a resource with errors.
    pub on_failure: OnFailure,
    /// Whether a request may ask for less than the configuration does.
    pub weaker_on_request: bool,
    /// Resource type → canonical URLs.
    pub profiles: BTreeMap<String, Vec<String>>,
}

/// Limits of searches.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Search {
    /// Longest time for one search, in milliseconds.
    pub deadline_ms: u64,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            deadline_ms: 10_000,
        }
    }
}

/// A terminology server, asked for codes of value sets that cannot be known here.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Terminology {
    /// Its FHIR base; nobody is asked without it.
    pub server: Option<String>,
    /// For all questions of one validation, in milliseconds.
    pub deadline_ms: u64,
}

impl Default for Terminology {
    fn default() -> Self {
        Self {
            server: None,
            deadline_ms: 2000,
        }
    }
}

/// How much of a resource is checked; from nothing to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValidationLevel {
    /// Nothing but that it is JSON and of a type of R4.
    Off,
    /// The base definitions of its type.
    Base,
    /// Those, and profiles.
    #[default]
    Profile,
}

/// What becomes of a resource with errors; from lenient to strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// It is stored, and the answer to its sender says what is wrong.
    Warn,
    /// The same, and it carries a tag by which it is found.
    Tag,
    /// It is refused.
    #[default]
    Reject,
}

/// The MLLP listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Intake {
    /// Largest frame.
    pub frame_bytes_max: usize,
    /// Longest time from the first to the last byte of a frame, in seconds.
    pub frame_timeout_secs: u64,
    /// A silent connection is closed after so many seconds; 0 is never.
    pub idle_timeout_secs: u64,
    /// Most connections.
    pub connections_max: usize,
    /// Most connections from one IP address.
    pub connections_per_source_max: usize,
    /// Messages of one connection that may wait for their acknowledgement.
    pub unacknowledged_max: usize,
    /// When storing takes longer, the message is answered AE, in seconds.
    pub store_timeout_secs: u64,
    /// What happens to a message that no feed claims.
    pub unknown_sender: UnknownSender,
    /// How often processing is tried before a message is set aside.
    pub attempts_max: u32,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            frame_bytes_max: 4 << 20,
            frame_timeout_secs: 30,
            idle_timeout_secs: 0,
            connections_max: 512,
            connections_per_source_max: 128,
            unacknowledged_max: 64,
            store_timeout_secs: 10,
            unknown_sender: UnknownSender::Reject,
            attempts_max: 5,
        }
    }
}

impl Intake {
    /// Longest time from the first to the last byte of a frame.
    pub fn frame_timeout(&self) -> Duration {
        Duration::from_secs(self.frame_timeout_secs)
    }

    /// How long a connection may be silent, if there is a limit.
    pub fn idle_timeout(&self) -> Option<Duration> {
        (self.idle_timeout_secs > 0).then(|| Duration::from_secs(self.idle_timeout_secs))
    }
}

/// What happens when a package depends on one that is not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissingDependency {
    /// A line in the log.
    #[default]
    Warn,
    /// No start.
    Refuse,
}

/// What happens to a message that no feed claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownSender {
    /// Answered AR, kept set aside.
    Reject,
    /// Taken by the built-in feed `default`.
    Accept,
}

/// The organisation whose care managers work with Baton.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct CareOrganisation {
    /// Its name.
    pub name: String,
    /// Time zone in which its deadlines end.
    #[serde(deserialize_with = "zone")]
    pub zone: Tz,
    /// No business days, beside the US federal holidays.
    pub holidays_added: BTreeSet<NaiveDate>,
    /// Federal holidays that are business days.
    pub holidays_removed: BTreeSet<NaiveDate>,
}

impl Default for CareOrganisation {
    fn default() -> Self {
        Self {
            name: "Care organisation".into(),
            zone: chrono_tz::America::New_York,
            holidays_added: BTreeSet::new(),
            holidays_removed: BTreeSet::new(),
        }
    }
}

/// One ADT feed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Feed {
    /// Names the feed in logs, metrics and the inbox.
    pub name: String,
    /// MSH-3 of its messages; any when `None`.
    pub application: Option<String>,
    /// MSH-4 of its messages; any when `None`.
    pub facility: Option<String>,
    /// Time zone of the facility.
    #[serde(deserialize_with = "zone")]
    pub zone: Tz,
    /// What kind of facility it is.
    #[serde(default)]
    pub kind: FacilityKind,
    /// Name of the facility.
    pub organization: Option<String>,
    /// Assigning authority → Identifier.system; `*` for identifiers without one.
    pub authorities: BTreeMap<String, String>,
    /// Identifier.system of the visit number.
    pub visit_system: String,
    /// Local patient class → FHIR class.
    #[serde(default)]
    pub classes: BTreeMap<String, String>,
    /// Local discharge disposition → NUBC code.
    #[serde(default)]
    pub dispositions: BTreeMap<String, String>,
    /// Trigger events that are not acted on.
    #[serde(default)]
    pub events_ignored: BTreeSet<String>,
    /// Processing ids that are accepted.
    #[serde(default = "production_only")]
    pub processing_ids: Vec<String>,
    /// Whether to answer where no acknowledgement is asked for.
    #[serde(default)]
    pub acknowledge: Acknowledge,
    /// An empty field means that there is no value.
    #[serde(default)]
    pub snapshot: bool,
}

impl Feed {
    /// The built-in feed for senders that no other feed claims, where those are accepted.
    pub fn unclaimed() -> Self {
        Self {
            name: "default".into(),
            application: None,
            facility: None,
            zone: chrono_tz::UTC,
            kind: FacilityKind::Acute,
            organization: None,
            authorities: BTreeMap::new(),
            visit_system: "urn:baton:feed:default:visit".into(),
            classes: BTreeMap::new(),
            dispositions: BTreeMap::new(),
            events_ignored: BTreeSet::new(),
            processing_ids: ["P", "T", "D"].map(String::from).into(),
            acknowledge: Acknowledge::AsAsked,
            snapshot: false,
        }
    }

    /// Whether a message with this MSH-3 and MSH-4 belongs to the feed.
    pub fn claims(&self, application: &str, facility: &str) -> bool {
        self.application
            .as_deref()
            .is_none_or(|wanted| wanted == application)
            && self
                .facility
                .as_deref()
                .is_none_or(|wanted| wanted == facility)
    }

    /// How closely the feed is tied to a sender: the more specific of two claims wins.
    pub fn specificity(&self) -> usize {
        usize::from(self.application.is_some()) + usize::from(self.facility.is_some())
    }
}

fn production_only() -> Vec<String> {
    vec!["P".into()]
}

/// What kind of facility a feed speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FacilityKind {
    /// Acute hospital.
    #[default]
    Acute,
    /// Psychiatric hospital.
    Psychiatric,
    /// Skilled nursing facility.
    SkilledNursing,
    /// Inpatient rehabilitation.
    Rehabilitation,
    /// Long-term care hospital.
    LongTermCare,
}

/// When a message is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Acknowledge {
    /// As MSH-15 and MSH-16 ask.
    #[default]
    AsAsked,
    /// Always.
    Always,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no TOML, or not what the schema asks for; one line each.
    #[error("{path}: {problems}")]
    Invalid {
        /// The file.
        path: String,
        /// `line N: what is wrong`, one a line.
        problems: String,
    },
}

impl Config {
    /// Reads and checks the file at `path`.
    ///
    /// # Errors
    /// When the file cannot be read, or breaks the schema; the text names every line at fault.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
            path: shown.clone(),
            source,
        })?;
        Self::parse(&text).map_err(|problems| Error::Invalid {
            path: shown,
            problems,
        })
    }

    /// Checks and reads the text of a configuration file.
    ///
    /// # Errors
    /// What is wrong, a line for each problem, each beginning with `line N`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let located = located::Located::parse(text)?;
        let schema: Value = serde_json::from_str(SCHEMA).map_err(|error| error.to_string())?;
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&schema)
            .map_err(|error| error.to_string())?;
        let mut problems = String::new();
        for error in validator.iter_errors(&located.value) {
            let pointer = place(&error);
            let _ = writeln!(
                problems,
                "line {}: {}",
                located.line(&pointer),
                explain(&pointer, &error)
            );
        }
        if !problems.is_empty() {
            return Err(problems.trim_end().to_owned());
        }
        let config: Self =
            toml::from_str(text).map_err(|error| located::toml_problem(text, &error))?;
        config
            .consistent()
            .map_err(|(pointer, problem)| format!("line {}: {problem}", located.line(&pointer)))
    }

    /// What a schema cannot say; a problem comes with the JSON pointer to its place.
    fn consistent(self) -> Result<Self, (String, String)> {
        let mut names = BTreeSet::new();
        for (index, feed) in self.feeds.iter().enumerate() {
            if !names.insert(&feed.name) {
                let problem = format!("two feeds have the name {}", feed.name);
                return Err((format!("/feed/{index}/name"), problem));
            }
        }
        Ok(self)
    }

    /// Where compiled packages are kept, if there is a place.
    pub fn image_folder(&self) -> Option<PathBuf> {
        let beside = || {
            let path = self.store.database.as_deref()?.strip_prefix("sqlite:")?;
            let path = path.split('?').next().unwrap_or_default();
            let folder = Path::new(path.trim_start_matches("//")).parent()?;
            (!path.starts_with(':')).then(|| folder.join("definitions"))
        };
        self.package_images.clone().or_else(beside)
    }

    /// The feed that claims a message with this MSH-3 and MSH-4; the most specific claim wins.
    pub fn feed(&self, application: &str, facility: &str) -> Option<&Arc<Feed>> {
        self.feeds
            .iter()
            .filter(|feed| feed.claims(application, facility))
            .max_by_key(|feed| feed.specificity())
    }
}

/// The JSON pointer to what is wrong: an unknown key itself rather than its table.
fn place(error: &jsonschema::ValidationError<'_>) -> String {
    let table = error.instance_path().to_string();
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => match unexpected.first() {
            Some(key) => format!("{table}/{}", key.replace('~', "~0").replace('/', "~1")),
            None => table,
        },
        _ => table,
    }
}

fn explain(pointer: &str, error: &jsonschema::ValidationError<'_>) -> String {
    let place = pointer.trim_start_matches('/').replace('/', ".");
    let place = if place.is_empty() { "the file" } else { &place };
    format!("{place}: {error}")
}

fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse().map_err(|_| {
        serde::de::Error::custom(format!(
            "{name} is no IANA time zone such as America/New_York"
        ))
    })
}

/// `docs/CONFIGURATION.md`, written from the schema.
pub fn documentation() -> String {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap_or_default();
    let mut page = String::from(
        "# Configuration\n\nWritten from `src/config/schema.json`; a test fails when it is stale.\n\
         One TOML file (`baton serve --config FILE`); flags and environment variables override it \
         (`baton serve --help`).\n",
    );
    let sections = schema.pointer("/properties").and_then(Value::as_object);
    let is_setting = |section: &Value| {
        section["type"] != "object"
            && section
                .get("items")
                .is_none_or(|items| items.get("$ref").is_none())
    };
    let sections = sections.into_iter().flatten();
    let (settings, sections): (Vec<_>, Vec<_>) =
        sections.partition(|(_, section)| is_setting(section));
    page.push_str("\n## Before all tables\nFHIR packages: see [Packages](PACKAGES.md).\n\n");
    push_settings(&mut page, &schema, settings.into_iter());
    for (name, section) in sections {
        let table = schema
            .pointer("/$defs/feed")
            .filter(|_| name == "feed")
            .unwrap_or(section);
        let heading = if name == "feed" {
            "[[feed]]".to_owned()
        } else {
            format!("[{name}]")
        };
        let _ = write!(
            page,
            "\n## `{heading}`\n{}\n\n",
            text_of(section, "description")
        );
        let settings = table.get("properties").and_then(Value::as_object);
        push_settings(&mut page, table, settings.into_iter().flatten());
    }
    page
}

/// A table of settings, a row each.
fn push_settings<'s>(
    page: &mut String,
    table: &Value,
    settings: impl Iterator<Item = (&'s String, &'s Value)>,
) {
    page.push_str("| key | default | meaning |\n|---|---|---|\n");
    for (key, setting) in settings {
        let default = match setting.get("default") {
            Some(value) => format!("`{value}`"),
            None if required(table, key) => "required".to_owned(),
            None => "–".to_owned(),
        };
        let choices = setting["enum"]
            .as_array()
            .map_or_else(String::new, |choices| {
                let choices: Vec<_> = choices.iter().map(|choice| format!("`{choice}`")).collect();
                format!(" One of {}.", choices.join(", "))
            });
        let meaning = text_of(setting, "description");
        let _ = writeln!(page, "| `{key}` | {default} | {meaning}{choices} |");
    }
}

fn required(table: &Value, key: &str) -> bool {
    table["required"]
        .as_array()
        .is_some_and(|required| required.iter().any(|name| name == key))
}

fn text_of<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEED: &str = r#"
[[feed]]
name = "GENHOSP"
application = "EPICADT"
zone = "America/New_York"
visit_system = "urn:oid:2.16.840.1.113883.3.9999.2"
[feed.authorities]
GENHOSP = "urn:oid:2.16.840.1.113883.3.9999.1"
[feed.classes]
V = "OBSENC"
"#;

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        let problems = Config::parse(text).expect_err("must be refused");
        assert!(problems.contains(expected), "{problems}");
    }

    #[test]
    fn a_feed_is_read() {
        let config = Config::parse(FEED).unwrap();
        let feed = config.feed("EPICADT", "ANY").unwrap();
        assert_eq!(feed.zone, chrono_tz::America::New_York);
        assert_eq!(feed.processing_ids, ["P"]);
        assert!(config.feed("OTHER", "ANY").is_none());
    }

    #[test]
    fn the_empty_file_is_the_defaults() {
        let config = Config::parse("").unwrap();
        assert_eq!(config.listen.http, "127.0.0.1:8080");
        assert_eq!(config.care_organisation.zone, chrono_tz::America::New_York);
    }

    #[test]
    fn problems_name_their_line() {
        check_refused(
            "[listen]\nhttp = \"127.0.0.1:8080\"\nmlpp = \"x\"\n",
            "line 3: listen.mlpp",
        );
        check_refused(
            "[intake]\nconnections_max = 0\n",
            "line 2: intake.connections_max",
        );
        check_refused("[intake]\nconnections_max = \n", "line 2");
        check_refused(
            &FEED.replace("\"OBSENC\"", "\"OBS\""),
            "line 10: feed.0.classes.V",
        );
        check_refused(&FEED.replace("America/New_York", "Newyork"), "line 5");
        check_refused(&format!("{FEED}{FEED}"), "line 13: two feeds");
    }
}
