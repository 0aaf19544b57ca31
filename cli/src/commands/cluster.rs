//! `heyun cluster`.

use heyun_crds::labels::{SYSTEM_NAMESPACE, member_namespace};
use heyun_crds::{MemberCluster, Work};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use super::now;
use super::platform::objects;
use crate::apply::{FIELD_MANAGER, call, documents};
use crate::args::Global;
use crate::args::cluster::{Cluster, Describe, Join as JoinArgs, Leave, List, Name};
use crate::args::common::Form;
use crate::ask::{Hub, list};
use crate::error::{Error, Exit, Result};
use crate::input::read;
use crate::join::{Join, join, plan};
use crate::output::Output;
use crate::sandbox::wait_member_ready;
use crate::view::{self, clusters};

pub(super) async fn run(command: Cluster, global: &Global, output: &Output) -> Result<()> {
    match command {
        Cluster::Join(args) => run_join(args, global, output).await,
        Cluster::List(args) => run_list(args, global, output).await,
        Cluster::Describe(args) => describe(args, global, output).await,
        Cluster::Cordon(args) => set_unschedulable(args, true, global, output).await,
        Cluster::Uncordon(args) => set_unschedulable(args, false, global, output).await,
        Cluster::Leave(args) => leave(args, global, output).await,
    }
}

async fn run_join(args: JoinArgs, global: &Global, output: &Output) -> Result<()> {
    let request = Join {
        name: args.name,
        kubeconfig: read(&args.member_kubeconfig)?,
        context: args.member_context,
        member: args.filename.as_deref().map(one_document).transpose()?,
    };
    if args.dry_run.is_some() {
        let (_, object) = plan(&request)?;
        output.data(&view::yaml(&object)?);
        return Ok(());
    }
    let hub = Hub::new(global).await?;
    let joined = join(&hub.client, &request).await?;
    output.data(&format!("membercluster.heyun.dev/{} joined", joined.name));
    output.say(format!(
        "{} · {} · the hub's token there ends {}",
        joined.endpoint,
        joined.version,
        joined.token_until.strftime("%Y-%m-%d")
    ));
    if args.wait {
        wait_member_ready(&hub.client, &joined.name, JoinArgs::PATIENCE).await?;
        output.next(format!("heyun cluster describe {}", joined.name));
    } else {
        output.next(format!(
            "kubectl wait --for=condition=Ready mc/{}",
            joined.name
        ));
    }
    Ok(())
}

fn one_document(path: &std::path::Path) -> Result<serde_json::Value> {
    let shown = path.display().to_string();
    let mut all = documents(&shown, &read(path)?)?;
    match (all.pop(), all.len()) {
        (Some(one), 0) => Ok(one),
        (None, _) => Err(Error::usage(format!("{shown} is empty"))),
        (_, rest) => Err(Error::usage(format!(
            "{shown} holds {} documents, not one",
            rest + 1
        ))),
    }
    .map_err(|error: Error| error.hint("give a file with one MemberCluster; see examples/members"))
}

async fn run_list(args: List, global: &Global, output: &Output) -> Result<()> {
    let hub = Hub::new(global).await?;
    let all: Vec<MemberCluster> = hub.all(args.selector.as_deref()).await?;
    if all.is_empty() {
        output.say("no member");
        output.next("heyun cluster join NAME --member-kubeconfig FILE");
    }
    let (wide, headers) = (args.format.is_wide(), args.format.headers());
    let table = || clusters::table(&all, wide, headers, now());
    output.table(&objects(&all, args.format, "membercluster", table)?);
    Ok(())
}

async fn describe(args: Describe, global: &Global, output: &Output) -> Result<()> {
    let hub = Hub::new(global).await?;
    let member: MemberCluster = hub.get_cluster(&args.name).await?;
    output.table(&match args.format.output {
        Form::Table | Form::Wide => {
            let works = works(&hub, &args.name).await.unwrap_or_default();
            clusters::describe(&member, works.len(), now())
        }
        Form::Json => view::json(&member)?,
        Form::Yaml => view::yaml(&member)?,
        Form::Name => format!("membercluster.heyun.dev/{}", member.name_any()),
    });
    Ok(())
}

