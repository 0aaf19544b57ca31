//! What goes wrong, with the exit code and the hint that go with it.

use std::time::Duration;

use heyun_member::credential::CredentialError;
use heyun_member::error::{Class, Classify as _, answer, classify};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Exit codes: what scripts may rely on. `heyun help exit-codes` prints this table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// A failure of any other sort, or a finding of a command that judges.
    Failure = 1,
    /// The command line or an input file is wrong.
    Usage = 2,
    /// What was asked for does not exist.
    NotFound = 3,
    /// The caller may not, or is not who it says.
    Denied = 4,
    /// Somebody else has it, or wrote first.
    Conflict = 5,
    /// It did not happen in time.
    Timeout = 6,
    /// The quota does not cover it.
    Quota = 7,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// An error for people: one sentence that names value and place, and a hint with the fix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Exit code of the process.
    pub exit: Exit,
    /// What is wrong, with value and place.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Error {
    /// An error without a hint.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
    }

    /// A failure without a code of its own.
    pub fn failure(message: impl Into<String>) -> Self {
        Self::new(Exit::Failure, message)
    }

    /// Wrong input.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The answer of an API server. `doing` as in "failed to …".
    pub fn kube(doing: &str, error: &kube::Error) -> Self {
        let (exit, hint) = judge(error);
        Self {
            exit,
            message: format!("failed to {doing}: {}", answer(error)),
            hint: hint.map(str::to_owned),
        }
    }

    /// Nobody answered in time.
    pub fn timeout(doing: &str, limit: Duration) -> Self {
        Self::new(
            Exit::Timeout,
            format!("failed to {doing}: no answer within {limit:?}"),
        )
        .hint("check that the cluster is reachable, or give --request-timeout more")
    }
}

fn judge(error: &kube::Error) -> (Exit, Option<&'static str>) {
    if let kube::Error::Api(status) = error {
        if status.is_not_found() {
            let of_kind = status.details.as_ref().is_none_or(|d| d.name.is_empty());
            let hint = "the API server does not know this kind: install charts/heyun-crds, or check --context";
            return (Exit::NotFound, of_kind.then_some(hint));
        }
        if status.is_conflict() || status.is_already_exists() {
            return (Exit::Conflict, None);
        }
        if status.code == 401 {
            let hint = "the credential of the kubeconfig is refused: renew it, or check --context";
            return (Exit::Denied, Some(hint));
        }
        if status.is_forbidden() {
            let hint = "ask the platform's administrators for a role, or check -n and --context";
            return (Exit::Denied, Some(hint));
        }
        return (Exit::Failure, None);
    }
    match classify(error) {
        Class::Unreachable => (
            Exit::Failure,
            Some(
                "the API server does not answer: check the address in the kubeconfig, or --context",
            ),
        ),
        Class::Denied => (
            Exit::Denied,
            Some("check the certificates and the credential of the kubeconfig"),
        ),
        _ => (Exit::Failure, None),
    }
}

impl From<heyun_sandbox::Error> for Error {
    fn from(error: heyun_sandbox::Error) -> Self {
        let exit = match error {
            heyun_sandbox::Error::Timeout { .. } => Exit::Timeout,
            heyun_sandbox::Error::Spec(_) => Exit::Usage,
            heyun_sandbox::Error::Missing(_) => Exit::NotFound,
            _ => Exit::Failure,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<CredentialError> for Error {
    fn from(error: CredentialError) -> Self {
        Self::usage(format!("{}: {}", error.place, error.problem)).hint(error.fix)
    }
}

impl From<heyun_member::error::Error> for Error {
    fn from(error: heyun_member::error::Error) -> Self {
        let exit = match error.class() {
            Class::Denied => Exit::Denied,
            Class::Conflict => Exit::Conflict,
            _ => Exit::Failure,
        };
        Self::new(exit, heyun_member::error::describe(&error))
    }
}
