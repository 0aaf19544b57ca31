//! `heyun doctor`.

use super::now;
use crate::args::Global;
use crate::args::common::Form;
use crate::args::platform::Doctor as Args;
use crate::ask::Hub;
use crate::doctor::{examine, gather};
use crate::error::{Error, Result};
use crate::output::Output;
use crate::view::{self, doctor};

pub(super) async fn run(args: Args, global: &Global, output: &Output) -> Result<()> {
    let hub = Hub::new(global).await?;
    let facts = Box::pin(gather(&hub, now())).await;
    let findings = examine(&facts);
    output.table(&match args.format.output {
        Form::Table | Form::Wide => doctor::text(&findings, args.format.headers()),
        Form::Json => view::json(&findings)?,
        Form::Yaml => view::yaml(&findings)?,
        Form::Name => {
            let ids: Vec<&str> = findings.iter().map(|finding| finding.id).collect();
            ids.join("\n")
        }
    });
    if doctor::is_wrong(&findings) {
        return Err(Error::failure("something is wrong").hint("each finding above has its fix"));
    }
    Ok(())
}
