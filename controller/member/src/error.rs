//! Errors by class, and the one table from class to delay.
//!
//! | class | who can change it | tried again |
//! |---|---|---|
//! | `Invalid` | the author of the object | when it changes |
//! | `Conflict` | nobody: somebody else was first | after 1 s |
//! | `Throttled` | the API server | after the delay it asks for |
//! | `Unreachable` | the network or the cluster | 5 s to 5 min, doubled, per cluster |
//! | `Denied` | an administrator, or a fence | after 5 min |
//! | `Transient` | time | 1 s to 2 min, doubled, per object |
//! | `Bug` | us | after 10 min |
//!
//! Each delay gets up to a tenth of jitter, drawn from the object's name and the number of
//! attempts, so that what failed together is not tried together.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::time::Duration;

use heyun_crds::conditions::Reason;
use kube::core::Status;

/// What every refusal of a fence begins with.
pub const FENCE_REFUSAL: &str = "heyun fence";

/// What sort of error it is: it decides when it is tried again, and stands in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The object itself is wrong; trying again without a change is useless.
    Invalid,
    /// Somebody else wrote first.
    Conflict,
    /// The API server asks to wait.
    Throttled {
        /// How long it asks to wait.
        after: Duration,
    },
    /// No answer: the outcome is unknown.
    Unreachable,
    /// Authentication, authorization, admission or a fence refused it.
    Denied,
    /// It may pass by itself.
    Transient,
    /// It cannot be: an answer that does not parse, a request that cannot be built.
    Bug,
}

impl Class {
    /// The class as it stands in metrics and logs (`error.type`).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::Throttled { .. } => "throttled",
            Self::Unreachable => "unreachable",
            Self::Denied => "denied",
            Self::Transient => "transient",
            Self::Bug => "bug",
        }
    }

    /// Which of two is to be tried again sooner. `None` where neither is.
    pub fn soonest(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(if a.urgency() <= b.urgency() { a } else { b }),
            (a, b) => a.or(b),
        }
    }

    const fn urgency(self) -> u8 {
        match self {
            Self::Conflict => 0,
            Self::Throttled { .. } => 1,
            Self::Transient => 2,
            Self::Unreachable => 3,
            Self::Denied => 4,
            Self::Bug => 5,
            Self::Invalid => 6,
        }
    }
}

/// An error that knows its class.
pub trait Classify {
    /// The class of this error.
    fn class(&self) -> Class;
}

impl Classify for kube::Error {
    fn class(&self) -> Class {
        classify(self)
    }
}

/// The class of an answer, or of the lack of one.
pub fn classify(error: &kube::Error) -> Class {
    match error {
        kube::Error::Api(status) => classify_status(status),
        kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => {
            Class::Unreachable
        }
        kube::Error::Auth(_)
        | kube::Error::InferConfig(_)
        | kube::Error::InferKubeconfig(_)
        | kube::Error::RustlsTls(_)
        | kube::Error::TlsRequired => Class::Denied,
        kube::Error::Discovery(_) => Class::Transient,
        _ => Class::Bug,
    }
}

fn classify_status(status: &Status) -> Class {
    if is_fence(status) {
        return Class::Denied;
    }
    let asked = status.details.as_ref().map_or(0, |d| d.retry_after_seconds);
    match status.code {
        409 => Class::Conflict,
        429 => Class::Throttled {
            after: Duration::from_secs(u64::from(asked.max(1))),
        },
        // A namespace that is going away refuses creations with 403 until it is gone.
        403 if has_cause(status, "NamespaceTerminating") => Class::Transient,
        401 | 403 => Class::Denied,
        400 | 405 | 406 | 413 | 415 | 422 => Class::Invalid,
        // 404: a kind or a namespace that may come; 410: a list that went on for too long.
        404 | 408 | 410 => Class::Transient,
        503 if asked > 0 => Class::Throttled {
            after: Duration::from_secs(u64::from(asked)),
        },
        code if code >= 500 => Class::Transient,
        _ => Class::Bug,
    }
}

/// Whether an error is a fence's refusal: a newer leader writes.
pub fn is_fenced(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if is_fence(status))
}

/// Only the policies that Heyun installs speak for a fence: text of a tenant, which an API server
/// quotes when it refuses a value, must not pass for one. Before their words stand resource and
/// name, and nothing else that is quoted.
fn is_fence(status: &Status) -> bool {
    if !matches!(status.code, 403 | 422) {
        return false;
    }
    let spoken = "\" is forbidden: ValidatingAdmissionPolicy 'heyun-";
    let Some((subject, words)) = status.message.split_once(spoken) else {
        return false;
    };
    subject.matches('"').count() == 1
        && words
            .split_once("' denied request: ")
            .is_some_and(|(_, why)| why.starts_with(FENCE_REFUSAL))
}

