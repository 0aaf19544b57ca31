//! `heyun deploy`.

use std::time::Duration;

use heyun_crds::Workload;
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
        Exit::Denied => error.hint(
            "deploy into a namespace of your own tenant with -n; heyun tenant list names them",
        ),
        _ => error,
    }
}

/// Waits, and says whenever the reason changes.
async fn wait(api: &Api<Workload>, name: &str, timeout: Duration, output: &Output) -> Result<()> {
    let ready = wait_condition(api, name, "Ready", timeout);
    let telling = async {
        let mut said = String::new();
        loop {
            if let Ok(found) = api.get(name).await {
                let summary = found
                    .status
                    .map(|status| status.summary)
                    .unwrap_or_default();
                let line = format!("{name}: {} {}", summary.replicas, summary.reason);
                if line != said && !summary.reason.is_empty() {
                    output.say(&line);
                    said = line;
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let result = tokio::select! {
        result = ready => result,
        () = telling => Ok(()),
    };
    let Err(error) = result else { return Ok(()) };
    let status = api
        .get(name)
        .await
        .ok()
        .and_then(|found| found.status)
        .unwrap_or_default();
    let reason = status.summary.reason;
    let exit = if reason.starts_with("QuotaExceeded") {
        Exit::Quota
    } else {
        error.exit
    };
    let namespace = api
        .resource_url()
        .split('/')
        .nth(5)
        .unwrap_or_default()
        .to_owned();
    Err(Error::new(
        exit,
        format!("{name} is not Ready after {timeout:?}: {reason}"),
    )
    .hint(format!("heyun why {name} -n {namespace}")))
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
