//! `heyun deploy`.

use std::time::Duration;

use heyun_crds::Workload;
use heyun_crds::conditions::{ConditionType, condition};
use kube::Api;
use serde_json::Value;

use crate::apply::{Applier, How, title};
use crate::args::Global;
use crate::args::common::{DryRun, Form};
use crate::args::workload::Deploy as Args;
use crate::ask::Hub;
use crate::error::{Error, Exit, Result};
use crate::input::{Bundle, bundle};
use crate::output::Output;
use crate::sandbox::wait_condition;
use crate::view;

/// Between two looks at a Workload that is waited for.
const LOOK: Duration = Duration::from_secs(1);
/// Looks in a row that must find it refused.
const REFUSED: u32 = 10;

pub(super) async fn run(args: Args, global: &Global, output: &Output) -> Result<()> {
    let asked = global.namespace.as_deref();
    if args.dry_run == Some(DryRun::Client) {
        let namespace = match asked {
            Some(asked) => asked.to_owned(),
            // Without a kubeconfig a client's dry run still works.
            None => Hub::new(global)
                .await
                .map_or_else(|_| "default".to_owned(), |hub| hub.namespace),
        };
        return print(
            &bundle(&args.input, &namespace, asked)?,
            args.output,
            output,
        );
    }
    let hub = Hub::new(global).await?;
    let given = bundle(&args.input, &hub.namespace, asked)?;
    for note in &given.notes {
        output.say(format!("note: {note}"));
    }
    let how = How {
        force: args.force_conflicts,
        dry_run: args.dry_run == Some(DryRun::Server),
    };
    send(&hub, &given, how, args.output, output).await?;
    if how.dry_run {
        output.next("the same without --dry-run");
        return Ok(());
    }
    let mut next = "kubectl get workloads -w".to_owned();
    for workload in &given.workloads {
        let text = |pointer| {
            workload
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (name, namespace) = (text("/metadata/name"), text("/metadata/namespace"));
        if args.wait {
            let api: Api<Workload> = Api::namespaced(hub.client.clone(), namespace);
            wait(&api, name, args.timeout, output).await?;
            next = format!("heyun where {name} -n {namespace}");
        } else {
            next = format!("heyun why {name} -n {namespace}");
        }
    }
    output.next(next);
    Ok(())
}

/// What a client's dry run shows: never the payload of a Secret.
fn print(given: &Bundle, form: Option<Form>, output: &Output) -> Result<()> {
    for note in &given.notes {
        output.say(format!("note: {note}"));
    }
    let objects: Vec<&Value> = given.others.iter().chain(&given.workloads).collect();
    output.data(&objects_as(&objects, form.unwrap_or(Form::Yaml))?);
    if !given.secrets.0.is_empty() {
        let names: Vec<String> = given.secrets.0.iter().map(title).collect();
        output.say(format!(
            "note: not shown, for they hold payload: {}",
            names.join(", ")
        ));
    }
    Ok(())
}

fn objects_as(objects: &[&Value], form: Form) -> Result<String> {
    match form {
        Form::Json => match objects {
            [one] => view::json(one),
            many => view::json(&view::list(many)?),
        },
        Form::Yaml => {
            let texts: Result<Vec<String>> = objects.iter().map(view::yaml).collect();
            Ok(texts?.join("---\n"))
        }
        Form::Name | Form::Table | Form::Wide => {
            let names: Vec<String> = objects.iter().map(|object| resource(object)).collect();
            Ok(names.join("\n"))
        }
    }
}

/// `workload.heyun.dev/NAME`, as kubectl names what it did.
fn resource(object: &Value) -> String {
    let text = |pointer| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let kind = text("/kind").to_lowercase();
    let name = text("/metadata/name");
    match text("/apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{name}"),
        None => format!("{kind}/{name}"),
    }
}

