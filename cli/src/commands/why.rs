//! `heyun why`.

use crate::args::Global;
use crate::args::common::Form;
use crate::args::workload::Why as Args;
use crate::ask::{Hub, workload_name};
use crate::error::Result;
use crate::output::Output;
use crate::view;

pub(super) async fn run(args: Args, global: &Global, output: &Output) -> Result<()> {
    let name = workload_name(&args.workload)?;
    let hub = Hub::new(global).await?;
    let why = hub.why(name).await?;
    output.table(&match args.format.output {
        Form::Table | Form::Wide => view::why::text(&why, args.format.headers()),
        Form::Json => view::json(&why)?,
        Form::Yaml => view::yaml(&why)?,
        Form::Name => format!("workload.heyun.dev/{}", why.name),
    });
    Ok(())
}
