//! What a member needs before its worker starts: its namespace on the hub, its Sketch, a client.

use heyun_crds::conditions::Reason;
use heyun_crds::labels::{MANAGED_BY, MANAGER, SYSTEM_NAMESPACE, member_namespace};
use heyun_crds::member_cluster::MemberClusterStatus;
use heyun_crds::sketch::SketchSpec;
use heyun_crds::{MemberCluster, Sketch};
use heyun_member::apply::{self, Force, Guard};
use heyun_member::credential::Credential;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::{Api, Client, ResourceExt};
use tracing::warn;

use crate::tenancy;

/// Name of a member's Sketch in its namespace.
pub(super) const SKETCH: &str = "sketch";

/// What a worker is prepared from; another basis needs another worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    uid: String,
    mode: &'static str,
    endpoint: Option<String>,
    credential: Option<String>,
}

impl Basis {
    /// The basis of a MemberCluster as it stands.
    pub fn of(object: &MemberCluster) -> Self {
        Self {
            uid: object.metadata.uid.clone().unwrap_or_default(),
            mode: object.spec.mode.as_str(),
            endpoint: object.spec.endpoint.clone(),
            credential: object.spec.credentials_ref.as_ref().map(|r| r.name.clone()),
        }
    }
}

/// Why a member has no worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Reason code.
    pub reason: Reason,
    /// Names value, place and fix.
    pub message: String,
}

/// A member that was prepared, or could not be.
pub struct Prepared {
    /// Name of the member.
    pub name: String,
    /// What it was prepared from.
    pub basis: Basis,
    /// The client of the member, or why there is none.
    pub result: Result<Client, Refusal>,
}

/// Prepares a member. `twin` is another member that is the same cluster.
pub(super) async fn prepare(
    client: &Client,
    object: MemberCluster,
    twin: Option<String>,
) -> Prepared {
    let name = object.name_any();
    let basis = Basis::of(&object);
    let result = match twin {
        Some(other) => Err(Refusal {
            reason: Reason::DuplicateEndpoint,
            message: format!(
                "spec.endpoint {} is also that of member {other}: delete one of the two",
                object.spec.endpoint.as_deref().unwrap_or_default()
            ),
        }),
        None => connect(client, &object).await,
    };
    Prepared {
        name,
        basis,
        result,
    }
}

async fn connect(client: &Client, object: &MemberCluster) -> Result<Client, Refusal> {
    let name = object.name_any();
    let failed = |error: kube::Error| Refusal {
        reason: Reason::Pending,
        message: format!(
            "the hub could not prepare {}: {error}",
            member_namespace(&name)
        ),
    };
    ensure(client, &name).await.map_err(failed)?;
    let invalid = |message: String| Refusal {
        reason: Reason::CredentialInvalid,
        message,
    };
    let reference = object.spec.credentials_ref.as_ref().ok_or_else(|| {
        invalid("spec.credentialsRef is missing: run `heyun cluster join`".to_owned())
    })?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let secret = secrets
        .get_opt(&reference.name)
        .await
        .map_err(failed)?
        .ok_or_else(|| {
            invalid(format!(
                "Secret {SYSTEM_NAMESPACE}/{} does not exist: run `heyun cluster join`",
                reference.name
            ))
        })?;
    let credential = Credential::from_secret(&secret).map_err(|e| invalid(e.to_string()))?;
    let endpoint = object.spec.endpoint.as_deref().unwrap_or_default();
    if !credential.matches(endpoint) {
        return Err(invalid(format!(
            "spec.endpoint {endpoint} is not the one that Secret {SYSTEM_NAMESPACE}/{} is bound \
             to: run `heyun cluster join` again",
            reference.name
        )));
    }
    heyun_member::client::connect(&credential).map_err(|e| invalid(e.to_string()))
}

/// The member's namespace on the hub, our right to its Secrets, its Sketch.
async fn ensure(client: &Client, member: &str) -> Result<(), kube::Error> {
    let name = member_namespace(member);
    let namespaces: Api<Namespace> = Api::all(client.clone());
    if namespaces.get_opt(&name).await?.is_none() {
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                labels: Some([(MANAGED_BY.to_owned(), MANAGER.to_owned())].into()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        apply::apply(&namespaces, &namespace, None, Force::Yes).await?;
    }
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), &name);
    if bindings.get_opt(tenancy::SECRETS_ROLE).await?.is_none() {
        let binding = tenancy::secrets(&name, tenancy::SECRETS_ROLE);
        apply::apply(&bindings, &binding, None, Force::Yes).await?;
    }
    let sketches: Api<Sketch> = Api::namespaced(client.clone(), &name);
    if sketches.get_opt(SKETCH).await?.is_none() {
        let sketch = Sketch::new(SKETCH, SketchSpec::default());
        match sketches.create(&PostParams::default(), &sketch).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            other => {
                other?;
            }
        }
    }
    Ok(())
}

/// Writes a status; `None` when it could not be written and is to be tried again.
pub(super) async fn write_status(
    client: &Client,
    object: &MemberCluster,
    after: &MemberClusterStatus,
) -> Option<MemberCluster> {
    let api: Api<MemberCluster> = Api::all(client.clone());
    match apply::patch_status(&api, object, object.status.as_ref(), after, Guard::Uid).await {
        Ok(Some(written)) => Some(written),
        Ok(None) => Some(object.clone()),
        Err(error) => {
            warn!(member = object.name_any(), %error, "status not written");
            None
        }
    }
}
