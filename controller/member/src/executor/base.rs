//! What a tenant needs on a member before anything of it can be applied: its namespace, its
//! deployer account, and the two bindings.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use heyun_crds::conditions::Reason;
use heyun_crds::labels;
use heyun_crds::work::Work;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};

use crate::apply::{Force, add_labels, apply};
use crate::client::{CALL_LIMIT, TenantClient, within};
use crate::error::{Class, Classify as _, Error};

/// How long what was found is believed.
const VERIFIED_FOR: Duration = Duration::from_mins(10);
/// How long after a binding was written the member's authorizer may not know it yet.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);

/// The label that says which pod security standard a namespace enforces.
const POD_SECURITY: &str = "pod-security.kubernetes.io/enforce";
/// The label that says of which version of Kubernetes that standard is.
const POD_SECURITY_VERSION: &str = "pod-security.kubernetes.io/enforce-version";
/// The standard of tenants' namespaces: no pod of theirs reaches its node (privileged containers,
/// paths, ports and namespaces of the host).
const STANDARD: &str = "baseline";

/// A tenant's namespace on the member, ready to be applied to.
#[derive(Debug)]
pub(crate) struct Base {
    /// Acts as the namespace's deployer.
    pub client: TenantClient,
    tenant_uid: String,
    verified: Duration,
    granted: Option<Duration>,
}

impl Base {
    /// True while a refusal may only mean that a new binding is not known yet.
    pub(crate) fn settles(&self, now: Duration) -> bool {
        self.granted
            .is_some_and(|at| now.saturating_sub(at) < SETTLES_WITHIN)
    }
}

/// The namespaces that are ready.
#[derive(Debug, Default)]
pub(crate) struct Bases {
    held: Mutex<BTreeMap<String, Arc<Base>>>,
    account: tokio::sync::OnceCell<Subject>,
}

/// Who asks, and for whom.
#[derive(Clone, Copy)]
pub(crate) struct Claim<'a> {
    /// The hub's own account on the member.
    pub member: &'a Client,
    /// The Work.
    pub work: &'a Work,
    /// Number of the leader, as the member's fence counts.
    pub number: i64,
    /// Monotonic time.
    pub now: Duration,
}

impl Claim<'_> {
    fn namespace(&self) -> &str {
        &self.work.spec.workload.namespace
    }
}

impl Bases {
    /// Makes the namespace ready, once.
    pub(crate) async fn ensure(&self, claim: Claim<'_>) -> Result<Arc<Base>, Error> {
        if let Some(base) = self.fresh(claim) {
            return Ok(base);
        }
        refuse_platform(claim.namespace())?;
        let found = find_namespace(claim).await?;
        if let Some(namespace) = &found {
            refuse_foreign(namespace, claim)?;
            raise_wall(namespace, claim).await?;
        } else {
            create_namespace(claim).await?;
        }
        let account = self.account(claim.member).await;
        let granted = grant(claim, account).await?;
        let base = self.keep(claim, granted.then_some(claim.now))?;
        Ok(base)
    }

