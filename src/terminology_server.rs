//! A terminology server that knows the code systems that are not here, such as SNOMED CT:
//! `ValueSet/$validate-code` (<https://hl7.org/fhir/R4/valueset-operation-validate-code.html>).
//!
//! Validation does not wait: it looks into the answers that are known ([`Asking`]) and notes what it
//! misses. Whoever validates asks for that ([`TerminologyServer::ask`]) and validates again. What the
//! server does not say in time stays *not checked*. Only codes are sent, never anything of a person.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use fhir_terminology::Coded;
use fhir_validation::CodeServer;
use futures_util::{StreamExt as _, stream};
use reqwest::Client;
use serde_json::Value;

use crate::clock::Instant;
use crate::config;

/// Answers that are kept; beyond, all are forgotten.
const ANSWERS_MAX: usize = 100_000;
/// So long an answer is good.
const ANSWER_AGE: TimeDelta = TimeDelta::hours(24);
/// So long a question that got no answer is not asked again.
const SILENCE_AGE: TimeDelta = TimeDelta::seconds(30);
/// Questions of one validation; what is more stays unchecked.
const QUESTIONS_MAX: usize = 500;
/// Questions that are asked at once.
const CONCURRENT_MAX: usize = 8;

/// Whether a code is in a value set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    value_set: String,
    system: Option<String>,
    code: String,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    /// `None` when the server did not say.
    is_member: Option<bool>,
    until: Instant,
}

/// A terminology server and what it has said so far.
#[derive(Debug)]
pub struct TerminologyServer {
    /// Its FHIR base, without a slash at its end.
    base: String,
    client: Client,
    /// For all questions of one validation.
    deadline: Duration,
    answers: Mutex<HashMap<Question, Known>>,
}

impl TerminologyServer {
    /// The server of the configuration, if there is one. TLS must be installed before
    /// ([`crate::package::install_tls`]).
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(config: &config::Terminology) -> Result<Option<Self>, reqwest::Error> {
        let Some(base) = &config.server else {
            return Ok(None);
        };
        let deadline = Duration::from_millis(config.deadline_ms);
        let client = Client::builder().timeout(deadline).build()?;
        Ok(Some(Self {
            base: base.trim_end_matches('/').to_owned(),
            client,
            deadline,
            answers: Mutex::default(),
        }))
    }

    /// The answers that are good at this instant, for one validation.
    pub fn asking(&self, now: Instant) -> Asking<'_> {
        Asking {
            server: self,
            now,
            missed: Mutex::default(),
        }
    }

    /// Asks, within the deadline. Questions without an answer rest for a while, so that a server that
    /// is away is not waited for by every write.
    pub async fn ask(&self, questions: Vec<Question>, now: Instant) {
        let silence = Known {
            is_member: None,
            until: now + SILENCE_AGE,
        };
        {
            let mut answers = self.answers();
            if answers.len() + questions.len() > ANSWERS_MAX {
                answers.clear();
            }
            answers.extend(questions.iter().map(|question| (question.clone(), silence)));
        }
        let asked =
            stream::iter(questions).for_each_concurrent(
                CONCURRENT_MAX,
                async |question| match self.validate_code(&question).await {
                    Ok(Some(is_member)) => {
                        let known = Known {
                            is_member: Some(is_member),
                            until: now + ANSWER_AGE,
                        };
                        self.answers().insert(question, known);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        let error = error.without_url();
                        tracing::warn!(%error, "The terminology server did not answer");
                    }
                },
            );
        if tokio::time::timeout(self.deadline, asked).await.is_err() {
            tracing::warn!("The terminology server did not answer in time");
        }
    }

    async fn validate_code(&self, question: &Question) -> Result<Option<bool>, reqwest::Error> {
        let mut query = vec![("url", &question.value_set), ("code", &question.code)];
        match &question.system {
            Some(system) => query.push(("system", system)),
            None => return Ok(None),
        }
        let pairs: Vec<String> = query
            .into_iter()
            .map(|(name, value)| {
                let value = percent_encoding::utf8_percent_encode(
                    value,
                    percent_encoding::NON_ALPHANUMERIC,
                );
                format!("{name}={value}")
            })
            .collect();
        let url = format!("{}/ValueSet/$validate-code?{}", self.base, pairs.join("&"));
        let response = self
            .client
            .get(url)
            .header("Accept", "application/fhir+json")
            .send()
            .await?;
        // A value set or code system that it does not know either: 404, 422.
        if !response.status().is_success() {
            return Ok(None);
        }
        Ok(result(&response.json().await?))
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<Question, Known>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The parameter `result`.
fn result(parameters: &Value) -> Option<bool> {
    let parameters = parameters.get("parameter")?.as_array()?;
    let result = parameters
        .iter()
        .find(|parameter| parameter.get("name").and_then(Value::as_str) == Some("result"))?;
    result.get("valueBoolean")?.as_bool()
}

/// What is known, for one validation, and what it missed.
#[derive(Debug)]
pub struct Asking<'s> {
    server: &'s TerminologyServer,
    now: Instant,
    missed: Mutex<Vec<Question>>,
}

impl Asking<'_> {
    /// What was asked for and is not known.
    pub fn missed(self) -> Vec<Question> {
        self.missed
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl CodeServer for Asking<'_> {
    fn is_member(&self, value_set: &str, coded: &Coded<'_>) -> Option<bool> {
        let question = Question {
            value_set: value_set.to_owned(),
            system: coded.system.map(str::to_owned),
            code: coded.code.to_owned(),
        };
        if let Some(known) = self.server.answers().get(&question)
            && known.until > self.now
        {
            return known.is_member;
        }
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        if missed.len() < QUESTIONS_MAX && !missed.contains(&question) {
            missed.push(question);
        }
        None
    }
}
