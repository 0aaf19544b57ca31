//! Secrets that go along with a Work: native Secrets beside it, in the member's namespace.
//!
//! They are copied before the Work that names them is written, so that an executor never waits
//! for one, and removed before the Work goes. The payload passes through here and is kept nowhere.

use std::collections::BTreeMap;

use heyun_crds::labels::{MANAGED_BY, MANAGER, WORK};
use heyun_member::apply::{self, Force};
use heyun_plan::render::RenderedWork;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams};
use kube::core::ObjectMeta;
use kube::{Api, Client, ResourceExt};

use super::CommitError;

/// Copies what a Work carries.
pub(super) async fn secrets(client: &Client, work: &RenderedWork) -> Result<(), CommitError> {
    if work.spec.secrets.is_empty() {
        return Ok(());
    }
    let from: Api<Secret> = Api::namespaced(client.clone(), &work.spec.workload.namespace);
    let to: Api<Secret> = Api::namespaced(client.clone(), &work.namespace);
    for carried in &work.spec.secrets {
        let changed = || CommitError::SecretChanged(carried.name.clone());
        let secret = from.get_opt(&carried.name).await?.ok_or_else(changed)?;
        if heyun_plan::secrets::hash(&secret) != carried.hash {
            return Err(changed());
        }
        let labels = [(MANAGED_BY, MANAGER), (WORK, work.name.as_str())];
        let copy = Secret {
            metadata: ObjectMeta {
                name: Some(carried.source.clone()),
                namespace: Some(work.namespace.clone()),
                labels: Some(BTreeMap::from(
                    labels.map(|(k, v)| (k.to_owned(), v.to_owned())),
                )),
                ..ObjectMeta::default()
            },
            type_: secret.type_,
            data: secret.data,
            ..Secret::default()
        };
        apply::apply(&to, &copy, None, Force::Yes).await?;
    }
    Ok(())
}

/// Removes the copies of a Work that goes.
pub(super) async fn forget(
    client: &Client,
    namespace: &str,
    work: &str,
) -> Result<(), CommitError> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let copies = api
        .list(&ListParams::default().labels(&format!("{WORK}={work}")))
        .await?;
    for copy in copies {
        match api.delete(&copy.name_any(), &DeleteParams::default()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
