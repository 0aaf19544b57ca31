//! ResourceRequests: from what is written to what is granted, and to what is shown of it.
//!
//! ```text
//! requests, approvals, policies ─► judge ─► book (which grants a Quota has) ─► status
//! ```
//!
//! What was granted stays granted, whatever becomes of the policy or the approvals, until its end,
//! its release or its revocation; the Quota's grants and the request's own conditions remember it.
//! What has ended stays ended.

mod status;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::approval::{ApprovalSpec, ApprovalVerdict};
use heyun_crds::approval_policy::ApprovalPolicySpec;
use heyun_crds::conditions::{ConditionType, Reason, is_true};
use heyun_crds::quota::{GRANTS_MAX, Grant};
use heyun_crds::{Approval, ApprovalPolicy, Quota, ResourceRequest};
use jiff::Timestamp;
use kube_core::ResourceExt as _;

use crate::approve::{self, Chain, Facts, Standing, Subject};
use crate::grants::{self, Calendar, Share};
use crate::tenants::{Refusal, TenantTree};

pub use status::status;

/// What requests are judged by.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// Every request, as namespace/name.
    pub requests: &'a BTreeMap<String, ResourceRequest>,
    /// Every approval, as namespace/name.
    pub approvals: &'a BTreeMap<String, Approval>,
    /// Every policy, by name.
    pub policies: &'a BTreeMap<String, ApprovalPolicy>,
    /// Every Quota, by name.
    pub quotas: &'a BTreeMap<String, Quota>,
    /// The tenant tree.
    pub tenants: &'a TenantTree,
    /// The moment.
    pub now: Timestamp,
}

/// What is found about one request that has not ended.
#[derive(Clone, Debug)]
pub struct Judgement<'a> {
    /// The request.
    pub request: &'a ResourceRequest,
    /// Hash of its spec.
    pub hash: String,
    /// What it asks for and when; or why it cannot be granted.
    pub share: Result<Share, Refusal>,
    /// Who decides; `None`: no policy says so.
    pub chain: Option<Chain>,
    /// Where it stands.
    pub standing: Standing,
    /// The Quota has it as a grant.
    pub booked: bool,
}

/// Which grants each Quota should have.
#[derive(Clone, Debug, Default)]
pub struct Booking {
    /// By tenant; a Quota that is not here has none.
    pub grants: BTreeMap<String, Vec<Grant>>,
    /// Why there is no room, by uid of the request.
    pub short: BTreeMap<String, String>,
    /// All that is promised.
    pub calendar: Calendar,
    /// When a grant begins or ends next, or a request's time is over.
    pub next_change: Option<Timestamp>,
}

/// Judges every request that has not ended, the oldest first.
pub fn judge<'a>(scene: &Scene<'a>) -> Vec<Judgement<'a>> {
    let mut acts: BTreeMap<(String, &str), Vec<&ApprovalSpec>> = BTreeMap::new();
    for approval in scene.approvals.values() {
        let namespace = approval.namespace().unwrap_or_default();
        let of = (namespace, approval.spec.request_uid.as_str());
        acts.entry(of).or_default().push(&approval.spec);
    }
    let booked: BTreeSet<(&str, &str)> = scene
        .quotas
        .values()
        .filter_map(Quota::effective)
        .flat_map(|effective| &effective.grants)
        .map(|grant| (grant.uid.as_str(), grant.hash.as_str()))
        .collect();
    let calendar = Calendar::of(scene.quotas.values(), scene.tenants);
    let policies: Vec<(&String, &ApprovalPolicySpec)> = scene
        .policies
        .iter()
        .map(|(name, policy)| (name, &policy.spec))
        .collect();
    let mut judged: Vec<Judgement<'a>> = scene
        .requests
        .values()
        .filter(|request| !has_ended(request))
        .map(|request| {
            let uid = request.metadata.uid.as_deref().unwrap_or_default();
            let of = (request.namespace().unwrap_or_default(), uid);
            let acts = acts.get(&of).map(Vec::as_slice).unwrap_or_default();
            judge_one(request, acts, scene, &booked, &calendar, &policies)
        })
        .collect();
    // The oldest first: who came first is served first, and the same are each time.
    judged.sort_by_cached_key(|one| {
        let created = one.request.metadata.creation_timestamp.as_ref();
        let created = created.map(|time| time.0);
        (created, one.request.namespace(), one.request.name_any())
    });
    judged
}