fn has_cause(status: &Status, reason: &str) -> bool {
    status
        .details
        .as_ref()
        .is_some_and(|d| d.causes.iter().any(|c| c.reason == reason))
}

/// What an API server said, without the request around it; one line.
pub fn answer(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => one_line(&status.message),
        kube::Error::Api(status) => format!("{} ({})", status.reason, status.code),
        other => describe(other),
    }
}

/// An error and its causes in one line; the chain is walked here and nowhere else.
pub fn describe(error: &(dyn StdError + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        // `Display` of this one prints the whole status twice.
        let api = error
            .downcast_ref::<kube::Error>()
            .or_else(|| error.downcast_ref::<Box<kube::Error>>().map(Box::as_ref));
        let (part, cause) = match api {
            Some(api @ kube::Error::Api(_)) => (answer(api), None),
            _ => (one_line(&error.to_string()), error.source()),
        };
        if !text.ends_with(&part) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&part);
        }
        next = cause;
    }
    text
}

/// Longest text that goes into a condition or an object's state, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 1024;

fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(MESSAGE_BYTES_MAX));
    for word in text.split_whitespace() {
        if line.len() + word.len() + 4 > MESSAGE_BYTES_MAX {
            line.push_str(" …");
            break;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// When to try again: `None` means when the object changes. `attempts` is how often it failed in
/// a row before (0 at the first failure); `key` names the object or cluster, for jitter.
pub fn requeue(class: Class, attempts: u32, key: &str) -> Option<Duration> {
    let base = match class {
        Class::Invalid => return None,
        Class::Conflict => Duration::from_secs(1),
        Class::Throttled { after } => after,
        Class::Unreachable => doubled(Duration::from_secs(5), attempts, Duration::from_mins(5)),
        Class::Denied => Duration::from_mins(5),
        Class::Transient => doubled(Duration::from_secs(1), attempts, Duration::from_mins(2)),
        Class::Bug => Duration::from_mins(10),
    };
    Some(base + jitter(base / 10, key, attempts))
}

/// When to look again at what is well: `period`, less or more up to a tenth, by `key`.
pub fn resync(period: Duration, key: &str) -> Duration {
    period * 9 / 10 + jitter(period / 5, key, 0)
}

fn doubled(first: Duration, attempts: u32, most: Duration) -> Duration {
    first
        .saturating_mul(1_u32.checked_shl(attempts.min(16)).unwrap_or(u32::MAX))
        .min(most)
}

/// A part of `most`, the same for the same key and attempt (FNV-1a).
fn jitter(most: Duration, key: &str, attempts: u32) -> Duration {
    let mut hash: u32 = 0x811c_9dc5;
    for byte in key.bytes().chain(attempts.to_le_bytes()) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    most.saturating_mul(hash % 1000) / 1000
}

/// Most keys whose failures are counted; beyond it the smallest key is forgotten.
pub const ATTEMPTS_MAX: usize = 20_000;

/// How often each key failed in a row.
#[derive(Debug, Default)]
pub struct Attempts {
    counts: BTreeMap<String, u32>,
}

impl Attempts {
    /// Counts a failure and says when to try again; `None`: when the object changes.
    pub fn failed(&mut self, key: &str, class: Class) -> Option<Duration> {
        if self.counts.len() >= ATTEMPTS_MAX && !self.counts.contains_key(key) {
            self.counts.pop_first();
        }
        let count = self.counts.entry(key.to_owned()).or_insert(0);
        let delay = requeue(class, *count, key);
        *count = count.saturating_add(1);
        delay
    }

    /// Forgets the failures of a key.
    pub fn succeeded(&mut self, key: &str) {
        self.counts.remove(key);
    }
}

/// What went wrong between us and a cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request failed.
    #[error("failed to {doing}")]
    Request {
        /// What the request was for, as in "failed to …".
        doing: String,
        /// The answer, or the lack of one.
        #[source]
        source: Box<kube::Error>,
    },
    /// A request was not answered in time: its outcome is unknown.
    #[error("failed to {doing}: no answer within {limit:?}")]
    Deadline {
        /// What the request was for.
        doing: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The member's fence is higher than what this hub ever wrote there.
    #[error(
        "Lease {namespace}/{name} on the member shows {found}, the hub's number is {number}: \
         another hub has written here; fence the member anew by hand"
    )]
    FenceAhead {
        /// Namespace of the fence.
        namespace: &'static str,
        /// Name of the fence.
        name: &'static str,
        /// The number that the fence shows.
        found: i64,
        /// The number that was to be written.
        number: i64,
    },
    /// Something is refused by a rule of ours.
    #[error("{message}")]
    Refused {
        /// Reason code.
        reason: Reason,
        /// Names value, place and fix.
        message: String,
    },
}

impl Error {
    /// A failed request.
    pub fn request(doing: impl Into<String>, source: kube::Error) -> Self {
        Self::Request {
            doing: doing.into(),
            source: Box::new(source),
        }
    }

