//! `heyun request`.

use std::time::Duration;

use heyun_crds::approval::{ApprovalSpec, ApprovalVerdict};
use heyun_crds::conditions::{ConditionType, condition, is_true};
use heyun_crds::resource_request::{RequestDocument, ResourceRequestSpec};
use heyun_crds::{Approval, ResourceRequest};
use heyun_plan::approve;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::PostParams;
use kube::{Api, ResourceExt as _};

use super::now;
use super::platform::objects;
use crate::apply::{FIELD_MANAGER, call, documents};
use crate::args::Global;
use crate::args::common::{DryRun, Form};
use crate::args::request::{Act, Create, Doing, List, OwnAct, Request, Show, WaitFor};
use crate::ask::{Hub, list};
use crate::error::{Error, Exit, Result};
use crate::input::read;
use crate::output::Output;
use crate::view::{self, requests};

/// Between two looks at a request that is waited for.
const LOOK: Duration = Duration::from_millis(500);

pub(super) async fn run(command: Request, global: &Global, output: &Output) -> Result<()> {
    let hub = Hub::new(global).await?;
    use ApprovalVerdict as V;
    match command {
        Request::Create(args) => create(&hub, args, output).await,
        Request::List(args) => show_all(&hub, args, output).await,
        Request::Show(args) => show(&hub, args, output).await,
        Request::Approve(args) => at_stage(&hub, args, V::Approve, output).await,
        Request::Reject(args) => at_stage(&hub, args, V::Reject, output).await,
        Request::Return(args) => at_stage(&hub, args, V::ReturnForCorrection, output).await,
        Request::Revoke(args) => at_stage(&hub, args, V::Revoke, output).await,
        Request::Withdraw(args) => own(&hub, args, V::Withdraw, output).await,
        Request::Release(args) => own(&hub, args, V::Release, output).await,
    }
}

/// Who the API server takes the caller for.
async fn caller(hub: &Hub) -> Result<String> {
    let api: Api<SelfSubjectReview> = Api::all(hub.client.clone());
    let asked = SelfSubjectReview::default();
    let params = PostParams::default();
    let answer = call("ask who you are", api.create(&params, &asked)).await?;
    let user = answer.status.and_then(|status| status.user_info);
    user.and_then(|user| user.username)
        .ok_or_else(|| Error::failure("the API server does not say who you are"))
}

fn params(doing: Doing) -> PostParams {
    PostParams {
        dry_run: doing.dry_run == Some(DryRun::Server),
        field_manager: Some(FIELD_MANAGER.to_owned()),
    }
}

async fn create(hub: &Hub, args: Create, output: &Output) -> Result<()> {
    let mut request = match &args.filename {
        Some(path) => from_file(path)?,
        None => from_flags(hub, &args),
    };
    if let Some(name) = &args.name {
        request.metadata.name = Some(name.clone());
    }
    if request.metadata.name.is_none() && request.metadata.generate_name.is_none() {
        request.metadata.generate_name = Some(format!("{}-", request.spec.tenant));
    }
    request.metadata.namespace = Some(hub.namespace.clone());
    request.spec.applicant = caller(hub).await?;
    if args.doing.dry_run == Some(DryRun::Client) {
        return shown(&request, "resourcerequest", args.doing, Form::Yaml, output);
    }
    let api: Api<ResourceRequest> = hub.here();
    let params = params(args.doing);
    let made = call("make the request", api.create(&params, &request)).await;
    let made = made.map_err(foreign)?;
    shown(&made, "resourcerequest", args.doing, Form::Table, output)?;
    if params.dry_run {
        output.next("the same without --dry-run");
        return Ok(());
    }
    let name = made.name_any();
    if let Some(wanted) = args.wait {
        wait(&api, &name, wanted, args.timeout, output).await?;
    }
    output.next(format!("heyun request show {name} -n {}", hub.namespace));
    Ok(())
}

fn from_file(path: &std::path::Path) -> Result<ResourceRequest> {
    let place = path.display().to_string();
    let mut all = documents(&place, &read(path)?)?;
    let (Some(mut one), true) = (all.pop(), all.is_empty()) else {
        return Err(Error::usage(format!("{place} does not hold one document"))
            .hint("give a file with one ResourceRequest"));
    };
    if one["kind"] != "ResourceRequest" {
        return Err(Error::usage(format!("{place} holds no ResourceRequest"))
            .hint("give a file with one ResourceRequest"));
    }
    if one["spec"].get("applicant").is_none() && one["spec"].is_object() {
        one["spec"]["applicant"] = "".into();
    }
    serde_json::from_value(one).map_err(|error| Error::usage(format!("{place}: {error}")))
}

fn from_flags(hub: &Hub, args: &Create) -> ResourceRequest {
    let spec = ResourceRequestSpec {
        tenant: args.tenant.clone().unwrap_or_else(|| hub.namespace.clone()),
        applicant: String::new(),
        resources: args.resource.clone(),
        from: args.from.clone(),
        until: args.until.clone().unwrap_or_default(),
        reason: args.reason.clone().unwrap_or_default(),
        document: args
            .document
            .clone()
            .map(|number| RequestDocument { number }),
    };
    let mut request = ResourceRequest::new("", spec);
    request.metadata.name = None;
    request
}

