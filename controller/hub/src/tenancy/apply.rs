//! Brings about what a tenant should have on the hub.

use heyun_crds::Tenant;
use heyun_crds::labels::{MANAGER, TENANT_UID};
use heyun_member::apply::{self, Force, Guard};
use heyun_member::error::{Class, Classify};
use heyun_plan::tenants::access::Role;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};

use super::{Plan, role};

/// Why a tenant was not brought about.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The API server said no, or nothing.
    #[error(transparent)]
    Request(#[from] kube::Error),
    /// A namespace came in between, and is somebody else's.
    #[error(
        "namespace {namespace} came in between and is not marked as that of tenant {tenant}: nothing is done there"
    )]
    Taken {
        /// The namespace.
        namespace: String,
        /// Who was to have it.
        tenant: String,
    },
}

impl Classify for ApplyError {
    fn class(&self) -> Class {
        match self {
            Self::Request(error) => error.class(),
            // The watch will show it, and the tree refuse it.
            Self::Taken { .. } => Class::Conflict,
        }
    }
}

/// Brings a plan about: namespaces, then bindings, then what is lost, then the status where it
/// differs: until it is written, the next attempt knows what is lost.
pub async fn apply(
    client: &Client,
    tenant: &Tenant,
    plan: &Plan,
) -> Result<Option<Tenant>, ApplyError> {
    let uid = tenant.metadata.uid.as_deref().unwrap_or_default();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for wanted in &plan.namespaces {
        if !assert_namespace(&namespaces, wanted, uid).await? {
            return Err(ApplyError::Taken {
                namespace: wanted.name_any(),
                tenant: plan.tenant.clone(),
            });
        }
    }
    for wanted in &plan.bindings {
        let namespace = wanted.metadata.namespace.as_deref().unwrap_or_default();
        let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
        apply::apply(&bindings, wanted, None, Force::Yes).await?;
    }
    for namespace in &plan.left {
        revoke(client, namespace, uid).await?;
    }
    let api: Api<Tenant> = Api::all(client.clone());
    let before = tenant.status.as_ref();
    Ok(apply::patch_status(&api, tenant, before, &plan.status, Guard::Uid).await?)
}

/// Sees to it that a namespace is there and marked as the tenant's; false where it is somebody
/// else's. It is created and never adopted: between what the watch showed and this write anybody
/// who may make namespaces can have made one of that name.
async fn assert_namespace(
    api: &Api<Namespace>,
    wanted: &Namespace,
    uid: &str,
) -> Result<bool, kube::Error> {
    let name = wanted.name_any();
    let mut found = api.get_opt(&name).await?;
    if found.is_none() {
        let params = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        match api.create(&params, wanted).await {
            Ok(_) => return Ok(true),
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                found = api.get_opt(&name).await?;
            }
            Err(error) => return Err(error),
        }
    }
    let Some(found) = found.filter(|found| is_labelled(found, uid)) else {
        return Ok(false);
    };
    let has = |(key, value): (&String, &String)| found.labels().get(key) == Some(value);
    if wanted.labels().iter().all(has) {
        return Ok(true);
    }
    // Given by the platform: the uid alone was set. It is a conflict if it was made anew since.
    let mut wanted = wanted.clone();
    wanted.metadata.uid = found.metadata.uid;
    apply::apply(api, &wanted, None, Force::Yes).await?;
    Ok(true)
}

/// Binds nobody in a namespace that a tenant has no longer. One that carries another label by now
/// is another's, whose people are bound there; one without a label is the platform's to settle.
async fn revoke(client: &Client, namespace: &str, uid: &str) -> Result<(), kube::Error> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let held = namespaces.get_opt(namespace).await?;
    let still_its = held.is_some_and(|held| is_labelled(&held, uid));
    if !still_its {
        return Ok(());
    }
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
    for one in Role::ALL {
        if bindings.get_opt(one.cluster_role()).await?.is_some() {
            let nobody = role(namespace, one, []);
            apply::apply(&bindings, &nobody, None, Force::Yes).await?;
        }
    }
    Ok(())
}

fn is_labelled(namespace: &Namespace, uid: &str) -> bool {
    let label = namespace.labels().get(TENANT_UID);
    label.is_some_and(|label| label == uid)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_namespace_is_a_tenants_by_its_label_alone() {
        let mut namespace = Namespace::default();
        assert!(!is_labelled(&namespace, "uid-civil"));
        let labels = BTreeMap::from([(TENANT_UID.to_owned(), "uid-civil".to_owned())]);
        namespace.metadata.labels = Some(labels);
        assert!(is_labelled(&namespace, "uid-civil"));
        assert!(!is_labelled(&namespace, "uid-other"));
    }
}
