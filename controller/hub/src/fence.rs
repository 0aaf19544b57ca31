//! The fence on the hub: a policy with the leader Lease as its parameter.
//!
//! The policy itself stands in `charts/heyun/files/policies.yaml`. Here it is only tried: a new
//! leader dry-runs a canary Work with an old epoch and waits until that is refused.

use heyun_crds::labels::SYSTEM_NAMESPACE;
use heyun_crds::work::{Work, WorkSpec, WorkloadKey};
use kube::api::PostParams;
use kube::{Api, Client};

/// Name of the Work that a new leader dry-runs; it never exists.
pub const CANARY: &str = "canary";
/// What every refusal of the fence begins with.
pub const REFUSAL: &str = "heyun fence";

/// What the dry run showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canary {
    /// The old epoch is refused and the new one passes.
    InForce,
    /// The old epoch passes, or the new one does not yet.
    Open,
}

/// Tries the fence with the epoch before `epoch`, then with `epoch`.
pub async fn canary(client: &Client, epoch: i64) -> Result<Canary, kube::Error> {
    if dry_run(client, epoch - 1).await? || !dry_run(client, epoch).await? {
        return Ok(Canary::Open);
    }
    Ok(Canary::InForce)
}

/// Whether a Work of that epoch would be let in.
async fn dry_run(client: &Client, epoch: i64) -> Result<bool, kube::Error> {
    let api: Api<Work> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let mut work = Work::new(
        CANARY,
        WorkSpec {
            workload: WorkloadKey {
                namespace: SYSTEM_NAMESPACE.into(),
                name: CANARY.into(),
                ..WorkloadKey::default()
            },
            tenant: CANARY.into(),
            tenant_uid: CANARY.into(),
            decision: CANARY.into(),
            epoch,
            ..WorkSpec::default()
        },
    );
    work.metadata.namespace = Some(SYSTEM_NAMESPACE.into());
    match api
        .create(
            &PostParams {
                dry_run: true,
                ..PostParams::default()
            },
            &work,
        )
        .await
    {
        Ok(_) => Ok(true),
        Err(error) if is_fenced(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether an error is the fence's refusal.
pub fn is_fenced(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.message.contains(REFUSAL))
}