/// An object that was, or would be, made. `plain` is the form that is meant where none is asked for.
fn shown<K: serde::Serialize + kube::Resource>(
    object: &K,
    kind: &str,
    doing: Doing,
    plain: Form,
    output: &Output,
) -> Result<()> {
    let form = match doing.format.output {
        Form::Table | Form::Wide => plain,
        form => form,
    };
    let suffix = if doing.dry_run == Some(DryRun::Server) {
        " (server dry run)"
    } else {
        ""
    };
    output.data(&match form {
        Form::Json => view::json(object)?,
        Form::Yaml => view::yaml(object)?,
        Form::Table | Form::Wide => {
            format!("{kind}.heyun.dev/{} created{suffix}", object.name_any())
        }
        Form::Name => format!("{kind}.heyun.dev/{}", object.name_any()),
    });
    Ok(())
}

/// Waits until a condition holds; fails as soon as nothing more can come of it.
async fn wait(
    api: &Api<ResourceRequest>,
    name: &str,
    wanted: WaitFor,
    timeout: Duration,
    output: &Output,
) -> Result<()> {
    let kind = match wanted {
        WaitFor::Approved => ConditionType::Approved,
        WaitFor::Active => ConditionType::Active,
    };
    let mut said = String::new();
    let look = async {
        loop {
            let found = call("read the request", api.get(name)).await?;
            let status = found.status.unwrap_or_default();
            if is_true(&status.conditions, kind) {
                return Ok(());
            }
            if let Some(ended) = condition(&status.conditions, ConditionType::Ended) {
                let (reason, message) = (&ended.reason, &ended.message);
                return Err(Error::failure(format!(
                    "{name} has ended: {reason}: {message}"
                )));
            }
            let line = requests::line(&status);
            if line != said && !line.is_empty() {
                output.say(format!("{name}: {line}"));
                said = line;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    if let Ok(result) = tokio::time::timeout(timeout, look).await {
        return result;
    }
    let message = format!("{name} is not {kind} after {timeout:?}: {said}");
    Err(Error::new(Exit::Timeout, message)
        .hint(format!("see who decides: heyun request show {name}")))
}

async fn show_all(hub: &Hub, args: List, output: &Output) -> Result<()> {
    let all: Vec<ResourceRequest> = if args.all_namespaces {
        hub.all(None).await?
    } else {
        list(&hub.here(), None).await?
    };
    if all.is_empty() {
        output.say("no request");
    }
    let (format, spaces) = (args.format, args.all_namespaces);
    output.table(&objects(&all, format, "resourcerequest", || {
        requests::table(&all, spaces, format.is_wide(), format.headers(), now())
    })?);
    Ok(())
}

async fn show(hub: &Hub, args: Show, output: &Output) -> Result<()> {
    let request: ResourceRequest = hub.get(&args.name).await?;
    output.table(&match args.format.output {
        Form::Table | Form::Wide => {
            let acts: Vec<Approval> = list(&hub.here(), None).await?;
            requests::show(&request, &acts, now())
        }
        Form::Json => view::json(&request)?,
        Form::Yaml => view::yaml(&request)?,
        Form::Name => format!("resourcerequest.heyun.dev/{}", request.name_any()),
    });
    Ok(())
}

async fn at_stage(hub: &Hub, args: Act, verdict: ApprovalVerdict, output: &Output) -> Result<()> {
    let request: ResourceRequest = hub.get(&args.name).await?;
    let waits = request.status.as_ref().map(|status| status.stage.clone());
    let stage = args.stage.or(waits).unwrap_or_default();
    if stage.is_empty() {
        let message = format!("{} waits for no stage", args.name);
        return Err(Error::usage(message).hint("name the stage with --stage"));
    }
    act(
        hub,
        &request,
        stage,
        verdict,
        args.comment,
        args.doing,
        output,
    )
    .await
}

async fn own(hub: &Hub, args: OwnAct, verdict: ApprovalVerdict, output: &Output) -> Result<()> {
    let request: ResourceRequest = hub.get(&args.name).await?;
    let stage = String::new();
    act(
        hub,
        &request,
        stage,
        verdict,
        args.comment,
        args.doing,
        output,
    )
    .await
}

async fn act(
    hub: &Hub,
    request: &ResourceRequest,
    stage: String,
    verdict: ApprovalVerdict,
    comment: String,
    doing: Doing,
    output: &Output,
) -> Result<()> {
    let name = request.name_any();
    let conditions = request.status.as_ref().map(|s| s.conditions.as_slice());
    if let Some(ended) = condition(conditions.unwrap_or_default(), ConditionType::Ended) {
        return Err(Error::new(
            Exit::Conflict,
            format!("{name} has ended: {}: {}", ended.reason, ended.message),
        ));
    }
    let spec = ApprovalSpec {
        request: name.clone(),
        request_uid: request.uid().unwrap_or_default(),
        request_hash: approve::hash(&request.spec),
        stage,
        verdict,
        approver: caller(hub).await?,
        comment,
    };
    let mut approval = Approval::new("", spec);
    approval.metadata.name = None;
    approval.metadata.generate_name = Some(format!("{name}-"));
    approval.metadata.namespace = Some(hub.namespace.clone());
    if doing.dry_run == Some(DryRun::Client) {
        return shown(&approval, "approval", doing, Form::Yaml, output);
    }
    let api: Api<Approval> = hub.here();
    let made = call("act on the request", api.create(&params(doing), &approval)).await;
    shown(
        &made.map_err(foreign)?,
        "approval",
        doing,
        Form::Table,
        output,
    )?;
    output.next(format!("heyun request show {name} -n {}", hub.namespace));
    Ok(())
}

/// Who may not is mostly in the wrong namespace.
fn foreign(error: Error) -> Error {
    match error.exit {
        Exit::Denied => error.hint("check the namespace with -n, or ask the platform for the role"),
        _ => error,
    }
}
