//! `heyun tenant`, `quota`, `report`, `completion`.

use heyun_crds::{Quota, Tenant};
use kube::ResourceExt as _;

use super::now;
use crate::args::Global;
use crate::args::common::{Form, Format};
use crate::args::platform::{
    Completion, Quota as QuotaCommand, QuotaTree, Report, Tenant as TenantCommand, TenantList,
    TenantTree, Usage,
};
use crate::ask::{Hub, among};
use crate::error::Result;
use crate::output::Output;
use crate::view::quotas::{Wanted, rows};
use crate::view::{self, quotas, tenants, usage};

pub(super) async fn tenant(command: TenantCommand, global: &Global, output: &Output) -> Result<()> {
    let hub = Hub::new(global).await?;
    match command {
        TenantCommand::List(args) => tenant_list(&hub, args, output).await,
        TenantCommand::Tree(args) => tenant_tree(&hub, args, output).await,
    }
}

async fn tenant_list(hub: &Hub, args: TenantList, output: &Output) -> Result<()> {
    let all: Vec<Tenant> = hub.seen(args.selector.as_deref()).await?;
    if all.is_empty() {
        output.say("no tenant");
    }
    let (wide, headers) = (args.format.is_wide(), args.format.headers());
    output.table(&objects(&all, args.format, "tenant", || {
        tenants::table(&all, wide, headers, now())
    })?);
    Ok(())
}

async fn tenant_tree(hub: &Hub, args: TenantTree, output: &Output) -> Result<()> {
    let all: Vec<Tenant> = hub.seen(None).await?;
    if let Some(name) = &args.tenant {
        among(&all, name)?;
    }
    let root = args.tenant.as_deref();
    let headers = args.format.headers();
    output.table(&objects(&all, args.format, "tenant", || {
        tenants::tree(&all, root, headers)
    })?);
    Ok(())
}

/// Objects in the form that is wanted; `table` makes the text for people.
pub(super) fn objects<K: serde::Serialize + kube::Resource>(
    all: &[K],
    format: Format,
    kind: &str,
    table: impl FnOnce() -> String,
) -> Result<String> {
    Ok(match format.output {
        Form::Table | Form::Wide if all.is_empty() => String::new(),
        Form::Table | Form::Wide => table(),
        Form::Json => view::json(&view::list(all)?)?,
        Form::Yaml => view::yaml(&view::list(all)?)?,
        Form::Name => {
            let names: Vec<String> = all
                .iter()
                .map(|one| format!("{kind}.heyun.dev/{}", one.name_any()))
                .collect();
            names.join("\n")
        }
    })
}

pub(super) async fn quota(command: QuotaCommand, global: &Global, output: &Output) -> Result<()> {
    let QuotaCommand::Tree(args) = command;
    let hub = Hub::new(global).await?;
    quota_tree(&hub, args, output).await
}

async fn quota_tree(hub: &Hub, args: QuotaTree, output: &Output) -> Result<()> {
    let (all, family): (Vec<Quota>, Vec<Tenant>) =
        tokio::try_join!(hub.seen(None), hub.seen(None))?;
    if let Some(name) = &args.tenant {
        among(&family, name)?;
    }
    let wanted = Wanted {
        root: args.tenant,
        resource: Some(args.resource).filter(|resource| resource != "all"),
        flavor: args.flavor,
    };
    let rows = rows(&all, &family, &wanted);
    if rows.is_empty() {
        output.say("no quota of this kind");
        output.next("heyun quota tree --resource all");
    }
    output.table(&match args.format.output {
        Form::Table | Form::Wide => quotas::text(&rows, args.format.headers()),
        Form::Json => view::json(&rows)?,
        Form::Yaml => view::yaml(&rows)?,
        Form::Name => {
            let mut names: Vec<String> = rows
                .iter()
                .map(|row| format!("quota.heyun.dev/{}", row.tenant))
                .collect();
            names.sort_unstable();
            names.dedup();
            names.join("\n")
        }
    });
    Ok(())
}

pub(super) async fn report(command: Report, global: &Global, output: &Output) -> Result<()> {
    let Report::Usage(args) = command;
    let hub = Hub::new(global).await?;
    usage_report(&hub, args, output).await
}

async fn usage_report(hub: &Hub, args: Usage, output: &Output) -> Result<()> {
    let given = [
        ("tenant", &args.tenant),
        ("from", &args.from),
        ("until", &args.until),
    ];
    let parameters: Vec<(&str, &str)> = given
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
        .collect();
    let report = hub.usage(&parameters).await?;
    output.table(&match args.format.output {
        Form::Table | Form::Wide => usage::table(&report, args.format.headers()),
        Form::Json => view::json(&report)?,
        Form::Yaml => view::yaml(&report)?,
        Form::Name => {
            let mut names: Vec<String> = report
                .rows
                .iter()
                .map(|row| format!("tenant.heyun.dev/{}", row.tenant))
                .collect();
            names.dedup();
            names.join("\n")
        }
    });
    Ok(())
}

pub(super) fn completion(args: &Completion, output: &Output) {
    let mut command = crate::run::command(None);
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "heyun", &mut script);
    output.data(&String::from_utf8_lossy(&script));
}
