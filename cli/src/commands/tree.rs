//! `heyun tree`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use heyun_crds::labels::{self, WORK};
use heyun_crds::{Work, Workload};
use heyun_plan::member_names::{member_of_namespace, work_name};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;

use crate::apply::call;
use crate::args::Global;
use crate::args::common::Form;
use crate::args::workload::Tree as Args;
use crate::ask::{Hub, list, workload_name};
use crate::connect::client_of;
use crate::error::{Error, Exit, Result};
use crate::output::Output;
use crate::view;
use crate::view::tree::{Placed, text, tree};

pub(super) async fn run(args: Args, global: &Global, output: &Output) -> Result<()> {
    let name = workload_name(&args.workload)?;
    let hub = Hub::new(global).await?;
    let workload: Workload = hub.get(name).await?;
    let works = works(&hub, &workload, name, output).await?;
    let mut members: BTreeMap<String, PathBuf> = args.member_kubeconfig.into_iter().collect();
    let mut placed = Vec::new();
    for work in works {
        let namespace = work.metadata.namespace.clone().unwrap_or_default();
        let member = member_of_namespace(&namespace).unwrap_or_default();
        let pods = match members.remove(member) {
            Some(file) => Some(pods(&file, &hub.namespace, &work).await?),
            None => None,
        };
        placed.push(Placed { work, pods });
    }
    for (unused, _) in members {
        output.say(format!("note: nothing of {name} is on {unused}"));
    }
    let root = tree(&workload, &placed);
    output.table(&match args.format.output {
        Form::Table | Form::Wide => text(&root, args.format.headers()),
        Form::Json => view::json(&lines(&root))?,
        Form::Yaml => view::yaml(&lines(&root))?,
        Form::Name => {
            let all = view::branch::flatten(std::slice::from_ref(&root));
            let names: Vec<&str> = all
                .into_iter()
                .map(|(_, line)| line.object.as_str())
                .collect();
            names.join("\n")
        }
    });
    Ok(())
}

/// The tree as nested objects.
fn lines(branch: &view::branch::Branch<view::tree::Line>) -> serde_json::Value {
    let mut object = serde_json::to_value(&branch.value).unwrap_or_default();
    let children: Vec<serde_json::Value> = branch.children.iter().map(lines).collect();
    if !children.is_empty() {
        object["children"] = children.into();
    }
    object
}

/// The Works of a Workload, by the members that its status names: an agency may not list the
/// namespaces of all members, and needs no more than this.
async fn works(hub: &Hub, workload: &Workload, name: &str, output: &Output) -> Result<Vec<Work>> {
    let status = workload.status.clone().unwrap_or_default();
    let work = work_name(&hub.namespace, name);
    let mut works = Vec::new();
    let mut hidden = Vec::new();
    for member in status.members {
        let api: Api<Work> =
            Api::namespaced(hub.client.clone(), &labels::member_namespace(&member.name));
        match call(
            &format!("read Work {work} of {}", member.name),
            api.get_opt(&work),
        )
        .await
        {
            Ok(found) => works.extend(found),
            Err(error) if error.exit == Exit::Denied => {
                works.push(summary(&member));
                hidden.push(member.name);
            }
            Err(error) => return Err(error),
        }
    }
    if !hidden.is_empty() {
        output.say(format!(
            "note: you may not read Works of {}: what is shown there is the Workload's own summary",
            hidden.join(", ")
        ));
    }
    Ok(works)
}

/// A Work as far as the Workload's status tells of it.
fn summary(member: &heyun_crds::workload::MemberState) -> Work {
    use heyun_crds::conditions::{ConditionType, set_condition};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;
    let mut status = heyun_crds::work::WorkStatus::default();
    let now = Time(Timestamp::UNIX_EPOCH);
    let (reason, message) = (&member.reason, &member.message);
    for (kind, ok) in [
        (ConditionType::Applied, member.applied),
        (ConditionType::Healthy, member.healthy),
    ] {
        set_condition(
            &mut status.conditions,
            kind,
            Some(ok),
            reason,
            message,
            None,
            &now,
        );
    }
    let mut work = Work::new("", heyun_crds::work::WorkSpec::default());
    work.metadata.namespace = Some(labels::member_namespace(&member.name));
    work.status = Some(status);
    work
}

async fn pods(kubeconfig: &std::path::Path, namespace: &str, work: &Work) -> Result<Vec<Pod>> {
    let client = client_of(kubeconfig).await?;
    let name = work.metadata.name.as_deref().unwrap_or_default();
    let api: Api<Pod> = Api::namespaced(client, namespace);
    list(&api, Some(&format!("{WORK}={name}")))
        .await
        .map_err(|error| {
            Error::new(
                error.exit,
                format!("{}: {}", kubeconfig.display(), error.message),
            )
            .hint("check the file given with --member-kubeconfig")
        })
}
