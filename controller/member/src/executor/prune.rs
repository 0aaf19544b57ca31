//! What is no longer wanted goes.

use heyun_crds::conditions::Reason;
use heyun_crds::labels;
use kube::ResourceExt as _;

use super::decide::newer;
use super::marks::Refusal;
use super::object::{inventory_uid, is_secret};
use super::{Executor, Pass};
use crate::client::{CALL_LIMIT, within};
use crate::error::{Class, Error};
use crate::seen::ObjectKey;

/// What became of an object that is no longer wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pruned {
    /// It is gone, or it never was ours.
    Gone,
    /// It is on its way out.
    Going {
        /// True when this pass sent it there.
        wrote: bool,
    },
    /// It must not be touched.
    Refused(Refusal),
}

impl Executor {
    /// Prunes one object. It is read first: what goes is decided on what is there now.
    pub(super) async fn prune(&self, pass: &Pass<'_>, key: &ObjectKey) -> Result<Pruned, Error> {
        let (version, kind) = (&key.kind.api_version, &key.kind.kind);
        let kind = match self
            .parts
            .kinds
            .resolve(&self.parts.member, version, kind)
            .await
        {
            Ok(kind) => kind,
            // With its kind all its objects are gone.
            Err(Error::Refused {
                reason: Reason::NotFound,
                ..
            }) => return Ok(Pruned::Gone),
            Err(error) => return Err(error),
        };
        if !is_secret(key) {
            self.parts.in_use.note(&kind);
        }
        let api = pass.base.client.dynamic(&kind.resource);
        let call = api.get_metadata_opt(&key.name);
        let Some(found) = within(CALL_LIMIT, format!("look for {key}"), call).await? else {
            self.parts.shelf.remove(key);
            self.marks.forget(key);
            return Ok(Pruned::Gone);
        };
        let label = found.labels().get(labels::WORK).map(String::as_str);
        let uid = found.metadata.uid.as_deref().unwrap_or_default();
        // Without our label it is ours only if the inventory names this very object.
        let stripped = label.is_none() && !uid.is_empty() && inventory_uid(pass, key) == Some(uid);
        let ours = label == Some(pass.name) || stripped;
        if is_secret(key) {
            let others = match label {
                Some(other) if !ours => self.is_user(other, key).await?,
                _ => !ours,
            };
            if others || self.has_another_user(pass.name, key).await? {
                // It stays for those; what was seen of it may be another's by then.
                self.parts.shelf.remove(key);
                return Ok(Pruned::Gone);
            }
        } else if !ours {
            return Ok(Pruned::Gone);
        }
        let epoch = found
            .annotations()
            .get(labels::EPOCH)
            .and_then(|e| e.parse::<i64>().ok());
        if let Some(epoch) = epoch.filter(|epoch| *epoch > self.number()) {
            let message = newer(key, epoch, self.number());
            let reason = Reason::Recovering;
            return Ok(Pruned::Refused(Refusal {
                reason,
                message,
                class: Class::Denied,
            }));
        }
        if found.metadata.deletion_timestamp.is_some() {
            return Ok(Pruned::Going { wrote: false });
        }
        let uid = found.metadata.uid.unwrap_or_default();
        if !self.delete(&api, key, &kind.resource, &uid).await? {
            self.parts.shelf.remove(key);
            self.marks.forget(key);
            return Ok(Pruned::Gone);
        }
        if is_secret(key) {
            // No watch tells that it is gone: should it be wanted again, it is looked for.
            self.parts.shelf.remove(key);
        }
        Ok(Pruned::Going { wrote: true })
    }
}
