//! Secrets that go along with a Work: native Secrets beside it, in the member's namespace.
//!
//! They are copied before the Work that names them is written, so that an executor never waits
//! for one, and again when one changes; those that no longer go along are removed after the Work
//! says so, and the rest before the Work goes. The payload passes through here and is kept nowhere.

use std::collections::BTreeMap;

use heyun_crds::labels::{MANAGED_BY, MANAGER, WORK};
use heyun_member::apply::{self, Force};
use heyun_plan::render::RenderedWork;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams};
use kube::core::ObjectMeta;
use kube::{Api, ResourceExt};

use super::{CommitError, Writer};

/// Copies what a Work carries.
pub(super) async fn secrets(writer: &Writer, work: &RenderedWork) -> Result<(), CommitError> {
    if work.spec.secrets.is_empty() {
        return Ok(());
    }
    let client = &writer.client;
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
        put(writer, &to, &copy).await?;
    }
    Ok(())
}

async fn put(writer: &Writer, to: &Api<Secret>, copy: &Secret) -> Result<(), CommitError> {
    // Each is a write of its own, and no fence guards it.
    writer.check()?;
    match apply::apply(to, copy, None, Force::Yes).await {
        Ok(_) => {}
        // A Secret was made anew with another type, and a type cannot be changed.
        Err(kube::Error::Api(status)) if status.is_invalid() => {
            remove(writer, to, &copy.name_any()).await?;
            writer.check()?;
            apply::apply(to, copy, None, Force::Yes).await?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Removes copies that the Work of this namespace no longer names.
pub(super) async fn drop_copies(
    writer: &Writer,
    namespace: &str,
    copies: &[String],
) -> Result<(), CommitError> {
    let api: Api<Secret> = Api::namespaced(writer.client.clone(), namespace);
    for copy in copies {
        remove(writer, &api, copy).await?;
    }
    Ok(())
}

async fn remove(writer: &Writer, api: &Api<Secret>, copy: &str) -> Result<(), CommitError> {
    writer.check()?;
    match api.delete(copy, &DeleteParams::default()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Removes the copies of a Work that goes.
pub(super) async fn forget(
    writer: &Writer,
    namespace: &str,
    work: &str,
) -> Result<(), CommitError> {
    let api: Api<Secret> = Api::namespaced(writer.client.clone(), namespace);
    let copies = api
        .list(&ListParams::default().labels(&format!("{WORK}={work}")))
        .await?;
    for copy in copies {
        remove(writer, &api, &copy.name_any()).await?;
    }
    Ok(())
}
