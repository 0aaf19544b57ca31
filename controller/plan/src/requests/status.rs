//! What is shown of a request.

use heyun_crds::approval::ApprovalVerdict;
use heyun_crds::conditions::{ConditionType, Reason, condition, set_condition};
use heyun_crds::quota::Grant;
use heyun_crds::resource_request::ResourceRequestStatus;
use heyun_crds::{Quota, ResourceRequest};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube_core::ResourceExt as _;

use super::{Booking, Judgement, Scene};
use crate::approve::Standing;
use crate::explain::shorten;

/// Most bytes of a message.
const MESSAGE_BYTES: usize = 1024;
/// What stands before who approved, in the condition that remembers it.
const APPROVED_BY: &str = "approved by ";

/// What a condition says.
struct Said(ConditionType, bool, Reason, String);

/// The status of a request that has not ended. What its Quota has, and not what it should have, says
/// whether it counts: the Quota is written first.
pub fn status(
    one: &Judgement<'_>,
    booking: &Booking,
    scene: &Scene<'_>,
    now: &Time,
) -> ResourceRequestStatus {
    let request = one.request;
    let uid = request.uid().unwrap_or_default();
    let grant = scene
        .quotas
        .get(&request.spec.tenant)
        .and_then(Quota::effective)
        .and_then(|effective| effective.grants.iter().find(|grant| grant.uid == uid));
    let short = booking.short.get(&uid);
    let mut status = request.status.clone().unwrap_or_default();
    let generation = request.metadata.generation.unwrap_or_default();
    status.observed_generation = generation;
    status.hash.clone_from(&one.hash);
    if let Some(chain) = &one.chain {
        status.chain.clone_from(&chain.name);
    }
    status.stage = match &one.standing {
        Standing::Waiting { stage, .. } => stage.clone(),
        Standing::Nobody | Standing::Approved { .. } | Standing::Over { .. } => String::new(),
    };
    let ended = ended(one, grant, scene);
    let mut said = vec![accepted(one, short), approved(one)];
    said.push(active(one, grant, short, ended.as_ref()));
    said.extend(ended);
    status.summary = summary(&said).to_string();
    for Said(kind, is, reason, mut message) in said {
        shorten(&mut message, MESSAGE_BYTES);
        set_condition(
            &mut status.conditions,
            kind,
            Some(is),
            reason.as_str(),
            &message,
            Some(generation),
            now,
        );
    }
    status
}

/// The reason that matters most: of the end, else of what is in the way, else of what is reached.
fn summary(said: &[Said]) -> Reason {
    let of = |kind: ConditionType| said.iter().find(|said| said.0 == kind);
    let end = of(ConditionType::Ended);
    let not = |kind| of(kind).filter(|said| !said.1);
    let first = end
        .or_else(|| not(ConditionType::Accepted))
        .or_else(|| not(ConditionType::Approved))
        .or_else(|| of(ConditionType::Active));
    first.map_or(Reason::Pending, |said| said.2)
}

fn accepted(one: &Judgement<'_>, short: Option<&String>) -> Said {
    let kind = ConditionType::Accepted;
    match (&one.share, short) {
        (Err(refusal), _) => Said(kind, false, refusal.reason, refusal.message.clone()),
        (Ok(_), Some(short)) => Said(kind, false, Reason::NoRoom, short.clone()),
        (Ok(_), None) => {
            let message = "it is sound, and there is room for it".to_owned();
            Said(kind, true, Reason::Ok, message)
        }
    }
}