async fn works(hub: &Hub, member: &str) -> Result<Vec<Work>> {
    let api: Api<Work> = Api::namespaced(hub.client.clone(), &member_namespace(member));
    list(&api, None).await
}

async fn set_unschedulable(
    args: Name,
    wanted: bool,
    global: &Global,
    output: &Output,
) -> Result<()> {
    let (verb, opposite) = if wanted {
        ("cordoned", "uncordon")
    } else {
        ("uncordoned", "cordon")
    };
    let change = json!({"spec": {"unschedulable": wanted}});
    if args.dry_run.is_some() {
        output.data(&view::yaml(&change)?);
        return Ok(());
    }
    let hub = Hub::new(global).await?;
    let member: MemberCluster = hub.get_cluster(&args.name).await?;
    if member.spec.unschedulable == wanted {
        output.data(&format!(
            "membercluster.heyun.dev/{} {verb} already",
            args.name
        ));
    } else {
        let api: Api<MemberCluster> = Api::all(hub.client.clone());
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let doing = format!("change membercluster {}", args.name);
        call(
            &doing,
            api.patch(&args.name, &params, &Patch::Merge(&change)),
        )
        .await?;
        output.data(&format!("membercluster.heyun.dev/{} {verb}", args.name));
    }
    output.next(format!(
        "heyun cluster describe {0}, or heyun cluster {opposite} {0}",
        args.name
    ));
    Ok(())
}

/// The MemberCluster goes first: without it the hub dials no more, and the credential is of no
/// use to anybody.
async fn leave(args: Leave, global: &Global, output: &Output) -> Result<()> {
    let hub = Hub::new(global).await?;
    let name = &args.name;
    let member: MemberCluster = hub.get_cluster(name).await?;
    let works = works(&hub, name).await?;
    if !works.is_empty() && !args.force {
        let of = |work: &Work| {
            format!(
                "{}/{}",
                work.spec.workload.namespace, work.spec.workload.name
            )
        };
        let mut names: Vec<String> = works.iter().map(of).collect();
        names.truncate(5);
        return Err(Error::new(
            Exit::Conflict,
            format!("{} still on {name}: {}", view::count(works.len(), "Work"), names.join(", ")),
        )
        .hint(format!(
            "heyun cluster cordon {name}, move or delete these, and try again; --force leaves what runs there to itself"
        )));
    }
    let secret = member
        .spec
        .credentials_ref
        .as_ref()
        .map(|reference| reference.name.clone());
    if args.dry_run.is_some() {
        output.data(&format!("membercluster.heyun.dev/{name} would be deleted"));
        if let Some(secret) = &secret {
            output.data(&format!("secret/{secret} would be deleted"));
        }
        return Ok(());
    }
    let members: Api<MemberCluster> = Api::all(hub.client.clone());
    let params = DeleteParams::default();
    call(
        &format!("delete membercluster {name}"),
        members.delete(name, &params),
    )
    .await?;
    output.data(&format!("membercluster.heyun.dev/{name} deleted"));
    if let Some(secret) = secret {
        let secrets: Api<Secret> = Api::namespaced(hub.client.clone(), SYSTEM_NAMESPACE);
        match call(
            &format!("delete secret {secret}"),
            secrets.delete(&secret, &params),
        )
        .await
        {
            Ok(_) => output.data(&format!("secret/{secret} deleted")),
            Err(error) if error.exit == Exit::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    output.next(format!(
        "on the member, to take the hub's account away: kubectl delete clusterrolebinding heyun-hub-member, then namespace {SYSTEM_NAMESPACE}"
    ));
    Ok(())
}
