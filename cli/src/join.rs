//! Joining a member: what `heyun cluster join` does, and the sandbox with it.
//!
//! The kubeconfig that is given is an administrator's and is used once, to install the hub's own
//! account on the member; what is stored is that account's token, bound to endpoint and CA.

use std::time::Duration;

use heyun_crds::install::MEMBER;
use heyun_crds::labels::{HUB_ACCOUNT, MEMBER_NAME_MAX, SYSTEM_NAMESPACE};
use heyun_crds::{API_VERSION, MemberCluster};
use heyun_member::client;
use heyun_member::credential::{Credential, Identity, KEY_CA, normal_endpoint};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, Node, ServiceAccount};
use k8s_openapi::jiff::Timestamp;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::apply::{Applier, How, call, title};
use crate::error::{Error, Exit, Result};

/// How long a token of the hub's account on a member is wished to live: ten years. The member's
/// API server may give less, which [`Joined::token_until`] tells.
const TOKEN_SECONDS: i64 = 10 * 365 * 24 * 3600;
/// How long a fresh account may take to be allowed what its roles say.
const SETTLE: Duration = Duration::from_secs(15);

/// What is joined, and how.
#[derive(Clone, Debug)]
pub struct Join {
    /// Name of the MemberCluster.
    pub name: String,
    /// An administrator's kubeconfig of the member, as text.
    pub kubeconfig: String,
    /// Its context; without it, the current one.
    pub context: Option<String>,
    /// The MemberCluster as its author wrote it; endpoint and credential are filled in. Without
    /// it, an empty one.
    pub member: Option<Value>,
}

/// A member that is joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Name of the MemberCluster.
    pub name: String,
    /// URL of its API server.
    pub endpoint: String,
    /// uid of its namespace kube-system.
    pub cluster_id: String,
    /// Version of its API server.
    pub version: String,
    /// When the hub's token there ends.
    pub token_until: Timestamp,
}

/// The MemberCluster that a join would apply. Nothing is asked of any cluster.
///
/// # Errors
/// A name, kubeconfig or MemberCluster that cannot be used, naming the field.
pub fn plan(join: &Join) -> Result<(Credential, Value)> {
    check_name(&join.name)?;
    let credential = match &join.context {
        Some(context) => Credential::from_kubeconfig_context(&join.kubeconfig, context),
        None => Credential::from_kubeconfig(&join.kubeconfig),
    }?;
    let object = member_object(join, credential.server())?;
    Ok((credential, object))
}

/// Joins a member to the hub. Doing so again renews the token and applies the spec again.
///
/// # Errors
/// As [`plan`]; a member that cannot be reached or refuses; one that is joined already under
/// another name; a refusal of the hub. What was done until then stays, and is done again.
pub async fn join(hub: &Client, join: &Join) -> Result<Joined> {
    let (admin, object) = plan(join)?;
    let member = client::connect(&admin)?;
    let reach = |error: Error| reached(error, admin.server());
    let cluster_id = cluster_id(&member).await.map_err(reach)?;
    let version = call("ask the member for its version", member.apiserver_version()).await?;
    refuse_twice(hub, &join.name, admin.server(), &cluster_id).await?;
    let on_member = Applier::new(member.clone());
    on_member
        .install("the member's installation", MEMBER)
        .await?;
    let (credential, token_until) = account(&member, &admin).await?;
    prove(&credential).await?;
    let on_hub = Applier::new(hub.clone());
    let force = How {
        force: true,
        dry_run: false,
    };
    let secret = serde_json::to_value(credential.to_secret(&secret_name(&join.name)))
        .map_err(|e| Error::failure(format!("the credential cannot be written: {e}")))?;
    on_hub.apply(&secret, SYSTEM_NAMESPACE, force).await?;
    on_hub.apply(&object, "", force).await?;
    Ok(Joined {
        name: join.name.clone(),
        endpoint: credential.server().to_owned(),
        cluster_id,
        version: version.git_version,
        token_until,
    })
}

/// Name of the Secret with a member's credential.
pub fn secret_name(member: &str) -> String {
    format!("member-{member}")
}

fn check_name(name: &str) -> Result<()> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = !name.is_empty()
        && name.len() <= MEMBER_NAME_MAX
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if good {
        return Ok(());
    }
    Err(
        Error::usage(format!("\"{name}\" is no name of a member")).hint(format!(
            "use 1 to {MEMBER_NAME_MAX} lowercase letters, digits and inner dashes, as in guangzhou-1"
        )),
    )
}

