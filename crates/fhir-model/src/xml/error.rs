//! Why and where a text is not FHIR XML, and why a tree cannot be written as XML.

use crate::issue::{Issue, IssueType, Severity};
use crate::tree::{LineColumn, ParseError, ParseErrorKind, line_column};

/// Why a text is not a resource in XML that we take.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum XmlErrorKind {
    /// There is no element.
    #[error("there is no XML element")]
    Empty,
    /// The text is longer than the limit.
    #[error("the text is longer than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// Elements nest deeper than the limit.
    #[error("elements nest deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: u32,
    },
    /// There are more elements and attributes than the limit.
    #[error("there are more than {limit} elements")]
    TooManyElements {
        /// The limit.
        limit: u32,
    },
    /// One element has more attributes than the limit.
    #[error("an element has more than {limit} attributes")]
    TooManyAttributes {
        /// The limit.
        limit: usize,
    },
    /// More namespaces are declared than the limit.
    #[error("more than {limit} namespaces are declared")]
    TooManyNamespaces {
        /// The limit.
        limit: usize,
    },
    /// A byte sequence that is not UTF-8, or a declaration that says it is something else.
    #[error("the text is not UTF-8, as FHIR wants it")]
    NotUtf8,
    /// The text breaks the grammar of XML.
    #[error("this is not well-formed XML: {reason}")]
    NotWellFormed {
        /// What is wrong; of the text, it quotes names only.
        reason: String,
    },
    /// The text ends inside an element.
    #[error("the text ends before its first element does")]
    UnexpectedEnd,
    /// There is an element after the first one.
    #[error("there is something after the end of the resource")]
    TrailingData,
    /// A `<!DOCTYPE`.
    #[error("a document type declaration is not allowed")]
    DocumentType,
    /// A reference to an entity that XML itself does not define.
    #[error("the entity '{name}' is not defined; write the character itself")]
    Entity {
        /// Its name.
        name: String,
    },
    /// A character that XML 1.0 does not allow, also by a reference.
    #[error("the character U+{code:04X} is not allowed in XML")]
    Character {
        /// The character.
        code: u32,
    },
    /// An element that is not in the namespace of FHIR.
    #[error("the element '{name}' is not in the namespace http://hl7.org/fhir")]
    Namespace {
        /// Its name.
        name: String,
    },
    /// An element stands where a resource must, and is none.
    #[error("'{name}' is not a resource type of R4")]
    UnknownResource {
        /// Its name.
        name: String,
    },
    /// An element that is not defined here.
    #[error("the element '{name}' is not defined here")]
    UnknownElement {
        /// Its name.
        name: String,
    },
    /// An attribute that is not defined here.
    #[error("the attribute '{name}' is not defined here")]
    UnknownAttribute {
        /// Its name.
        name: String,
    },
    /// An attribute that this element has already.
    #[error("the attribute '{name}' is given twice")]
    RepeatedAttribute {
        /// Its name.
        name: String,
    },
    /// An element that must not repeat does.
    #[error("the element '{name}' must not repeat")]
    Repeated {
        /// Its name.
        name: String,
    },
    /// Text between elements.
    #[error("text is not allowed here: FHIR has values in attributes")]
    Text,
    /// An element that holds a resource is empty.
    #[error("a resource is expected in this element")]
    ResourceExpected,
    /// An element that holds a resource has several.
    #[error("one resource is expected in this element, not several")]
    SeveralResources,
    /// A value that has no spelling in JSON.
    #[error("the value does not have the form of {type_name}")]
    Value {
        /// The type of the element.
        type_name: String,
    },
    /// The narrative is not a `div` in the namespace of XHTML, or has names with prefixes.
    #[error(
        "the narrative is a div in the namespace http://www.w3.org/1999/xhtml, without prefixes"
    )]
    NotXhtml,
    /// The JSON text that was made breaks a limit of JSON.
    #[error("{0}")]
    Json(ParseErrorKind),
}

/// Why and where a text is not a resource in XML that we take.
///
/// `Display` quotes nothing of the text but names.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{kind} (line {line}, column {column}{})", at_path(path))]
pub struct XmlError {
    /// What is wrong.
    pub kind: XmlErrorKind,
    /// The byte where it is wrong.
    pub offset: usize,
    /// The line of that byte, from 1.
    pub line: u32,
    /// The character in that line, from 1.
    pub column: u32,
    /// The innermost element that is known, as a FHIRPath from the resource.
    pub path: String,
}

impl XmlError {
    pub(super) fn new(kind: XmlErrorKind, bytes: &[u8], offset: usize, path: String) -> Self {
        let place = line_column(bytes, offset);
        Self {
            kind,
            offset,
            line: place.line,
            column: place.column,
            path,
        }
    }
}

impl From<ParseError> for XmlError {
    /// The JSON text is ours and nobody has it, so the place in it says nothing: the path does.
    fn from(error: ParseError) -> Self {
        Self::new(XmlErrorKind::Json(error.kind), b"", 0, error.path)
    }
}

impl From<&XmlError> for Issue {
    fn from(error: &XmlError) -> Self {
        let code = match error.kind {
            XmlErrorKind::TooLarge { .. } | XmlErrorKind::TooManyElements { .. } => {
                IssueType::TooLong
            }
            XmlErrorKind::Value { .. } => IssueType::Value,
            _ => IssueType::Structure,
        };
        let place = LineColumn {
            line: error.line,
            column: error.column,
        };
        Self::new(Severity::Fatal, code, error.kind.to_string())
            .at(error.path.clone())
            .in_text(place)
    }
}

/// Why a tree cannot be written as FHIR XML. A valid resource always can, but for control
/// characters, which JSON has a spelling for and XML 1.0 has not.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WriteErrorKind {
    /// It is not a resource of a type that R4 knows.
    #[error("the resource type is not known")]
    UnknownResource,
    /// A property that is not defined here, so that it has no place in the order of elements.
    #[error("the property is not defined")]
    UnknownProperty,
    /// A value of another kind than the definition says.
    #[error("the value is not of the kind that is defined")]
    Kind,
    /// A character that XML 1.0 does not allow.
    #[error("the character U+{code:04X} is not allowed in XML")]
    Character {
        /// The character.
        code: u32,
    },
    /// The narrative is not well-formed XHTML.
    #[error("the narrative is not well-formed: {0}")]
    Narrative(Box<XmlErrorKind>),
}

/// Why and where a tree cannot be written as FHIR XML.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("this resource has no XML form: {kind}{}", at_path(path))]
pub struct WriteError {
    /// What is wrong.
    pub kind: WriteErrorKind,
    /// Where, as a FHIRPath.
    pub path: String,
}

impl From<&WriteError> for Issue {
    fn from(error: &WriteError) -> Self {
        let text = format!("this resource has no XML form: {}", error.kind);
        Self::error(IssueType::Structure, text).at(error.path.clone())
    }
}

fn at_path(path: &str) -> String {
    if path.is_empty() {
        return String::new();
    }
    format!(", at {path}")
}
