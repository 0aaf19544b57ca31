//! Conditions: their types and reasons are closed enums, shared by status, Events, metrics and logs.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Declares a closed enum whose variants are the PascalCase strings of the API.
macro_rules! closed_enum {
    ($(#[$m:meta])* $name:ident { $($(#[$v:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$m])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$v])* $variant),+ }

        impl $name {
            /// Every variant, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The string that stands in the API.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

closed_enum! {
    /// Types of conditions.
    ConditionType {
        /// The spec is valid in itself and against what it refers to.
        Accepted,
        /// The tenant's quota covers what is decided.
        QuotaReserved,
        /// A decision stands for this generation.
        Scheduled,
        /// Every object of every Work is applied on its member.
        Applied,
        /// The applied objects are healthy as their kinds define it.
        Healthy,
        /// All of the above: what `kubectl wait --for=condition=Ready` waits for.
        Ready,
        /// All of it ran to its end; the reason says how, and the message when and where.
        Finished,
        /// The member may receive new work.
        Schedulable,
        /// An observed object differs from what was applied.
        Drifted,
        /// The chain of a ResourceRequest is complete.
        Approved,
        /// A grant counts now.
        Active,
        /// Nothing more will come of a ResourceRequest; the reason says why.
        Ended,
    }
}

closed_enum! {
    /// Reasons of conditions that the hub sets itself. Reasons of a scheduling verdict are the
    /// codes of `heyun_scheduler::verdict`, which stand in the same place.
    Reason {
        /// Nothing is wrong.
        Ok,
        /// Not looked at yet.
        Pending,
        /// The object contradicts itself or the rules; the message names value, place and fix.
        Invalid,
        /// An object that this one names does not exist.
        NotFound,
        /// The parents of a Tenant form a cycle.
        Cycle,
        /// The parent of a Tenant does not exist or is not accepted.
        ParentMissing,
        /// Wider than what the parent allows.
        WiderThanParent,
        /// The namespace belongs to another tenant or existed before.
        NamespaceTaken,
        /// The namespace of a Workload belongs to no tenant.
        NoTenant,
        /// A manifest is of a kind that a Workload may not carry.
        KindNotAllowed,
        /// A Workload names what a guardrail of its tenant does not allow: an image, a storage
        /// class, a host or a priority class.
        GuardrailViolated,
        /// The endpoint of the member does not answer.
        Unreachable,
        /// The member answers and its API server is ready.
        Healthy,
        /// The member answers, but not as ready.
        NotReady,
        /// The credential of the member is missing, malformed or refused.
        CredentialInvalid,
        /// Another member has the same endpoint.
        DuplicateEndpoint,
        /// The platform administrator closed the member for new work.
        Cordoned,
        /// The Workload is suspended by its owner.
        Suspended,
        /// The Workload made room for another; the message says by what right.
        Preempted,
        /// The platforms of an image are not known: its registry gave no answer that tells them.
        ImagePlatformsUnknown,
        /// A decision was committed.
        Scheduled,
        /// Some objects are not applied yet.
        Applying,
        /// An apply failed; the message names object, member and answer.
        ApplyFailed,
        /// An object of that name exists and is not ours.
        ObjectExists,
        /// A field that Kubernetes keeps immutable would change.
        Immutable,
        /// Some objects are not healthy yet.
        Progressing,
        /// Objects on the member are newer than their Work: nothing is changed there.
        Recovering,
        /// The member's fence is higher than the hub ever wrote.
        FenceAhead,
        /// Two Flavors of equal precedence match the same node.
        FlavorTie,
        /// The numbers of a Quota contradict each other.
        QuotaInvalid,
        /// A raised guarantee is not covered by the parent yet.
        QuotaPending,
        /// Being deleted.
        Terminating,
        /// What was to be done is done.
        Complete,
        /// A part of it ended without that.
        Failed,
        /// The parent does not have what a ResourceRequest asks for, at some time of it.
        NoRoom,
        /// No ApprovalPolicy says who decides on a ResourceRequest.
        NoPolicy,
        /// A stage of the chain has not decided.
        AwaitingApproval,
        /// Each stage of the chain agreed.
        Approved,
        /// A rule of the ApprovalPolicy granted it at once.
        Automatic,
        /// A stage refused.
        Rejected,
        /// A stage wants it otherwise.
        ReturnedForCorrection,
        /// The tenant does not want it any more.
        Withdrawn,
        /// What was granted has not begun.
        NotBegun,
        /// What was granted counts.
        Granted,
        /// Its time is over.
        Expired,
        /// The tenant gave it back early.
        Released,
        /// The grant was taken back; the message says why.
        Revoked,
    }
}

/// Sets a condition in place and says whether anything but the time changed.
///
/// The transition time moves only when the status does; `now` is given by the caller.
pub fn set_condition(
    conditions: &mut Vec<Condition>,
    kind: ConditionType,
    status: Option<bool>,
    reason: &str,
    message: &str,
    observed_generation: Option<i64>,
    now: &Time,
) -> bool {
    let status = match status {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    if let Some(c) = conditions.iter_mut().find(|c| c.type_ == kind.as_str()) {
        if c.status == status
            && c.reason == reason
            && c.message == message
            && c.observed_generation == observed_generation
        {
            return false;
        }
        if c.status != status {
            c.last_transition_time = now.clone();
        }
        status.clone_into(&mut c.status);
        reason.clone_into(&mut c.reason);
        message.clone_into(&mut c.message);
        c.observed_generation = observed_generation;
        return true;
    }
    conditions.push(Condition {
        type_: kind.as_str().to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation,
        last_transition_time: now.clone(),
    });
    true
}

/// The condition of that type, if it is set.
pub fn condition(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|c| c.type_ == kind.as_str())
}

/// True when the condition is set and its status is `True`.
pub fn is_true(conditions: &[Condition], kind: ConditionType) -> bool {
    condition(conditions, kind).is_some_and(|c| c.status == "True")
}