/// Whether nothing more comes of a request.
pub fn has_ended(request: &ResourceRequest) -> bool {
    let ended = |status: &heyun_crds::resource_request::ResourceRequestStatus| {
        is_true(&status.conditions, ConditionType::Ended)
    };
    request.status.as_ref().is_some_and(ended)
}

fn judge_one<'a>(
    request: &'a ResourceRequest,
    acts: &[&ApprovalSpec],
    scene: &Scene<'_>,
    booked: &BTreeSet<(&str, &str)>,
    calendar: &Calendar,
    policies: &[(&String, &ApprovalPolicySpec)],
) -> Judgement<'a> {
    let spec = &request.spec;
    let hash = approve::hash(spec);
    let (name, uid) = (request.name_any(), request.uid().unwrap_or_default());
    let subject = Subject {
        name: &name,
        uid: &uid,
        hash: &hash,
        applicant: &spec.applicant,
    };
    let share = share(request, scene);
    let chain = share.as_ref().ok().and_then(|share| {
        let facts = Facts {
            tenant: spec.tenant.clone(),
            amounts: share.amounts.clone(),
            nominal: calendar.nominal(&spec.tenant),
            seconds: share.until.duration_since(share.from).as_secs(),
        };
        approve::chain(policies.iter().copied(), scene.tenants, &facts)
    });
    let booked = booked.contains(&(uid.as_str(), hash.as_str()));
    let of_it = || acts.iter().copied();
    let standing = if booked || was_approved(request, &hash) {
        match approve::ended(subject, booked, of_it()) {
            Some((verdict, said)) => Standing::Over { verdict, said },
            None => Standing::Approved {
                by: approved_by(request, scene),
            },
        }
    } else {
        approve::stand(subject, chain.as_ref(), of_it())
    };
    Judgement {
        request,
        hash,
        share,
        chain,
        standing,
        booked,
    }
}

/// Whether it was approved once, as it is, by its own conditions.
fn was_approved(request: &ResourceRequest, hash: &str) -> bool {
    let status = request.status.as_ref();
    status.is_some_and(|status| {
        status.hash == hash && is_true(&status.conditions, ConditionType::Approved)
    })
}

/// Who approved what is granted already.
fn approved_by(request: &ResourceRequest, scene: &Scene<'_>) -> Vec<String> {
    let uid = request.metadata.uid.as_deref();
    let grant = scene
        .quotas
        .get(&request.spec.tenant)
        .and_then(Quota::effective)
        .and_then(|effective| {
            effective
                .grants
                .iter()
                .find(|g| Some(g.uid.as_str()) == uid)
        });
    if let Some(grant) = grant {
        return grant.approved_by.clone();
    }
    status::approved_by(request)
}

/// What a request asks for and when, or why it cannot be granted.
fn share(request: &ResourceRequest, scene: &Scene<'_>) -> Result<Share, Refusal> {
    let spec = &request.spec;
    let tenant = &spec.tenant;
    let invalid = |message: String| Refusal::new(Reason::Invalid, message);
    let moment = |field: &str, text: &str| {
        text.parse::<Timestamp>()
            .map_err(|error| invalid(format!("spec.{field} {text}: {error}")))
    };
    let amounts = grants::amounts(&spec.resources).map_err(invalid)?;
    let made = request.metadata.creation_timestamp.as_ref();
    let from = match &spec.from {
        Some(from) => moment("from", from)?,
        None => made.map_or(scene.now, |time| time.0),
    };
    let until = moment("until", &spec.until)?;
    if until <= from {
        return Err(invalid(format!(
            "spec.until {until} is not after its beginning, {from}: make another request"
        )));
    }
    let namespace = request.namespace().unwrap_or_default();
    let owner = scene.tenants.tenant_of(&namespace).map(|node| &node.name);
    if owner != Some(tenant) {
        let message = format!(
            "the namespace {namespace} is not one of {tenant}'s: ask in a namespace of {tenant}"
        );
        return Err(Refusal::new(Reason::NoTenant, message));
    }
    let counts = scene.quotas.get(tenant).and_then(Quota::effective);
    if counts.is_none() {
        let message =
            format!("{tenant} has no Quota that counts, to which a grant could be added: make one");
        return Err(Refusal::new(Reason::NotFound, message));
    }
    Ok(Share {
        from,
        until,
        amounts,
    })
}

