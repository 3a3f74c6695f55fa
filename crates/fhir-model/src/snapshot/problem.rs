//! What can be wrong with a structure whose snapshot is wanted.

use crate::issue::Severity;

/// Something wrong with a structure, or with an element of its differential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{structure}{}: {kind}", .element.as_ref().map(|id| format!(", element {id}")).unwrap_or_default())]
pub struct SnapshotProblem {
    /// The canonical URL of the structure.
    pub structure: String,
    /// The id of the element, else its path.
    pub element: Option<String>,
    /// What is wrong.
    pub kind: SnapshotProblemKind,
}

/// The kinds of [`SnapshotProblem`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotProblemKind {
    /// An element that a structure cannot do without.
    #[error("{0} is missing or has no usable value")]
    Missing(&'static str),
    /// The base is not known.
    #[error("its base {0} is not known")]
    UnknownBase(String),
    /// A profile constrains another type than its base.
    #[error("it constrains {derived}, but its base is of type {base}")]
    OtherType {
        /// The type of the base.
        base: String,
        /// The type of the profile.
        derived: String,
    },
    /// Structures need each other's snapshots.
    #[error("its snapshot would need itself: {}", .0.join(" needs "))]
    Cycle(Vec<String>),
    /// Too many structures wait for each other, or elements nest too deep.
    #[error("structures or elements nest too deep")]
    TooDeep,
    /// A path that is none.
    #[error("{0} is not a path")]
    IllegalPath(String),
    /// The root of a differential has a type.
    #[error("the root element has a type")]
    TypeOnRoot,
    /// There is no such element in the base.
    #[error("the base has no such element")]
    UnknownElement,
    /// The element stands in another order than in the base.
    #[error("it stands in another order than in the base")]
    OutOfOrder,
    /// The differential goes into an element of a type that is not known.
    #[error("its type {0} is not known, so nothing is known of its children")]
    UnknownType(String),
    /// The content reference leads nowhere.
    #[error("there is no element {0}, which its content refers to")]
    UnknownContent(String),
    /// A profile that the element uses is not known.
    #[error("the profile {0} is not known")]
    UnknownProfile(String),
    /// A profile that the element uses constrains another type.
    #[error("the profile {profile} constrains {found}, not {wanted}")]
    ProfileOfOtherType {
        /// The profile.
        profile: String,
        /// What it constrains.
        found: String,
        /// The type of the element.
        wanted: String,
    },
    /// The type is not one of those of the base.
    #[error("type {code} is not among those of the base: {}", .allowed.join(", "))]
    TypeNotAllowed {
        /// The type.
        code: String,
        /// What the base allows.
        allowed: Vec<String>,
    },
    /// The minimum is below that of the base.
    #[error("the minimum {min} is less than that of the base, {base}")]
    MinBelowBase {
        /// The minimum.
        min: u64,
        /// That of the base.
        base: u64,
    },
    /// The maximum is above that of the base.
    #[error("the maximum {max} is greater than that of the base, {base}")]
    MaxAboveBase {
        /// The maximum.
        max: String,
        /// That of the base.
        base: String,
    },
    /// The binding is weaker than that of the base, which is required.
    #[error("the binding is {0}, but that of the base is required")]
    BindingWeakened(String),
    /// Must support is taken back.
    #[error("the base must be supported")]
    MustSupportTakenBack,
    /// There is a slice, but no slicing.
    #[error("it is a slice, but nothing says how it is sliced")]
    NotSliced,
    /// An element that does not repeat is sliced.
    #[error("it does not repeat, so it cannot be sliced")]
    DoesNotRepeat,
    /// The rules of slicing are not those of the base.
    #[error("its slicing contradicts that of the base")]
    SlicingChanged,
    /// A slice is added to a closed slicing.
    #[error("slicing is closed in the base, so there cannot be a new slice")]
    SlicingClosed,
    /// Two slices have the same name.
    #[error("there are two slices of this name")]
    SliceTwice,
    /// An element is there twice, and not as a slice.
    #[error("the element is there again without the name of a slice")]
    SliceUnnamed,
    /// The slice of a type must be named after it.
    #[error("the slice must be named {0}")]
    SliceName(String),
    /// Slicing by type says something else.
    #[error("the types of an element are sliced by $this in any order, and nothing else")]
    NotByType,
    /// Several types are mandatory where only one can be.
    #[error("it does not repeat, but has several slices of which one is mandatory")]
    SeveralMandatory,
    /// The slices need more than the element that they slice allows for.
    #[error("the minimum of its slices is {slices}, but its own is {min}")]
    MinOfSlices {
        /// The sum of the slices.
        slices: u64,
        /// Its own minimum.
        min: u64,
    },
}

impl SnapshotProblemKind {
    /// How bad it is: with a warning, or even an error, there is a snapshot nonetheless.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::UnknownProfile(_) | Self::MinOfSlices { .. } => Severity::Warning,
            Self::UnknownElement
            | Self::OutOfOrder
            | Self::ProfileOfOtherType { .. }
            | Self::MinBelowBase { .. }
            | Self::MaxAboveBase { .. }
            | Self::BindingWeakened(_)
            | Self::MustSupportTakenBack
            | Self::NotSliced
            | Self::SliceTwice
            | Self::SliceUnnamed => Severity::Error,
            _ => Severity::Fatal,
        }
    }
}

impl SnapshotProblem {
    /// A problem of a structure as a whole.
    pub(super) fn of_structure(structure: &str, kind: SnapshotProblemKind) -> Self {
        Self {
            structure: structure.to_owned(),
            element: None,
            kind,
        }
    }
}