    /// Whether a fence refused it: a newer leader writes.
    pub fn is_fenced(&self) -> bool {
        match self {
            Self::Request { source, .. } => is_fenced(source),
            Self::FenceAhead { .. } => true,
            Self::Deadline { .. } | Self::Refused { .. } => false,
        }
    }

    /// The status that the API server answered with, if it answered.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Request { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Classify for Error {
    fn class(&self) -> Class {
        match self {
            Self::Request { source, .. } => classify(source),
            Self::Deadline { .. } => Class::Unreachable,
            Self::FenceAhead { .. } => Class::Denied,
            Self::Refused { reason, .. } => class_of(*reason),
        }
    }
}

/// Who can change what is refused for that reason.
fn class_of(reason: Reason) -> Class {
    match reason {
        // A payload, a kind or a namespace that is on its way.
        Reason::NotFound => Class::Transient,
        // An administrator of the member.
        Reason::NamespaceTaken | Reason::ObjectExists | Reason::Recovering => Class::Denied,
        _ => Class::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Box::new(Status::failure(message, "Any").with_code(code)))
    }

    #[test]
    fn answers_have_the_class_that_decides_when_they_are_tried_again() {
        let cases = [
            (400, Class::Invalid),
            (401, Class::Denied),
            (403, Class::Denied),
            (404, Class::Transient),
            (409, Class::Conflict),
            (422, Class::Invalid),
            (
                429,
                Class::Throttled {
                    after: Duration::from_secs(1),
                },
            ),
            (500, Class::Transient),
            (503, Class::Transient),
            (302, Class::Bug),
        ];
        for (code, class) in cases {
            assert_eq!(classify(&api(code, "no")), class, "{code}");
        }
    }

    const FENCED: &str = "deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy \
        'heyun-member-fence' with binding 'heyun-member-fence' denied request: heyun fence: \
        heyun.dev/epoch 3 is below, the number in force is 4";

    #[test]
    fn a_fence_refusal_is_denied_whatever_its_code() {
        for code in [403, 422] {
            assert_eq!(classify(&api(code, FENCED)), Class::Denied);
            assert!(is_fenced(&api(code, FENCED)));
        }
        assert!(!is_fenced(&api(422, "field is immutable")));
    }

    #[test]
    fn what_a_tenant_wrote_does_not_pass_for_a_fence() {
        for value in ["heyun fence: no", FENCED] {
            let quoted = format!(
                "Deployment.apps \"web\" is invalid: spec.template.labels: Invalid value: \
                 \"{value}\": must be a label"
            );
            assert!(!is_fenced(&api(422, &quoted)), "{quoted}");
            assert_eq!(classify(&api(422, &quoted)), Class::Invalid);
        }
    }

    #[test]
    fn delays_grow_to_their_bound_and_jitter_stays_within_a_tenth() {
        for attempts in 0..40 {
            let delay = requeue(Class::Transient, attempts, "a").unwrap();
            assert!(delay >= Duration::from_secs(1) && delay <= Duration::from_secs(132));
        }
        assert!(requeue(Class::Unreachable, 0, "m").unwrap() >= Duration::from_secs(5));
        assert!(requeue(Class::Unreachable, 30, "m").unwrap() >= Duration::from_mins(5));
        assert_eq!(requeue(Class::Invalid, 0, "a"), None);
        assert_eq!(
            requeue(Class::Conflict, 3, "a"),
            requeue(Class::Conflict, 3, "a")
        );
        assert_ne!(
            requeue(Class::Conflict, 3, "a"),
            requeue(Class::Conflict, 3, "b")
        );
    }

    #[test]
    fn attempts_are_forgotten_after_success_and_are_bounded() {
        let mut attempts = Attempts::default();
        let first = attempts.failed("a", Class::Transient).unwrap();
        assert!(attempts.failed("a", Class::Transient).unwrap() > first);
        attempts.succeeded("a");
        assert_eq!(attempts.failed("a", Class::Transient).unwrap(), first);
        for n in 0..=ATTEMPTS_MAX {
            attempts.failed(&format!("k{n}"), Class::Transient);
        }
        assert_eq!(attempts.counts.len(), ATTEMPTS_MAX);
    }

    #[test]
    fn a_description_says_each_cause_once() {
        let error = Error::request(
            "apply Deployment/web",
            api(422, "spec.selector:\n  immutable"),
        );
        assert_eq!(
            describe(&error),
            "failed to apply Deployment/web: spec.selector: immutable"
        );
    }

    #[test]
    fn the_soonest_class_wins() {
        assert_eq!(
            Class::soonest(Some(Class::Denied), Some(Class::Conflict)),
            Some(Class::Conflict)
        );
        assert_eq!(
            Class::soonest(None, Some(Class::Invalid)),
            Some(Class::Invalid)
        );
        assert_eq!(Class::soonest(None, None), None);
    }
}
