//! The sketch: counted when something changed, written when it differs.

use std::sync::Arc;

use heyun_crds::labels;
use heyun_crds::sketch::{Revision, Sketch, SketchSpec, SketchStatus};
use kube::Api;
use kube::api::PostParams;
use tokio::sync::watch;
use tracing::warn;

use super::{MemberEvent, RESYNC, SKETCH_DEBOUNCE, Shared};
use crate::apply::{Guard, patch_status};
use crate::client::{CALL_LIMIT, within};
use crate::error::{Attempts, Class, Classify as _, Error, describe};
use crate::watch::{Counted, SketchInputs, Summary};

/// Name of the one Sketch of a member.
pub(super) const SKETCH: &str = "sketch";

/// Counts and publishes until it is dropped.
pub(super) async fn run(shared: Arc<Shared>, mut inputs: watch::Receiver<SketchInputs>) {
    let mut publisher = Publisher::new(&shared);
    let mut attempts = Attempts::default();
    let mut reported: Option<Summary> = None;
    let mut retry = None;
    loop {
        let again = async {
            match retry {
                Some(delay) => tokio::time::sleep(delay).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.book.changed() => {}
            Ok(()) = inputs.changed() => {}
            () = again => {}
        }
        tokio::time::sleep(SKETCH_DEBOUNCE).await;
        let held = inputs.borrow_and_update().clone();
        let Some(Counted { sketch, summary }) = shared.book.count(&held) else {
            continue;
        };
        if reported.as_ref() != Some(&summary) {
            reported = Some(summary.clone());
            shared.report(MemberEvent::Counted(summary)).await;
        }
        retry = match publisher.publish(sketch).await {
            Ok(()) => {
                attempts.succeeded(SKETCH);
                None
            }
            Err(error) => {
                warn!(error = describe(&error), "the sketch could not be written");
                Some(attempts.failed(SKETCH, error.class()).unwrap_or(RESYNC))
            }
        };
    }
}

struct Publisher {
    api: Api<Sketch>,
    namespace: String,
    /// Fresh for each start.
    instance: String,
    number: u64,
    /// The Sketch as the hub has it, as far as we know.
    held: Option<Sketch>,
}

impl Publisher {
    fn new(shared: &Shared) -> Self {
        let namespace = shared.namespace();
        Self {
            api: Api::namespaced(shared.config.hub.clone(), &namespace),
            namespace,
            instance: format!("{:x}", shared.config.clock.now().as_microsecond()),
            number: 0,
            held: None,
        }
    }

    /// Writes the status where it differs from what the hub has.
    async fn publish(&mut self, mut status: SketchStatus) -> Result<(), Error> {
        let sketch = match self.held.take() {
            Some(held) => held,
            None => self.find_or_create().await?,
        };
        if let Some(before) = &sketch.status {
            // A start alone is no change.
            status.revision = before.revision.clone();
            if *before == status {
                self.held = Some(sketch);
                return Ok(());
            }
        }
        status.revision = Revision {
            instance: self.instance.clone(),
            number: self.number + 1,
        };
        let before = sketch.status.as_ref();
        let call = patch_status(&self.api, &sketch, before, &status, Guard::Version);
        let written = within(CALL_LIMIT, "write the sketch", call).await?;
        self.number += 1;
        self.held = Some(match written {
            Some(written) => written,
            None => sketch,
        });
        Ok(())
    }

    async fn find_or_create(&self) -> Result<Sketch, Error> {
        let doing = "read the sketch";
        if let Some(found) = within(CALL_LIMIT, doing, self.api.get_opt(SKETCH)).await? {
            return Ok(found);
        }
        let mut sketch = Sketch::new(SKETCH, SketchSpec::default());
        sketch.metadata.namespace = Some(self.namespace.clone());
        sketch.metadata.labels = Some([(labels::MANAGED_BY.into(), labels::MANAGER.into())].into());
        let params = PostParams {
            field_manager: Some(labels::MANAGER.into()),
            ..PostParams::default()
        };
        match within(
            CALL_LIMIT,
            "create the sketch",
            self.api.create(&params, &sketch),
        )
        .await
        {
            // The hub made it at the same moment.
            Err(error) if error.class() == Class::Conflict => {
                within(CALL_LIMIT, doing, self.api.get(SKETCH)).await
            }
            answer => answer,
        }
    }
}
