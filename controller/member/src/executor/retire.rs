//! Deletion on a member: a fenced mark first, then a delete of exactly what was marked.

use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Preconditions};

use super::Executor;
use crate::apply::{retire, unretire};
use crate::client::{CALL_LIMIT, within};
use crate::error::{Class, Classify as _, Error};
use crate::seen::ObjectKey;
use heyun_telemetry::labels::Verb;

/// How often mark and delete are tried again when the object changes in between.
const RACES_MAX: u32 = 5;

/// An object with a name and a uid, to be marked.
pub(super) fn stub(key: &ObjectKey, kind: &ApiResource, uid: &str) -> DynamicObject {
    let mut stub = DynamicObject::new(&key.name, kind);
    stub.metadata.uid = Some(uid.to_owned());
    stub
}

impl Executor {
    /// Marks and deletes the object of that uid. Says whether it was still there.
    pub(super) async fn delete(
        &self,
        api: &Api<DynamicObject>,
        key: &ObjectKey,
        kind: &ApiResource,
        uid: &str,
    ) -> Result<bool, Error> {
        let mut races = 0;
        loop {
            let stub = stub(key, kind, uid);
            let call = retire(api, &stub, self.number());
            let marked = within(CALL_LIMIT, format!("mark {key} as retired"), call).await;
            self.count_write(Verb::Retire, marked.as_ref().map(|_| ()));
            let marked = match marked {
                Ok(marked) => marked,
                Err(error) if is_gone(&error) => return Ok(false),
                Err(error) => return Err(error),
            };
            let exactly = Preconditions {
                uid: Some(uid.to_owned()),
                resource_version: marked.metadata.resource_version,
            };
            let params = DeleteParams::background().preconditions(exactly);
            let deleted = within(
                CALL_LIMIT,
                format!("delete {key}"),
                api.delete(&key.name, &params),
            )
            .await;
            self.count_write(Verb::Delete, deleted.as_ref().map(|_| ()));
            match deleted {
                Ok(_) => return Ok(true),
                Err(error) if is_gone(&error) => return Ok(false),
                Err(error) if error.class() == Class::Conflict && races < RACES_MAX => races += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes the mark off an object that is wanted after all.
    pub(super) async fn unmark(
        &self,
        api: &Api<DynamicObject>,
        key: &ObjectKey,
        kind: &ApiResource,
        uid: &str,
    ) -> Result<DynamicObject, Error> {
        let stub = stub(key, kind, uid);
        let call = unretire(api, &stub, self.number());
        within(CALL_LIMIT, format!("take the retire mark off {key}"), call).await
    }
}

fn is_gone(error: &Error) -> bool {
    error.status().is_some_and(kube::core::Status::is_not_found)
}
