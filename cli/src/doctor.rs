//! `heyun doctor`: what is asked once, and the checks that judge it.
//!
//! Asking and judging are apart: [`gather()`] talks to the hub, [`examine`] is a pure function of
//! what it heard. What a caller may not read is skipped, not failed.

mod capacity;
mod gather;
mod hub;
mod members;
mod tenancy;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use heyun_crds::{Flavor, MemberCluster, Quota, Sketch, Tenant, Work, Workload};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;

pub use gather::gather;

use crate::error::{Error, Exit};
use crate::view::doctor::{Finding, Level};

/// Something that was asked, and what came of it.
pub type Fact<T> = Result<T, Error>;

/// The hub's API server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its version. Example: `v1.36.3`.
    pub version: String,
    /// Its clock less ours, in seconds; `None`: it told no time.
    pub skew: Option<i64>,
}

/// Everything that is asked.
pub struct Facts {
    /// When it was asked.
    pub now: Timestamp,
    /// The hub's API server.
    pub server: Fact<Server>,
    /// Our definitions on the hub.
    pub crds: Fact<Vec<CustomResourceDefinition>>,
    /// Objects of the installation that are missing, by `Kind/name`.
    pub missing: Fact<Vec<String>>,
    /// Policies of the fence that are missing, by `Kind/name`.
    pub missing_policies: Fact<Vec<String>>,
    /// The Lease of the leading hub.
    pub lease: Fact<Option<Lease>>,
    /// The registration of the aggregated API.
    pub api_service: Fact<Option<APIService>>,
    /// Whether the aggregated API answers.
    pub query: Fact<()>,
    /// Members.
    pub members: Fact<Vec<MemberCluster>>,
    /// Credentials of members, by name of the Secret.
    pub secrets: Fact<BTreeMap<String, Secret>>,
    /// Sketches.
    pub sketches: Fact<Vec<Sketch>>,
    /// Flavors.
    pub flavors: Fact<Vec<Flavor>>,
    /// Tenants.
    pub tenants: Fact<Vec<Tenant>>,
    /// Quotas.
    pub quotas: Fact<Vec<Quota>>,
    /// Namespaces.
    pub namespaces: Fact<Vec<Namespace>>,
    /// Workloads.
    pub workloads: Fact<Vec<Workload>>,
    /// Works.
    pub works: Fact<Vec<Work>>,
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // It holds credentials.
        f.debug_struct("Facts")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

/// How a check comes out.
struct Judged {
    level: Level,
    detail: String,
    fix: String,
}

/// Well, or what could not be read.
type Judgement = Result<Judged, Error>;

#[expect(clippy::unnecessary_wraps, reason = "what a check answers")]
fn ok(detail: impl Into<String>) -> Judgement {
    Ok(Judged {
        level: Level::Ok,
        detail: detail.into(),
        fix: String::new(),
    })
}

#[expect(clippy::unnecessary_wraps, reason = "what a check answers")]
fn warn(detail: impl Into<String>, fix: impl Into<String>) -> Judgement {
    Ok(Judged {
        level: Level::Warn,
        detail: detail.into(),
        fix: fix.into(),
    })
}

#[expect(clippy::unnecessary_wraps, reason = "what a check answers")]
fn fail(detail: impl Into<String>, fix: impl Into<String>) -> Judgement {
    Ok(Judged {
        level: Level::Fail,
        detail: detail.into(),
        fix: fix.into(),
    })
}

/// What was read, or why the check is skipped.
fn known<T>(fact: &Fact<T>) -> Result<&T, Error> {
    fact.as_ref().map_err(Clone::clone)
}

/// `detail` of those that are named, if any is.
fn unless_empty(
    names: &[String],
    well: String,
    bad: impl FnOnce(String) -> Judgement,
) -> Judgement {
    if names.is_empty() {
        ok(well)
    } else {
        bad(Finding::names(names))
    }
}

/// The condition of that type, where it says `False` or `Unknown`.
fn untrue<'c>(conditions: &'c [Condition], kind: &str) -> Option<&'c Condition> {
    conditions
        .iter()
        .find(|c| c.type_ == kind && c.status != "True")
}

/// Why a check is skipped, in short.
fn skipped(error: &Error) -> String {
    let what = error
        .message
        .strip_prefix("failed to ")
        .and_then(|rest| rest.split(": ").next());
    match what {
        Some(what) if error.exit == Exit::Denied => format!("you may not {what}"),
        _ => error.message.clone(),
    }
}

type Check = (&'static str, &'static str, fn(&Facts) -> Judgement);

/// The checks. Ids are stable: scripts and runbooks name them.
const CHECKS: &[Check] = &[
    ("HY-D001", "the hub's API server answers", hub::answers),
    (
        "HY-D002",
        "its version has all that Heyun needs",
        hub::version,
    ),
    ("HY-D003", "its clock and this machine's agree", hub::clock),
    (
        "HY-D004",
        "the definitions are installed and served",
        hub::definitions,
    ),
    (
        "HY-D005",
        "they are those of this version",
        hub::same_definitions,
    ),
    (
        "HY-D006",
        "account and roles of the hub are there",
        hub::installed,
    ),
    ("HY-D007", "the fence is there", hub::fence),
    ("HY-D008", "a hub leads", hub::leader),
    (
        "HY-D009",
        "the aggregated API is available",
        hub::api_service,
    ),
    ("HY-D010", "it answers", hub::query),
    ("HY-D011", "there are members", members::exist),
    ("HY-D012", "members are accepted", members::accepted),
    ("HY-D013", "members are ready", members::ready),
    ("HY-D014", "no member is cordoned", members::cordoned),
    ("HY-D015", "one cluster has one name", members::once),
    (
        "HY-D016",
        "credentials are there and bound to their endpoint",
        members::credentials,
    ),
    ("HY-D017", "credentials do not end soon", members::expiry),
    ("HY-D018", "MLPS filings are valid", members::filings),
    (
        "HY-D019",
        "versions of the members are near the hub's",
        members::versions,
    ),
    (
        "HY-D020",
        "members have reported their capacity",
        capacity::sketches,
    ),
    (
        "HY-D021",
        "flavors are there and unambiguous",
        capacity::flavors,
    ),
    (
        "HY-D022",
        "every flavor is offered by a member",
        capacity::offered,
    ),
    ("HY-D023", "every node has a flavor", capacity::unmatched),
    ("HY-D024", "tenants are accepted", tenancy::tenants),
    (
        "HY-D025",
        "tenants' namespaces are there and theirs",
        tenancy::namespaces,
    ),
    ("HY-D026", "quotas are accepted", tenancy::quotas),
    (
        "HY-D027",
        "every tenant with namespaces has a quota",
        tenancy::unquoted,
    ),
    ("HY-D028", "no tenant uses more than it may", tenancy::debt),
    ("HY-D029", "Workloads are ready", tenancy::workloads),
    ("HY-D030", "Works are applied", tenancy::works),
];

/// Judges what was heard.
pub fn examine(facts: &Facts) -> Vec<Finding> {
    CHECKS
        .iter()
        .map(|(id, check, judge)| {
            let finding = Finding::ok(id, check, "");
            match judge(facts) {
                Ok(judged) => finding.with(judged.level, judged.detail, judged.fix),
                Err(error) => finding.with(Level::Skipped, skipped(&error), ""),
            }
        })
        .collect()
}
