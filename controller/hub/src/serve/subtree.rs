//! A caller's own part of the tree: Tenants and Quotas without the right to list all of them.
//!
//! Who may `list` or `get` them in a tenant's home namespace (the one of its name) may read them of
//! the tenant and of all below it; who may everywhere reads all. The API server decides, asked for
//! each topmost tenant that names the caller. What is outside is not found, like what does not exist.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use futures::stream::{self, StreamExt, TryStreamExt};
use heyun_crds::query::{QUERY_GROUP, QUERY_VERSION};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::access::{self, Wanted};
use super::caller::Caller;
use super::routes::{Api, PeerName, Refused, asked};
use crate::ask::{Below, Listed, Question};

/// Most topmost tenants of one caller that are listed at once.
const ROOTS_MAX: usize = 256;
/// Reviews of one request under way at once.
const AT_ONCE: usize = 16;

impl Listed {
    const fn resource(self) -> &'static str {
        match self {
            Self::Tenants => "tenants",
            Self::Quotas => "quotas",
        }
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Tenants => "Tenant",
            Self::Quotas => "Quota",
        }
    }

    fn one(self, object: &impl Serialize) -> Result<Value, Refused> {
        let mut value = serde_json::to_value(object).map_err(|error| {
            let message = format!("{} cannot be written: {error}", self.kind());
            Refused(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
        })?;
        value["apiVersion"] = json!(format!("{QUERY_GROUP}/{QUERY_VERSION}"));
        value["kind"] = json!(self.kind());
        Ok(value)
    }
}

/// What kubectl may add to a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListParams {
    watch: Option<String>,
    label_selector: Option<String>,
    field_selector: Option<String>,
}

impl ListParams {
    /// What is not done here is refused: an answer to another question would be believed.
    fn refuse_more(&self) -> Result<(), Refused> {
        if self
            .watch
            .as_deref()
            .is_some_and(|w| w != "false" && w != "0")
        {
            let message = "one's own tenants are listed, not watched".to_owned();
            return Err(Refused(
                StatusCode::METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                message,
            ));
        }
        let selects = [&self.label_selector, &self.field_selector];
        if selects.into_iter().flatten().any(|text| !text.is_empty()) {
            let message = "one's own tenants are listed without selectors".to_owned();
            return Err(Refused(StatusCode::BAD_REQUEST, "BadRequest", message));
        }
        Ok(())
    }
}

pub(super) async fn tenants(
    state: State<Api>,
    peer: Extension<PeerName>,
    params: Query<ListParams>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    list(Listed::Tenants, &state.0, &peer.0, &params.0, &headers).await
}

pub(super) async fn quotas(
    state: State<Api>,
    peer: Extension<PeerName>,
    params: Query<ListParams>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    list(Listed::Quotas, &state.0, &peer.0, &params.0, &headers).await
}

pub(super) async fn tenant(
    state: State<Api>,
    peer: Extension<PeerName>,
    name: Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    get(Listed::Tenants, &state.0, &peer.0, &name.0, &headers).await
}

pub(super) async fn quota(
    state: State<Api>,
    peer: Extension<PeerName>,
    name: Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refused> {
    get(Listed::Quotas, &state.0, &peer.0, &name.0, &headers).await
}

async fn list(
    what: Listed,
    api: &Api,
    peer: &PeerName,
    params: &ListParams,
    headers: &HeaderMap,
) -> Result<Json<Value>, Refused> {
    let caller = api.proxy.caller(&peer.0, headers)?;
    params.refuse_more()?;
    let roots = roots(what, api, &caller).await?;
    let items = below(what, api, roots, None).await?;
    Ok(Json(json!({
        "apiVersion": format!("{QUERY_GROUP}/{QUERY_VERSION}"),
        "kind": format!("{}List", what.kind()),
        "metadata": {},
        "items": items,
    })))
}

async fn get(
    what: Listed,
    api: &Api,
    peer: &PeerName,
    name: &str,
    headers: &HeaderMap,
) -> Result<Json<Value>, Refused> {
    let caller = api.proxy.caller(&peer.0, headers)?;
    let everywhere = may(what, api, &caller, "get", None).await?;
    // Roles go down the tree, so the home of the tenant itself says it for all its ancestors.
    let seen = everywhere || may(what, api, &caller, "get", Some(name)).await?;
    let found = if seen {
        let roots = (!everywhere).then(|| vec![name.to_owned()]);
        below(what, api, roots, Some(name.to_owned())).await?
    } else {
        Vec::new()
    };
    found.into_iter().next().map(Json).ok_or_else(|| {
        let message = format!("{}.{QUERY_GROUP} \"{name}\" not found", what.resource());
        Refused(StatusCode::NOT_FOUND, "NotFound", message)
    })
}

/// The topmost tenants that a caller may list; `None`: all there are.
async fn roots(what: Listed, api: &Api, caller: &Caller) -> Result<Option<Vec<String>>, Refused> {
    if may(what, api, caller, "list", None).await? {
        return Ok(None);
    }
    let named = asked(api, |reply| Question::Named {
        user: caller.user().to_owned(),
        groups: caller.groups().to_vec(),
        reply,
    });
    let named = named.await?;
    if named.len() > ROOTS_MAX {
        let message = format!(
            "{} tenants name \"{}\", more than {ROOTS_MAX}: ask for each by its name",
            named.len(),
            caller.user()
        );
        return Err(Refused(StatusCode::BAD_REQUEST, "BadRequest", message));
    }
    // A tenant that names somebody whose binding is not there, or not there yet, shows nothing.
    let asked = stream::iter(named).map(|home| async move {
        let may = may(what, api, caller, "list", Some(&home)).await?;
        Ok::<_, Refused>(may.then_some(home))
    });
    let seen: Vec<Option<String>> = asked.buffered(AT_ONCE).try_collect().await?;
    Ok(Some(seen.into_iter().flatten().collect()))
}

/// What there is below these tenants, as it is served here, by name.
async fn below(
    what: Listed,
    api: &Api,
    roots: Option<Vec<String>>,
    only: Option<String>,
) -> Result<Vec<Value>, Refused> {
    let below = asked(api, |reply| Question::Below {
        what,
        roots,
        only,
        reply,
    });
    match below.await? {
        Below::Tenants(all) => all.iter().map(|one| what.one(one)).collect(),
        Below::Quotas(all) => all.iter().map(|one| what.one(one)).collect(),
    }
}

async fn may(
    what: Listed,
    api: &Api,
    caller: &Caller,
    verb: &'static str,
    home: Option<&str>,
) -> Result<bool, Refused> {
    let wanted = Wanted {
        // Who may read what is stored is asked about, not what is served here: that everybody may ask.
        group: heyun_crds::GROUP,
        verb,
        resource: what.resource(),
        subresource: None,
        namespace: home.map(str::to_owned),
        name: None,
    };
    match access::review(&api.client, caller, &wanted).await {
        Ok(answer) => Ok(answer.is_ok()),
        Err(error) => Err(super::routes::unreviewed(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_done_here_is_refused() {
        let params = |text: &str| -> ListParams { serde_json::from_str(text).unwrap() };
        for text in [
            r#"{"watch": "true"}"#,
            r#"{"watch": "1"}"#,
            r#"{"labelSelector": "a=b"}"#,
            r#"{"fieldSelector": "metadata.name=a"}"#,
        ] {
            assert!(params(text).refuse_more().is_err(), "{text}");
        }
        for text in ["{}", r#"{"watch": "false"}"#, r#"{"labelSelector": ""}"#] {
            assert!(params(text).refuse_more().is_ok(), "{text}");
        }
    }
}
