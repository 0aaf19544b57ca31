//! Tenants on the hub: their namespaces, who may deploy there, their status.
//!
//! `plan` is pure: what a tenant should have, from the tree. `apply` brings it about.

use std::collections::BTreeMap;

use heyun_crds::Tenant;
use heyun_crds::conditions::{ConditionType, Reason, set_condition};
use heyun_crds::labels::{HUB_ACCOUNT, MANAGED_BY, MANAGER, SYSTEM_NAMESPACE, TENANT, TENANT_UID};
use heyun_crds::tenant::{Owner, OwnerKind, TenantStatus};
use heyun_member::apply::{self, Force, Guard};
use heyun_plan::tenants::TenantNode;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::ObjectMeta;
use kube::{Api, Client, ResourceExt};

/// ClusterRole that owners of a tenant are bound to in its namespaces.
pub const OWNER_ROLE: &str = "heyun-tenant-owner";
/// ClusterRole that the hub binds itself to in a member's namespace, where it keeps Secrets.
pub const SECRETS_ROLE: &str = "heyun-secrets";
/// ClusterRole that the hub binds itself to in a tenant's namespace, where it reads Secrets.
pub const SECRETS_READER_ROLE: &str = "heyun-secrets-reader";

/// What a tenant should have.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Name of the tenant.
    pub tenant: String,
    /// Namespaces to assert.
    pub namespaces: Vec<Namespace>,
    /// Bindings to assert.
    pub bindings: Vec<RoleBinding>,
    /// Namespaces that it had by its status and has no longer: its owners are bound there no more.
    pub left: Vec<String>,
    /// Status it should have, once the above is there.
    pub status: TenantStatus,
}

/// What a tenant should have, by the tree.
pub fn plan(tenant: &Tenant, node: &TenantNode, now: &Time) -> Plan {
    let namespaces = node
        .namespaces
        .iter()
        .map(|name| namespace(name, node))
        .collect();
    let bindings = node
        .namespaces
        .iter()
        .flat_map(|name| {
            [
                owners(name, &tenant.spec.owners),
                secrets(name, SECRETS_READER_ROLE),
            ]
        })
        .collect();
    let had = tenant.status.iter().flat_map(|status| &status.namespaces);
    let left = had.filter(|name| !node.namespaces.contains(name));
    Plan {
        tenant: node.name.clone(),
        namespaces,
        bindings,
        left: left.cloned().collect(),
        status: status(tenant, node, now),
    }
}

fn status(tenant: &Tenant, node: &TenantNode, now: &Time) -> TenantStatus {
    let old = tenant.status.clone().unwrap_or_default();
    let mut conditions = old.conditions.clone();
    let generation = Some(node.generation);
    let (accepted, reason, message) = match &node.refusal {
        None => (true, Reason::Ok.as_str(), String::new()),
        Some(refusal) => (false, refusal.reason.as_str(), refusal.message.clone()),
    };
    for kind in [ConditionType::Accepted, ConditionType::Ready] {
        set_condition(
            &mut conditions,
            kind,
            Some(accepted),
            reason,
            &message,
            generation,
            now,
        );
    }
    TenantStatus {
        observed_generation: node.generation,
        conditions,
        path: node.path.clone(),
        namespaces: node.namespaces.clone(),
        children: u32::try_from(node.children.len()).unwrap_or(u32::MAX),
        guardrails: node.guardrails.clone(),
        accepted_parent: if node.accepted() {
            node.parent.clone()
        } else {
            old.accepted_parent
        },
    }
}

fn namespace(name: &str, node: &TenantNode) -> Namespace {
    let labels = [
        (TENANT_UID, &node.uid),
        (TENANT, &node.name),
        (MANAGED_BY, &MANAGER.to_owned()),
    ]
    .map(|(k, v)| (k.to_owned(), v.clone()));
    Namespace {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from(labels)),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

fn binding(namespace: &str, name: &str, role: &str, subjects: Vec<Subject>) -> RoleBinding {
    RoleBinding {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(BTreeMap::from([(
                MANAGED_BY.to_owned(),
                MANAGER.to_owned(),
            )])),
            ..ObjectMeta::default()
        },
        role_ref: RoleRef {
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
            kind: "ClusterRole".to_owned(),
            name: role.to_owned(),
        },
        subjects: Some(subjects),
    }
}

/// Binds the owners of a tenant. Where it has none it is bound to nobody, which is written too: a
/// binding that is not applied keeps the owners of before.
fn owners(namespace: &str, owners: &[Owner]) -> RoleBinding {
    let subject = |owner: &Owner| Subject {
        api_group: (owner.kind != OwnerKind::ServiceAccount)
            .then(|| "rbac.authorization.k8s.io".to_owned()),
        kind: owner.kind.as_str().to_owned(),
        name: owner.name.clone(),
        namespace: owner.namespace.clone(),
    };
    let subjects = owners.iter().map(subject).collect();
    binding(namespace, OWNER_ROLE, OWNER_ROLE, subjects)
}