/// Secrets first, for a Workload waits for them; then what it may refer to, then Workloads.
async fn send(
    hub: &Hub,
    given: &Bundle,
    how: How,
    form: Option<Form>,
    output: &Output,
) -> Result<()> {
    let applier = Applier::new(hub.client.clone());
    let all = given
        .secrets
        .0
        .iter()
        .chain(&given.others)
        .chain(&given.workloads);
    for object in all {
        let applied = applier
            .apply(object, &hub.namespace, how)
            .await
            .map_err(foreign)?;
        let suffix = if how.dry_run {
            " applied (server dry run)"
        } else {
            " applied"
        };
        match form {
            Some(Form::Name) => output.data(&resource(object)),
            Some(form @ (Form::Json | Form::Yaml)) if object["kind"] != "Secret" => {
                let value =
                    serde_json::to_value(&applied).map_err(|e| Error::failure(e.to_string()))?;
                let separator = if form == Form::Yaml { "---\n" } else { "" };
                output.data(&format!("{separator}{}", objects_as(&[&value], form)?));
            }
            _ => output.data(&format!("{}{suffix}", resource(object))),
        }
    }
    Ok(())
}

/// Who may not write in a namespace is mostly in the wrong one.
fn foreign(error: Error) -> Error {
    match error.exit {
        Exit::Denied => error.hint("deploy into a namespace of your own tenant with -n"),
        _ => error,
    }
}

/// Waits, and says whenever the reason changes. A Workload that stays refused is not waited for.
async fn wait(api: &Api<Workload>, name: &str, timeout: Duration, output: &Output) -> Result<()> {
    let ready = wait_condition(api, name, "Ready", timeout);
    let result = tokio::select! {
        result = ready => result,
        refused = follow(api, name, output) => Err(refused),
    };
    let Err(error) = result else { return Ok(()) };
    let found = api.get(name).await.ok();
    let reason = found
        .as_ref()
        .and_then(|found| found.status.as_ref())
        .map(|status| status.summary.reason.clone())
        .unwrap_or_default();
    let exit = if reason.starts_with("QuotaExceeded") {
        Exit::Quota
    } else {
        error.exit
    };
    let message = match error.exit {
        Exit::Timeout => format!("{name} is not Ready after {timeout:?}: {reason}"),
        _ => error.message,
    };
    let namespace = found
        .and_then(|found| found.metadata.namespace)
        .unwrap_or_default();
    Err(Error::new(exit, message).hint(format!("heyun why {name} -n {namespace}")))
}

/// Says whenever the reason changes; answers when the Workload stays refused.
async fn follow(api: &Api<Workload>, name: &str, output: &Output) -> Error {
    let (mut said, mut refused) = (String::new(), 0);
    loop {
        let found = api.get(name).await.ok();
        let status = found.as_ref().and_then(|found| found.status.clone());
        let status = status.unwrap_or_default();
        let line = format!(
            "{name}: {} {}",
            status.summary.replicas, status.summary.reason
        );
        if line != said && !status.summary.reason.is_empty() {
            output.say(&line);
            said = line;
        }
        let generation = found.and_then(|found| found.metadata.generation);
        let accepted = condition(&status.conditions, ConditionType::Accepted);
        let now = accepted.filter(|c| c.status == "False" && c.observed_generation == generation);
        match now {
            // What it needs may still be on its way: its tenant, its placement.
            Some(condition) if refused >= REFUSED => {
                let message = format!(
                    "{name} is refused: {}: {}",
                    condition.reason, condition.message
                );
                return Error::failure(message);
            }
            Some(_) => refused += 1,
            None => refused = 0,
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_named_as_kubectl_names_them() {
        let workload = serde_json::json!({"apiVersion": "heyun.dev/v1alpha1", "kind": "Workload", "metadata": {"name": "w"}});
        let secret =
            serde_json::json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
        assert_eq!(resource(&workload), "workload.heyun.dev/w");
        assert_eq!(resource(&secret), "secret/s");
        assert_eq!(
            objects_as(&[&workload, &secret], Form::Name).unwrap(),
            "workload.heyun.dev/w\nsecret/s"
        );
        let yaml = objects_as(&[&workload, &secret], Form::Yaml).unwrap();
        assert_eq!(yaml.matches("---\n").count(), 1);
    }
}