/// Which grants each Quota should have: those it has that still stand, then the approved for which
/// there is room, the oldest first.
pub fn book(scene: &Scene<'_>, judged: &[Judgement<'_>]) -> Booking {
    let mut booking = Booking {
        calendar: Calendar::of(scene.quotas.values(), scene.tenants),
        ..Booking::default()
    };
    // What a Quota shows is promised until it shows it no more: what is released in this look is there
    // for others in the next.
    for quota in scene.quotas.values() {
        let held = quota.effective().map(|e| e.grants.as_slice());
        for grant in held.unwrap_or_default() {
            if let Some(share) = Share::of(grant) {
                let tenant = &quota.spec.tenant;
                booking.calendar.enter(tenant, &grant.uid, share);
            }
        }
    }
    let mut open = Vec::new();
    for one in judged {
        let Ok(share) = &one.share else {
            // What cannot be judged now (its tenant is being moved, say) keeps what it was granted.
            booking.keep(one, scene);
            continue;
        };
        if share.until <= scene.now || matches!(one.standing, Standing::Over { .. }) {
            continue;
        }
        booking.note(share.clone(), scene.now);
        if one.booked {
            booking.grant(one, share, scene.now);
        } else {
            open.push((one, share));
        }
    }
    for (one, share) in open {
        let tenant = &one.request.spec.tenant;
        let room = if booking.calendar.count(tenant) >= GRANTS_MAX {
            Err(format!(
                "{tenant} has {GRANTS_MAX} grants: release one first"
            ))
        } else {
            let room = booking.calendar.room(tenant, &rest(share, scene.now));
            room.map_err(|short| short.to_string())
        };
        match room {
            Ok(()) if matches!(one.standing, Standing::Approved { .. }) => {
                booking.grant(one, share, scene.now);
            }
            Ok(()) => {}
            Err(message) => {
                let uid = one.request.uid().unwrap_or_default();
                booking.short.insert(uid, message);
            }
        }
    }
    booking
}

/// What of a share is still to come: room that was short before now is no matter.
fn rest(share: &Share, now: Timestamp) -> Share {
    Share {
        from: share.from.max(now),
        ..share.clone()
    }
}

impl Booking {
    fn note(&mut self, share: Share, now: Timestamp) {
        let next = grants::next_change([&share], now);
        self.next_change = [self.next_change, next].into_iter().flatten().min();
    }

    fn grant(&mut self, one: &Judgement<'_>, share: &Share, now: Timestamp) {
        let spec = &one.request.spec;
        let uid = one.request.uid().unwrap_or_default();
        self.calendar.enter(&spec.tenant, &uid, share.clone());
        let by = match &one.standing {
            Standing::Approved { by } => by.clone(),
            Standing::Nobody | Standing::Waiting { .. } | Standing::Over { .. } => Vec::new(),
        };
        let grant = Grant {
            uid,
            namespace: one.request.namespace().unwrap_or_default(),
            request: one.request.name_any(),
            hash: one.hash.clone(),
            from: share.from.to_string(),
            until: share.until.to_string(),
            active: share.counts_at(now),
            resources: spec.resources.clone(),
            approved_by: by,
            document: spec.document_number().to_owned(),
        };
        let of = self.grants.entry(spec.tenant.clone()).or_default();
        of.push(grant);
    }

    fn keep(&mut self, one: &Judgement<'_>, scene: &Scene<'_>) {
        let over = matches!(
            &one.standing,
            Standing::Over {
                verdict: ApprovalVerdict::Release | ApprovalVerdict::Revoke,
                ..
            }
        );
        let uid = one.request.metadata.uid.as_deref();
        let tenant = &one.request.spec.tenant;
        let held = scene
            .quotas
            .get(tenant)
            .and_then(Quota::effective)
            .and_then(|e| e.grants.iter().find(|g| Some(g.uid.as_str()) == uid));
        let Some((grant, share)) = held.and_then(|grant| Some((grant, Share::of(grant)?))) else {
            return;
        };
        if over || share.until <= scene.now {
            return;
        }
        let grant = Grant {
            active: share.counts_at(scene.now),
            ..grant.clone()
        };
        self.note(share.clone(), scene.now);
        self.calendar.enter(tenant, &grant.uid, share);
        self.grants.entry(tenant.clone()).or_default().push(grant);
    }
}