/// Lets the hub at the Secrets of this namespace, as far as the role goes.
pub fn secrets(namespace: &str, role: &str) -> RoleBinding {
    let hub = Subject {
        api_group: None,
        kind: "ServiceAccount".to_owned(),
        name: HUB_ACCOUNT.to_owned(),
        namespace: Some(SYSTEM_NAMESPACE.to_owned()),
    };
    binding(namespace, role, role, vec![hub])
}

/// Binds nobody in a namespace that a tenant has no longer. One that carries another label by now
/// is another's, whose owners are bound there; one without a label is the platform's to settle.
async fn revoke(client: &Client, namespace: &str, uid: &str) -> Result<(), kube::Error> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let held = namespaces.get_opt(namespace).await?;
    let still_its = held.is_some_and(|held| is_labelled(&held, uid));
    if !still_its {
        return Ok(());
    }
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
    if bindings.get_opt(OWNER_ROLE).await?.is_some() {
        apply::apply(&bindings, &owners(namespace, &[]), None, Force::Yes).await?;
    }
    Ok(())
}

fn is_labelled(namespace: &Namespace, uid: &str) -> bool {
    let label = namespace.labels().get(TENANT_UID);
    label.is_some_and(|label| label == uid)
}

/// Brings a plan about: namespaces, then bindings, then what its owners lose, then the status
/// where it differs: until it is written, the next attempt knows what they lose.
///
/// A namespace that exists without this tenant's label is left alone: the tree has refused it
/// already, and here the apply is made only for those it gave to the tenant.
pub async fn apply(
    client: &Client,
    tenant: &Tenant,
    plan: &Plan,
) -> Result<Option<Tenant>, kube::Error> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for namespace in &plan.namespaces {
        apply::apply(&namespaces, namespace, None, Force::Yes).await?;
    }
    for wanted in &plan.bindings {
        let namespace = wanted.metadata.namespace.as_deref().unwrap_or_default();
        let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
        apply::apply(&bindings, wanted, None, Force::Yes).await?;
    }
    let uid = tenant.metadata.uid.as_deref().unwrap_or_default();
    for namespace in &plan.left {
        revoke(client, namespace, uid).await?;
    }
    let api: Api<Tenant> = Api::all(client.clone());
    apply::patch_status(
        &api,
        tenant,
        tenant.status.as_ref(),
        &plan.status,
        Guard::Uid,
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use heyun_crds::tenant::TenantSpec;
    use serde_json::json;

    #[test]
    fn owners_are_bound_and_the_last_one_is_revoked() {
        let owner = Owner {
            kind: OwnerKind::Group,
            name: "admins".to_owned(),
            namespace: None,
        };
        let applied = |list: &[Owner]| serde_json::to_value(owners("a", list)).unwrap();
        let group = "rbac.authorization.k8s.io";
        assert_eq!(
            applied(&[owner])["subjects"],
            json!([{"apiGroup": group, "kind": "Group", "name": "admins"}])
        );
        let none = applied(&[]);
        assert_eq!(none["metadata"]["name"], OWNER_ROLE);
        // Sent, and empty: what is left out of an apply might stay.
        assert_eq!(none["subjects"], json!([]));
    }

    #[test]
    fn owners_leave_a_namespace_with_their_tenant_while_it_is_nobody_elses() {
        let mut tenant = Tenant::new("civil", TenantSpec::default());
        tenant.status = Some(TenantStatus {
            namespaces: vec!["civil".to_owned(), "civil-old".to_owned()],
            ..TenantStatus::default()
        });
        let node = TenantNode {
            name: "civil".to_owned(),
            namespaces: vec!["civil".to_owned()],
            ..TenantNode::default()
        };
        let now = Time(k8s_openapi::jiff::Timestamp::UNIX_EPOCH);
        let wanted = plan(&tenant, &node, &now);
        assert_eq!(wanted.left, ["civil-old"]);
        tenant.status = Some(wanted.status);
        assert!(plan(&tenant, &node, &now).left.is_empty(), "once");

        let mut namespace = Namespace::default();
        assert!(!is_labelled(&namespace, "uid-civil"));
        let labels = BTreeMap::from([(TENANT_UID.to_owned(), "uid-civil".to_owned())]);
        namespace.metadata.labels = Some(labels);
        assert!(is_labelled(&namespace, "uid-civil"));
        assert!(!is_labelled(&namespace, "uid-other"));
    }
}
