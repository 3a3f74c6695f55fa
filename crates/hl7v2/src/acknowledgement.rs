//! Acknowledgements: whether to answer, with which code, and the answer itself (HL7 v2.9, sections
//! 2.9.2 and 2.9.3, tables 0008 and 0155).
//!
//! When a message is safe enough to be accepted is the caller's decision, as are the time and the
//! identifier of the answer. No text here comes from a message, except what must be echoed.

mod error;
mod read;
mod write;

pub use crate::acknowledgement::error::{AckError, ErrorCondition, ErrorSeverity};
pub use crate::acknowledgement::read::{Answer, AnswerError, ReportedError, read};
pub use crate::acknowledgement::write::Acknowledgement;
use crate::message::Message;
use crate::segment::Msa;

/// Acknowledgement code, MSA-1, table 0008.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AckCode {
    /// Application accept.
    AA,
    /// Application error: may be corrected and sent again.
    AE,
    /// Application reject: will never work.
    AR,
    /// Commit accept: safely stored.
    CA,
    /// Commit error: could not be stored.
    CE,
    /// Commit reject: will never be stored.
    CR,
}

/// One row per code: its text, and the code for the same message when it could not be accepted.
const ACK_CODES: &[(&str, AckCode, AckCode)] = &[
    ("AA", AckCode::AA, AckCode::AE),
    ("AE", AckCode::AE, AckCode::AE),
    ("AR", AckCode::AR, AckCode::AR),
    ("CA", AckCode::CA, AckCode::CE),
    ("CE", AckCode::CE, AckCode::CE),
    ("CR", AckCode::CR, AckCode::CR),
];

impl AckCode {
    /// Reads MSA-1.
    pub fn read(text: &str) -> Option<Self> {
        let row = ACK_CODES.iter().find(|(name, ..)| *name == text.trim());
        row.map(|(_, code, _)| *code)
    }

    /// The code as it is written.
    pub fn as_str(self) -> &'static str {
        let row = ACK_CODES.iter().find(|(_, code, _)| *code == self);
        row.map_or("AE", |(name, ..)| name)
    }

    /// Whether the sender may forget the message.
    pub fn is_positive(self) -> bool {
        self.negative() != self
    }

    /// The error of the same mode for a positive code; any other code as it is.
    pub(crate) fn negative(self) -> Self {
        let row = ACK_CODES.iter().find(|(_, code, _)| *code == self);
        row.map_or(Self::AE, |(.., negative)| *negative)
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It is ours now: stored so that it cannot be lost.
    Accepted,
    /// It was not taken; sending it again, perhaps corrected, may help.
    Error,
    /// It was not taken and never will be.
    Rejected,
}

/// When an acknowledgement is wanted, MSH-15 and MSH-16, table 0155.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `AL`: always.
    Always,
    /// `NE`: never.
    Never,
    /// `ER`: on error or reject only.
    Error,
    /// `SU`: on success only.
    Success,
}

impl Condition {
    /// Reads MSH-15 or MSH-16.
    pub fn read(text: &str) -> Option<Self> {
        match text.trim() {
            "AL" => Some(Self::Always),
            "NE" => Some(Self::Never),
            "ER" => Some(Self::Error),
            "SU" => Some(Self::Success),
            _ => None,
        }
    }

    fn holds(self, disposition: Disposition) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Error => disposition != Disposition::Accepted,
            Self::Success => disposition == Disposition::Accepted,
        }
    }
}

/// Which acknowledgements a source gets, whatever its messages ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AckPolicy {
    /// What MSH-15 and MSH-16 ask for.
    #[default]
    AsAsked,
    /// One application acknowledgement (AA, AE, AR): many senders ask for none and wait for it.
    Application,
    /// One commit acknowledgement (CA, CE, CR).
    Commit,
    /// None.
    Silent,
}

/// The two ways of acknowledging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckMode {
    /// MSH-15 and MSH-16 are empty: one application acknowledgement.
    Original,
    /// At least one of them is valued: a commit and an application acknowledgement, each as asked.
    Enhanced,
}

/// Which acknowledgements a message gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckPlan {
    /// The way of acknowledging.
    pub mode: AckMode,
    /// When a commit acknowledgement is sent.
    pub commit: Condition,
    /// When an application acknowledgement is sent.
    pub application: Condition,
    /// MSH-15 or MSH-16 has a value that is not in table 0155; it was taken as empty.
    pub unknown_condition: bool,
}

impl AckPlan {
    const fn of(mode: AckMode, commit: Condition, application: Condition) -> Self {
        Self {
            mode,
            commit,
            application,
            unknown_condition: false,
        }
    }

    /// The code to answer with at once, on the connection that the message came by: the commit
    /// acknowledgement if one is wanted, else the application acknowledgement.
    pub fn immediate(self, disposition: Disposition) -> Option<AckCode> {
        self.commit_code(disposition)
            .or_else(|| self.application_code(disposition))
    }

    /// The code of an application acknowledgement that is sent later, as a message of its own:
    /// only when both kinds are wanted, because one alone is sent at once.
    pub fn deferred(self, disposition: Disposition) -> Option<AckCode> {
        self.commit_code(disposition)
            .and_then(|_| self.application_code(disposition))
    }

    fn commit_code(self, disposition: Disposition) -> Option<AckCode> {
        self.commit.holds(disposition).then_some(match disposition {
            Disposition::Accepted => AckCode::CA,
            Disposition::Error => AckCode::CE,
            Disposition::Rejected => AckCode::CR,
        })
    }

    fn application_code(self, disposition: Disposition) -> Option<AckCode> {
        self.application
            .holds(disposition)
            .then_some(match disposition {
                Disposition::Accepted => AckCode::AA,
                Disposition::Error => AckCode::AE,
                Disposition::Rejected => AckCode::AR,
            })
    }
}

/// Decides which acknowledgements a message gets. An acknowledgement never gets one.
pub fn mode(message: &Message, policy: AckPolicy) -> AckPlan {
    use Condition::{Always, Never};
    if is_acknowledgement(message) {
        return AckPlan::of(AckMode::Original, Never, Never);
    }
    match policy {
        AckPolicy::AsAsked => as_asked(message),
        AckPolicy::Application => AckPlan::of(AckMode::Original, Never, Always),
        AckPolicy::Commit => AckPlan::of(AckMode::Enhanced, Always, Never),
        AckPolicy::Silent => AckPlan::of(AckMode::Enhanced, Never, Never),
    }
}

fn as_asked(message: &Message) -> AckPlan {
    let asked = [15, 16].map(|field| message.header().field(field).value());
    let [commit, application] =
        [0, 1].map(|index: usize| Condition::read(asked.get(index)?.as_deref()?));
    let known = [commit, application].into_iter().flatten().count();
    let unknown_condition = asked.iter().flatten().count() > known;
    let plan = match (commit, application) {
        (None, None) => AckPlan::of(AckMode::Original, Condition::Never, Condition::Always),
        _ => AckPlan::of(
            AckMode::Enhanced,
            commit.unwrap_or(Condition::Never),
            application.unwrap_or(Condition::Never),
        ),
    };
    AckPlan {
        unknown_condition,
        ..plan
    }
}

/// Whether a message is itself an acknowledgement or another answer, which must not be answered.
pub fn is_acknowledgement(message: &Message) -> bool {
    message.message_code().as_deref() == Some("ACK") || message.view::<Msa>().is_some()
}

#[cfg(test)]
mod tests;