fn approved(one: &Judgement<'_>) -> Said {
    let kind = ConditionType::Approved;
    match &one.standing {
        Standing::Approved { by } if by.is_empty() => {
            let message = "a rule of the ApprovalPolicy grants it at once".to_owned();
            Said(kind, true, Reason::Automatic, message)
        }
        Standing::Approved { by } => {
            let message = format!("{APPROVED_BY}{}", by.join(", "));
            Said(kind, true, Reason::Approved, message)
        }
        Standing::Over { verdict, said } => match reason_of(*verdict) {
            // What was approved was: it ended another way.
            Reason::Released | Reason::Revoked => before(one, said),
            reason => Said(kind, false, reason, said.clone()),
        },
        Standing::Nobody if one.share.is_err() => {
            let message = "it is not accepted, so nobody is asked".to_owned();
            Said(kind, false, Reason::Pending, message)
        }
        Standing::Nobody => {
            let message = "no rule of an ApprovalPolicy fits this request, so nobody can grant it: ask the platform for one".to_owned();
            Said(kind, false, Reason::NoPolicy, message)
        }
        Standing::Waiting {
            stage,
            agreed,
            needed,
        } => {
            let message = format!("stage {stage}: {agreed} of {needed} agreed");
            Said(kind, false, Reason::AwaitingApproval, message)
        }
    }
}

/// `Approved` as it stands.
fn before(one: &Judgement<'_>, said: &str) -> Said {
    let kind = ConditionType::Approved;
    let conditions = one.request.status.as_ref().map(|s| s.conditions.as_slice());
    match condition(conditions.unwrap_or_default(), kind) {
        Some(old) if old.reason == Reason::Automatic.as_str() => {
            Said(kind, true, Reason::Automatic, old.message.clone())
        }
        Some(old) => Said(kind, true, Reason::Approved, old.message.clone()),
        None => Said(kind, true, Reason::Approved, said.to_owned()),
    }
}

/// Who approved it, by the condition that remembers it.
pub(super) fn approved_by(request: &ResourceRequest) -> Vec<String> {
    let conditions = request.status.as_ref().map(|s| s.conditions.as_slice());
    condition(conditions.unwrap_or_default(), ConditionType::Approved)
        .and_then(|old| old.message.strip_prefix(APPROVED_BY))
        .map(|by| by.split(", ").map(str::to_owned).collect())
        .unwrap_or_default()
}

fn active(
    one: &Judgement<'_>,
    grant: Option<&Grant>,
    short: Option<&String>,
    ended: Option<&Said>,
) -> Said {
    let kind = ConditionType::Active;
    if let Some(Said(_, _, reason, message)) = ended {
        return Said(kind, false, *reason, message.clone());
    }
    match (grant, &one.standing) {
        (Some(grant), _) if grant.active => {
            let message = format!("it counts in the quota until {}", grant.until);
            Said(kind, true, Reason::Granted, message)
        }
        (Some(grant), _) => {
            let message = format!("it is promised, and counts from {} on", grant.from);
            Said(kind, false, Reason::NotBegun, message)
        }
        (None, Standing::Approved { .. }) => {
            if let Some(short) = short {
                return Said(kind, false, Reason::NoRoom, short.clone());
            }
            let message = "the quota has not taken it in yet".to_owned();
            Said(kind, false, Reason::Pending, message)
        }
        (None, _) => {
            let message = "it is not approved".to_owned();
            Said(kind, false, Reason::Pending, message)
        }
    }
}

/// The end, once the Quota is rid of it.
fn ended(one: &Judgement<'_>, grant: Option<&Grant>, scene: &Scene<'_>) -> Option<Said> {
    let kind = ConditionType::Ended;
    if grant.is_some() {
        return None;
    }
    if let Standing::Over { verdict, said } = &one.standing {
        return Some(Said(kind, true, reason_of(*verdict), said.clone()));
    }
    let share = one.share.as_ref().ok()?;
    (share.until <= scene.now).then(|| {
        let message = format!("its time was over on {}", share.until);
        Said(kind, true, Reason::Expired, message)
    })
}

fn reason_of(verdict: ApprovalVerdict) -> Reason {
    match verdict {
        ApprovalVerdict::Reject => Reason::Rejected,
        ApprovalVerdict::ReturnForCorrection => Reason::ReturnedForCorrection,
        ApprovalVerdict::Withdraw => Reason::Withdrawn,
        ApprovalVerdict::Release => Reason::Released,
        ApprovalVerdict::Revoke => Reason::Revoked,
        // It ends nothing.
        ApprovalVerdict::Approve => Reason::Approved,
    }
}