    /// The namespace if it is there and the tenant's; nothing is written. `None`: it is not
    /// there, or belongs to somebody else, so nothing of ours is in it.
    pub(crate) async fn existing(&self, claim: Claim<'_>) -> Result<Option<Arc<Base>>, Error> {
        if let Some(base) = self.fresh(claim) {
            return Ok(Some(base));
        }
        match find_namespace(claim).await? {
            Some(namespace) if refuse_foreign(&namespace, claim).is_ok() => {
                let account = self.account(claim.member).await;
                // Without its account nothing can be deleted there either.
                let granted = !being_deleted(&namespace) && grant(claim, account).await?;
                self.keep(claim, granted.then_some(claim.now)).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Forgets what was found: a refusal shows that it is no longer so.
    pub(crate) fn forget(&self, namespace: &str) {
        self.lock().remove(namespace);
    }

    fn fresh(&self, claim: Claim<'_>) -> Option<Arc<Base>> {
        let base = self.lock().get(claim.namespace()).cloned()?;
        let young = claim.now.saturating_sub(base.verified) < VERIFIED_FOR;
        (young && base.tenant_uid == claim.work.spec.tenant_uid).then_some(base)
    }

    fn keep(&self, claim: Claim<'_>, granted: Option<Duration>) -> Result<Arc<Base>, Error> {
        let mut held = self.lock();
        // A client that is there already is used again: it shares its queue.
        let client = match held.get(claim.namespace()) {
            Some(base) => base.client.clone(),
            None => TenantClient::impersonating(claim.member, claim.namespace())?,
        };
        let base = Arc::new(Base {
            client,
            tenant_uid: claim.work.spec.tenant_uid.clone(),
            verified: claim.now,
            granted,
        });
        held.insert(claim.namespace().to_owned(), base.clone());
        Ok(base)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Base>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hub's own account there, as the subject of a binding.
    async fn account(&self, member: &Client) -> &Subject {
        self.account.get_or_init(|| whoami(member)).await
    }
}

/// Asks the member who the hub is there: a service account as a rule, a user of a certificate
/// at times. A member that cannot say has the account that our installation makes.
async fn whoami(member: &Client) -> Subject {
    let api: Api<SelfSubjectReview> = Api::all(member.clone());
    let (params, question) = (PostParams::default(), SelfSubjectReview::default());
    let call = api.create(&params, &question);
    let review = within(CALL_LIMIT, "ask the member who the hub is there", call)
        .await
        .ok();
    let user = review.and_then(|r| r.status?.user_info?.username);
    let parts: Vec<&str> = user.as_deref().unwrap_or_default().split(':').collect();
    match (parts.as_slice(), &user) {
        (["system", "serviceaccount", namespace, name], _) => service_account(namespace, name),
        (_, Some(user)) => Subject {
            api_group: Some("rbac.authorization.k8s.io".into()),
            kind: "User".into(),
            name: user.clone(),
            namespace: None,
        },
        (_, None) => service_account(labels::SYSTEM_NAMESPACE, labels::HUB_ACCOUNT),
    }
}

fn service_account(namespace: &str, name: &str) -> Subject {
    Subject {
        api_group: None,
        kind: "ServiceAccount".into(),
        name: name.to_owned(),
        namespace: Some(namespace.to_owned()),
    }
}

/// Namespaces of the platform are no tenant's, whatever a Work says.
fn refuse_platform(namespace: &str) -> Result<(), Error> {
    let reserved = ["kube-", "heyun"]
        .iter()
        .any(|prefix| namespace.starts_with(prefix));
    if reserved || namespace == "default" || namespace.is_empty() {
        return Err(taken(format!(
            "Namespace {namespace:?} is the platform's and can be no tenant's; deploy into a \
             namespace of the tenant"
        )));
    }
    Ok(())
}

fn taken(message: String) -> Error {
    Error::Refused {
        reason: Reason::NamespaceTaken,
        message,
    }
}

fn refuse_foreign(namespace: &Namespace, claim: Claim<'_>) -> Result<(), Error> {
    let name = claim.namespace();
    let label = |key: &str| namespace.metadata.labels.as_ref().and_then(|l| l.get(key));
    let spec = &claim.work.spec;
    match label(labels::TENANT_UID) {
        Some(uid) if *uid == spec.tenant_uid => Ok(()),
        Some(_) => Err(taken(match label(labels::TENANT) {
            Some(other) if *other == spec.tenant => format!(
                "Namespace {name} on the member belongs to an earlier tenant {other}, of another \
                 uid; a platform administrator hands it over with the label {}={}, or removes it",
                labels::TENANT_UID,
                spec.tenant_uid,
            ),
            other => format!(
                "Namespace {name} on the member belongs to tenant {}, not to {}; deploy into a \
                 namespace of {}",
                other.map_or("?", String::as_str),
                spec.tenant,
                spec.tenant,
            ),
        })),
        None => Err(taken(format!(
            "Namespace {name} was on the member before and belongs to no tenant; a platform \
             administrator adopts it with the label {}={} on it, or the tenant uses another",
            labels::TENANT_UID,
            spec.tenant_uid,
        ))),
    }
}

fn being_deleted(namespace: &Namespace) -> bool {
    namespace.metadata.deletion_timestamp.is_some()
}

async fn find_namespace(claim: Claim<'_>) -> Result<Option<Namespace>, Error> {
    let api: Api<Namespace> = Api::all(claim.member.clone());
    let name = claim.namespace();
    within(
        CALL_LIMIT,
        format!("read Namespace {name}"),
        api.get_opt(name),
    )
    .await
}

/// A create, never an apply: a namespace that came in between is somebody's.
async fn create_namespace(claim: Claim<'_>) -> Result<(), Error> {
    let api: Api<Namespace> = Api::all(claim.member.clone());
    let name = claim.namespace();
    let mut metadata = meta(name, None, claim.number);
    let own = metadata.labels.get_or_insert_default();
    own.insert(
        labels::TENANT_UID.into(),
        claim.work.spec.tenant_uid.clone(),
    );
    own.insert(labels::TENANT.into(), claim.work.spec.tenant.clone());
    own.extend(wall(&Namespace::default()));
    let namespace = Namespace {
        metadata,
        ..Namespace::default()
    };
    let params = PostParams {
        field_manager: Some(labels::MANAGER.into()),
        ..PostParams::default()
    };
    let doing = format!("create Namespace {name}");
    match within(CALL_LIMIT, doing, api.create(&params, &namespace)).await {
        Ok(_) => Ok(()),
        // Two Works of one tenant came at once: whose it is stands on it.
        Err(error) if error.class() == Class::Conflict => match find_namespace(claim).await? {
            Some(found) => {
                refuse_foreign(&found, claim)?;
                raise_wall(&found, claim).await
            }
            None => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// The labels of the pod security standard that a namespace lacks. One that says what it enforces
/// keeps it, whatever it is: no tenant can write there, so a platform administrator did.
fn wall(namespace: &Namespace) -> BTreeMap<String, String> {
    let held = namespace.metadata.labels.as_ref();
    let has = |key: &str| held.is_some_and(|labels| labels.contains_key(key));
    if has(POD_SECURITY) {
        return BTreeMap::new();
    }
    [(POD_SECURITY, STANDARD), (POD_SECURITY_VERSION, "latest")]
        .into_iter()
        .filter(|(key, _)| !has(key))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Lets the namespace enforce the pod security standard where it enforces none.
async fn raise_wall(namespace: &Namespace, claim: Claim<'_>) -> Result<(), Error> {
    let missing = wall(namespace);
    if missing.is_empty() {
        return Ok(());
    }
    let api: Api<Namespace> = Api::all(claim.member.clone());
    let doing = format!("label Namespace {} for pod security", claim.namespace());
    within(CALL_LIMIT, doing, add_labels(&api, namespace, &missing))
        .await
        .map(|_| ())
}

fn meta(name: &str, namespace: Option<&str>, number: i64) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: namespace.map(str::to_owned),
        labels: Some([(labels::MANAGED_BY.to_owned(), labels::MANAGER.to_owned())].into()),
        annotations: Some([(labels::EPOCH.to_owned(), number.to_string())].into()),
        ..ObjectMeta::default()
    }
}

/// The deployer account and the two bindings. Says whether a binding was written.
async fn grant(claim: Claim<'_>, account: &Subject) -> Result<bool, Error> {
    let namespace = claim.namespace();
    ensure_account(claim).await?;
    let deployer = service_account(namespace, labels::DEPLOYER);
    let deploys = ensure_binding(claim, labels::DEPLOYER, &deployer).await?;
    let impersonates = ensure_binding(claim, labels::IMPERSONATE_ROLE, account).await?;
    Ok(deploys || impersonates)
}

/// The deployer has no mounted token: nobody but the hub acts as it.
async fn ensure_account(claim: Claim<'_>) -> Result<(), Error> {
    let namespace = claim.namespace();
    let api: Api<ServiceAccount> = Api::namespaced(claim.member.clone(), namespace);
    let doing = format!("make ServiceAccount {namespace}/{}", labels::DEPLOYER);
    let found = within(CALL_LIMIT, doing.clone(), api.get_opt(labels::DEPLOYER)).await?;
    if found.is_some_and(|f| f.automount_service_account_token == Some(false)) {
        return Ok(());
    }
    let wanted = ServiceAccount {
        metadata: meta(labels::DEPLOYER, Some(namespace), claim.number),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    };
    within(CALL_LIMIT, doing, apply(&api, &wanted, None, Force::Yes))
        .await
        .map(|_| ())
}

/// A RoleBinding to the ClusterRole of the same name; says whether it was written.
async fn ensure_binding(claim: Claim<'_>, role: &str, to: &Subject) -> Result<bool, Error> {
    let namespace = claim.namespace();
    let api: Api<RoleBinding> = Api::namespaced(claim.member.clone(), namespace);
    let doing = format!("make RoleBinding {namespace}/{role}");
    let found = within(CALL_LIMIT, doing.clone(), api.get_opt(role)).await?;
    let role_ref = RoleRef {
        api_group: Some("rbac.authorization.k8s.io".into()),
        kind: "ClusterRole".into(),
        name: role.to_owned(),
    };
    let same_subject =
        |s: &Subject| s.kind == to.kind && s.name == to.name && s.namespace == to.namespace;
    if let Some(found) = &found
        && found.role_ref == role_ref
        && found
            .subjects
            .as_deref()
            .is_some_and(|s| s.len() == 1 && s.iter().all(same_subject))
    {
        return Ok(false);
    }
    let wanted = RoleBinding {
        metadata: meta(role, Some(namespace), claim.number),
        role_ref,
        subjects: Some(vec![to.clone()]),
    };
    within(CALL_LIMIT, doing, apply(&api, &wanted, None, Force::Yes))
        .await
        .map(|_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(labels: &[(&str, &str)]) -> Namespace {
        let mut namespace = Namespace::default();
        let pairs = labels.iter();
        let pairs = pairs.map(|&(key, value)| (key.to_owned(), value.to_owned()));
        namespace.metadata.labels = Some(pairs.collect());
        namespace
    }

    #[test]
    fn a_namespace_enforces_baseline_unless_an_administrator_said_otherwise() {
        let both: BTreeMap<String, String> = [
            (POD_SECURITY.to_owned(), "baseline".to_owned()),
            (POD_SECURITY_VERSION.to_owned(), "latest".to_owned()),
        ]
        .into();
        assert_eq!(wall(&Namespace::default()), both);
        assert_eq!(wall(&namespace(&[("a", "b")])), both);
        for level in ["baseline", "restricted", "privileged"] {
            assert!(wall(&namespace(&[(POD_SECURITY, level)])).is_empty());
        }
        let pinned = wall(&namespace(&[(POD_SECURITY_VERSION, "v1.36")]));
        assert_eq!(pinned.len(), 1, "a version that was pinned stays");
        assert_eq!(pinned[POD_SECURITY], "baseline");
    }
}
