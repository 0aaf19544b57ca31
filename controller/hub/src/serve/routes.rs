//! The routes of `query.heyun.dev`.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use heyun_crds::query::{DecisionHistory, QUERY_GROUP, QUERY_VERSION, UsageReport};
use heyun_ledger::DecisionRow;
use heyun_scheduler::request::WorkloadKey;
use kube::Client;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::access::{self, Wanted};
use super::caller::{Caller, CallerError, FrontProxy};
use super::subtree;
use crate::ask::{AskError, Question};
use crate::history::{self, HistoryError, Which};
use crate::usage;

/// Common name of the verified client certificate of a connection.
#[derive(Clone, Debug)]
pub struct PeerName(pub String);

/// What the routes need.
#[derive(Clone)]
pub struct Api {
    /// Client of the hub, for access reviews.
    pub client: Client,
    /// The API server's front proxy.
    pub proxy: Arc<FrontProxy>,
    /// To the loop that holds the world.
    pub ask: mpsc::Sender<Question>,
    /// The ledger, for reports.
    pub ledger: usage::Source,
}

/// The routes.
pub fn router(api: Api) -> Router {
    let base = format!("/apis/{QUERY_GROUP}/{QUERY_VERSION}");
    Router::new()
        .route("/apis", get(|| async { Json(group_list()) }))
        .route(
            &format!("/apis/{QUERY_GROUP}"),
            get(|| async { Json(group()) }),
        )
        .route(&base, get(|| async { Json(resources()) }))
        .route(
            &format!("{base}/namespaces/{{namespace}}/workloads/{{name}}/why"),
            get(why),
        )
        .route(
            &format!("{base}/namespaces/{{namespace}}/workloads/{{name}}/decisions"),
            get(decisions),
        )
        .route(&format!("{base}/usagereports"), get(usage_report))
        .route(&format!("{base}/tenants"), get(subtree::tenants))
        .route(&format!("{base}/tenants/{{name}}"), get(subtree::tenant))
        .route(&format!("{base}/quotas"), get(subtree::quotas))
        .route(&format!("{base}/quotas/{{name}}"), get(subtree::quota))
        .with_state(api)
}

fn group() -> Value {
    let version =
        json!({"groupVersion": format!("{QUERY_GROUP}/{QUERY_VERSION}"), "version": QUERY_VERSION});
    json!({
        "kind": "APIGroup", "apiVersion": "v1", "name": QUERY_GROUP,
        "versions": [version], "preferredVersion": version,
    })
}

fn group_list() -> Value {
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [group()]})
}

fn resources() -> Value {
    json!({
        "kind": "APIResourceList", "apiVersion": "v1",
        "groupVersion": format!("{QUERY_GROUP}/{QUERY_VERSION}"),
        "resources": [
            {"name": "workloads/why", "singularName": "", "namespaced": true, "kind": "Why", "verbs": ["get"]},
            {"name": "workloads/decisions", "singularName": "", "namespaced": true, "kind": "DecisionHistory", "verbs": ["get"]},
            {"name": "tenants", "singularName": "tenant", "namespaced": false, "kind": "Tenant", "verbs": ["get", "list"]},
            {"name": "quotas", "singularName": "quota", "namespaced": false, "kind": "Quota", "verbs": ["get", "list"]},
            {"name": "usagereports", "singularName": "usagereport", "namespaced": false, "kind": "UsageReport", "verbs": ["list"]},
        ],
    })
}

/// An answer that is not the wanted one, as Kubernetes writes it.
pub(super) struct Refused(
    pub(super) StatusCode,
    pub(super) &'static str,
    pub(super) String,
);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure",
            "code": self.0.as_u16(), "reason": self.1, "message": self.2,
        });
        (self.0, Json(body)).into_response()
    }
}

impl From<CallerError> for Refused {
    fn from(error: CallerError) -> Self {
        Self(StatusCode::UNAUTHORIZED, "Unauthorized", error.to_string())
    }
}

impl From<AskError> for Refused {
    fn from(error: AskError) -> Self {
        match error {
            AskError::NotFound(_) => Self(StatusCode::NOT_FOUND, "NotFound", error.to_string()),
            AskError::NotReady | AskError::Gone => Self(
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceUnavailable",
                error.to_string(),
            ),
        }
    }
}

impl From<HistoryError> for Refused {
    fn from(error: HistoryError) -> Self {
        let (code, reason) = match error {
            HistoryError::Question(_) => (StatusCode::BAD_REQUEST, "BadRequest"),
            HistoryError::Unknown(_) => (StatusCode::NOT_FOUND, "NotFound"),
            HistoryError::Ledger(_) => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        };
        Self(code, reason, error.to_string())
    }
}