fn member_object(join: &Join, endpoint: &str) -> Result<Value> {
    let empty =
        json!({"apiVersion": API_VERSION, "kind": "MemberCluster", "metadata": {}, "spec": {}});
    let mut object = join.member.clone().unwrap_or(empty);
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    if (text("/apiVersion"), text("/kind")) != (API_VERSION, "MemberCluster") {
        return Err(Error::usage(format!(
            "{} is not a MemberCluster of {API_VERSION}",
            title(&object)
        ))
        .hint("give -f a file with one MemberCluster; see examples/members"));
    }
    let written = text("/metadata/name");
    if !written.is_empty() && written != join.name {
        return Err(Error::usage(format!(
            "the file is of member \"{written}\", the command of \"{}\"",
            join.name
        ))
        .hint("give both the same name"));
    }
    if text("/spec/mode") == "Pull" {
        return Err(
            Error::usage(format!("spec.mode of \"{}\" is Pull", join.name)).hint(
                "a member that an agent serves is not joined from here; choose Push or Observe",
            ),
        );
    }
    let other = text("/spec/endpoint");
    if !other.is_empty() && normal_endpoint(other).as_deref() != Ok(endpoint) {
        return Err(Error::usage(format!(
            "spec.endpoint is {other}, the kubeconfig's server is {endpoint}"
        ))
        .hint("leave spec.endpoint out, or give the kubeconfig of that server"));
    }
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
        fields.entry("spec").or_insert_with(|| json!({}));
    }
    object["metadata"]["name"] = join.name.as_str().into();
    object["spec"]["endpoint"] = endpoint.into();
    object["spec"]["credentialsRef"] = json!({"name": secret_name(&join.name)});
    serde_json::from_value::<MemberCluster>(object.clone())
        .map_err(|e| Error::usage(format!("MemberCluster/{}: {e}", join.name)))?;
    Ok(object)
}

/// uid of kube-system: the identity of a cluster.
async fn cluster_id(client: &Client) -> Result<String> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let system = call("read Namespace kube-system", namespaces.get("kube-system")).await?;
    Ok(system.metadata.uid.unwrap_or_default())
}

fn reached(error: Error, server: &str) -> Error {
    let message = format!("member at {server}: {}", error.message);
    let hint = match error.exit {
        Exit::Denied => "the kubeconfig is not an administrator's, or is no longer valid",
        _ => "check the server of the kubeconfig, and that this machine and the hub can reach it",
    };
    Error::new(error.exit, message).hint(hint)
}

/// A cluster has one name, and the hub is no member of itself.
async fn refuse_twice(hub: &Client, name: &str, endpoint: &str, id: &str) -> Result<()> {
    if cluster_id(hub).await.is_ok_and(|hub| hub == id) {
        return Err(
            Error::new(Exit::Conflict, format!("{endpoint} is the hub itself"))
                .hint("give the kubeconfig of another cluster with --member-kubeconfig"),
        );
    }
    let members: Api<MemberCluster> = Api::all(hub.clone());
    let all = call("list MemberClusters", members.list(&ListParams::default())).await?;
    for other in &all.items {
        let other_name = other.metadata.name.as_deref().unwrap_or_default();
        let known_id = other.status.as_ref().map_or("", |s| s.cluster_id.as_str());
        let known_endpoint = other.spec.endpoint.as_deref().unwrap_or_default();
        let same_endpoint = normal_endpoint(known_endpoint).as_deref() == Ok(endpoint);
        let same_id = !known_id.is_empty() && known_id == id;
        let conflict = match (other_name == name, same_endpoint, same_id) {
            (true, _, _) if !known_id.is_empty() && known_id != id => {
                format!("the name {name} is another cluster's: {known_endpoint}, id {known_id}")
            }
            (false, true, _) => format!("{endpoint} is joined already, as {other_name}"),
            (false, _, true) => {
                format!(
                    "the cluster at {endpoint} is joined already, as {other_name} ({known_endpoint})"
                )
            }
            _ => continue,
        };
        return Err(Error::new(Exit::Conflict, conflict).hint(format!(
            "choose another name or cluster, or run: heyun cluster leave {other_name}"
        )));
    }
    Ok(())
}

/// A token of the hub's account on the member, with the endpoint and CA of the administrator's.
async fn account(member: &Client, admin: &Credential) -> Result<(Credential, Timestamp)> {
    let (token, until) = token(member, TOKEN_SECONDS).await?;
    let held = admin.to_secret("unused").data.unwrap_or_default();
    let ca = held
        .get(KEY_CA)
        .map(|bytes| bytes.0.clone())
        .unwrap_or_default();
    let ca = String::from_utf8(ca)
        .map_err(|_| Error::failure("the CA of the kubeconfig is not PEM text"))?;
    let credential = Credential::new(admin.server(), ca, Identity::Token(token.into()))?;
    Ok((credential, until))
}

/// A token of the account `heyun-system/heyun-hub` of a cluster, and when it ends.
pub(crate) async fn token(client: &Client, seconds: i64) -> Result<(String, Timestamp)> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let request = TokenRequest {
        spec: Some(TokenRequestSpec {
            expiration_seconds: Some(seconds),
            ..TokenRequestSpec::default()
        }),
        ..TokenRequest::default()
    };
    let doing = format!("make a token for ServiceAccount {SYSTEM_NAMESPACE}/{HUB_ACCOUNT}");
    let params = PostParams::default();
    let made = accounts.create_token_request(HUB_ACCOUNT, &params, &request);
    let status = call(&doing, made).await?.status.unwrap_or_default();
    match (status.token, status.expiration_timestamp) {
        (Some(token), Some(until)) => Ok((token, until.0)),
        _ => Err(Error::failure(format!(
            "failed to {doing}: the answer holds none"
        ))),
    }
}

/// The new account must be able to read nodes before the hub is told of it.
async fn prove(credential: &Credential) -> Result<()> {
    let client = client::connect(credential)?;
    let nodes: Api<Node> = Api::all(client);
    let params = ListParams::default().limit(1);
    let check = || async {
        let listed = call("read nodes as heyun-hub", nodes.list(&params)).await;
        listed.map(|_| ()).map_err(|error| error.message)
    };
    let what = "the hub's account on the member to be allowed in";
    heyun_sandbox::eventually_async(what, SETTLE, None, tokio::time::sleep, check).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