async fn admit(api: &Api, caller: &Caller, wanted: Wanted) -> Result<(), Refused> {
    match access::review(&api.client, caller, &wanted).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(reason)) => {
            let place = wanted.namespace.as_deref().unwrap_or("all namespaces");
            Err(Refused(
                StatusCode::FORBIDDEN,
                "Forbidden",
                format!(
                    "user \"{}\" cannot {} {}.{QUERY_GROUP} in {place} {reason}",
                    caller.user(),
                    wanted.verb,
                    wanted.resource
                ),
            ))
        }
        Err(error) => Err(unreviewed(&error)),
    }
}

/// Nobody is let in, or out, unasked.
pub(super) fn unreviewed(error: &kube::Error) -> Refused {
    Refused(
        StatusCode::SERVICE_UNAVAILABLE,
        "ServiceUnavailable",
        format!("access could not be reviewed: {error}"),
    )
}

fn of_workload(subresource: &'static str, key: &WorkloadKey) -> Wanted {
    Wanted {
        group: QUERY_GROUP,
        verb: "get",
        resource: "workloads",
        subresource: Some(subresource),
        namespace: Some(key.namespace.clone()),
        name: Some(key.name.clone()),
    }
}

#[derive(Debug, Deserialize)]
struct WhyParams {
    at: Option<String>,
    decision: Option<String>,
}

async fn why(
    State(api): State<Api>,
    Extension(peer): Extension<PeerName>,
    Path((namespace, name)): Path<(String, String)>,
    Query(params): Query<WhyParams>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let caller = api.proxy.caller(&peer.0, &headers)?;
    let key = WorkloadKey::new(namespace, name);
    admit(&api, &caller, of_workload("why", &key)).await?;
    if let Some(which) = Which::from_parameters(params.at.as_deref(), params.decision.as_deref())? {
        let rows = earlier(&api, &key).await?;
        return Ok(Json(history::why(&rows, &key, &which)?).into_response());
    }
    let why = asked(&api, |reply| Question::Why { key, reply }).await?;
    Ok(Json(why).into_response())
}

async fn decisions(
    State(api): State<Api>,
    Extension(peer): Extension<PeerName>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Json<DecisionHistory>, Refused> {
    let caller = api.proxy.caller(&peer.0, &headers)?;
    let key = WorkloadKey::new(namespace, name);
    admit(&api, &caller, of_workload("decisions", &key)).await?;
    let rows = earlier(&api, &key).await?;
    Ok(Json(history::history(&rows, &key)))
}

/// Asks the loop that holds the world.
pub(super) async fn asked<T>(
    api: &Api,
    question: impl FnOnce(oneshot::Sender<Result<T, AskError>>) -> Question,
) -> Result<T, Refused> {
    let (reply, answer) = oneshot::channel();
    let question = question(reply);
    api.ask.send(question).await.map_err(|_| AskError::Gone)?;
    Ok(answer.await.map_err(|_| AskError::Gone)??)
}

/// The decisions on a Workload of the tenant that its namespace belongs to now.
async fn earlier(api: &Api, key: &WorkloadKey) -> Result<Vec<DecisionRow>, Refused> {
    let namespace = key.namespace.clone();
    let tenant = asked(api, |reply| Question::Tenant { namespace, reply }).await?;
    Ok(history::rows(&api.ledger.ledger, key, &tenant).await?)
}

#[derive(Debug, Deserialize)]
struct UsageParams {
    tenant: Option<String>,
    from: Option<String>,
    until: Option<String>,
}

async fn usage_report(
    State(api): State<Api>,
    Extension(peer): Extension<PeerName>,
    Query(params): Query<UsageParams>,
    headers: HeaderMap,
) -> Result<Json<UsageReport>, Refused> {
    let caller = api.proxy.caller(&peer.0, &headers)?;
    let wanted = Wanted {
        group: QUERY_GROUP,
        verb: "list",
        resource: "usagereports",
        subresource: None,
        namespace: None,
        name: None,
    };
    admit(&api, &caller, wanted).await?;
    let tenant = params.tenant;
    let tenants = asked(&api, |reply| Question::Subtree { tenant, reply }).await?;
    api.ledger
        .report(params.from.as_deref(), params.until.as_deref(), &tenants)
        .await
        .map(Json)
        .map_err(|error| match error {
            usage::UsageError::Time { .. } => {
                Refused(StatusCode::BAD_REQUEST, "BadRequest", error.to_string())
            }
            usage::UsageError::Ledger(_) => Refused(
                StatusCode::SERVICE_UNAVAILABLE,
                "ServiceUnavailable",
                error.to_string(),
            ),
        })
}
