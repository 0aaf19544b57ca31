//! Questions to the hub.

use heyun_crds::query::{DecisionHistory, QUERY_GROUP, QUERY_VERSION, UsageReport, Why};
use http::Request;
use kube::api::ListParams;
use kube::core::{NamespaceResourceScope, ObjectList};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use crate::apply::call;
use crate::args::Global;
use crate::connect::{Way, connect};
use crate::error::{Error, Exit, Result};

/// Objects per page of a list.
const PAGE: u32 = 500;

/// The hub, as the command line names it.
#[derive(Clone)]
pub struct Hub {
    /// Its client.
    pub client: Client,
    /// Namespace of the command.
    pub namespace: String,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// Any object that is read.
pub trait Object: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug {}
impl<K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug> Object for K {}

impl Hub {
    /// Connects as the global options say.
    ///
    /// # Errors
    /// If there is no usable kubeconfig.
    pub async fn new(global: &Global) -> Result<Self> {
        let way = Way {
            kubeconfig: global.kubeconfig.as_deref(),
            context: global.context.as_deref(),
            act_as: global.act_as.as_deref(),
            groups: &global.as_group,
        };
        let found = connect(way).await?;
        Ok(Self {
            client: found.client,
            namespace: global.namespace.clone().unwrap_or(found.namespace),
        })
    }

    /// Objects in the namespace of the command.
    pub fn here<K: Object + Resource<Scope = NamespaceResourceScope>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// One object of the namespace of the command.
    ///
    /// # Errors
    /// [`Exit::NotFound`] with the names that come near, and what the API server says.
    pub async fn get<K: Object + Resource<Scope = NamespaceResourceScope>>(
        &self,
        name: &str,
    ) -> Result<K> {
        let api: Api<K> = self.here();
        found(&api, name, &format!("namespace {}", self.namespace)).await
    }

    /// One object that has no namespace, or of any.
    ///
    /// # Errors
    /// As [`Hub::get`].
    pub async fn get_cluster<K: Object>(&self, name: &str) -> Result<K> {
        let api: Api<K> = Api::all(self.client.clone());
        found(&api, name, "the hub").await
    }

    /// All objects of a kind, of every namespace, by name.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn all<K: Object>(&self, selector: Option<&str>) -> Result<Vec<K>> {
        list(&Api::all(self.client.clone()), selector).await
    }

    /// All objects of a kind that the caller may see: of the hub, or without that right those of the
    /// tenants that it has a role in, and of all below them. Of Tenants and Quotas alone.
    ///
    /// # Errors
    /// As [`Hub::all`]; of its own, nothing is selected.
    pub async fn seen<K: Object>(&self, selector: Option<&str>) -> Result<Vec<K>> {
        let denied = match self.all(selector).await {
            Err(error) if error.exit == Exit::Denied => error,
            other => return other,
        };
        if selector.is_some() {
            return Err(denied.hint("leave the selector out: what is your own is listed whole"));
        }
        let plural = K::plural(&());
        let list: ObjectList<K> = self.query(&format!("list your {plural}"), &plural).await?;
        let mut all = list.items;
        all.sort_by_key(|object| object.meta().name.clone());
        Ok(all)
    }

    /// Why a Workload is where it is, or was: `at` and `decision` name an earlier decision.
    ///
    /// # Errors
    /// What the hub says; that it does not serve the aggregated API.
    pub async fn why(&self, name: &str, parameters: &[(&str, &str)]) -> Result<Why> {
        let query = parameters_of(parameters);
        let path = format!("namespaces/{}/workloads/{name}/why{query}", self.namespace);
        let doing = format!("explain workload {}/{name}", self.namespace);
        self.query(&doing, &path).await
    }

    /// What was decided on a Workload.
    ///
    /// # Errors
    /// As [`Hub::why`].
    pub async fn decisions(&self, name: &str) -> Result<DecisionHistory> {
        let path = format!("namespaces/{}/workloads/{name}/decisions", self.namespace);
        let doing = format!("read the decisions on workload {}/{name}", self.namespace);
        self.query(&doing, &path).await
    }

    /// The usage report.
    ///
    /// # Errors
    /// As [`Hub::why`].
    pub async fn usage(&self, parameters: &[(&str, &str)]) -> Result<UsageReport> {
        let query = parameters_of(parameters);
        self.query("read the usage report", &format!("usagereports{query}"))
            .await
    }

    async fn query<T: DeserializeOwned>(&self, doing: &str, path: &str) -> Result<T> {
        let uri = format!("/apis/{QUERY_GROUP}/{QUERY_VERSION}/{path}");
        let request = Request::get(uri)
            .body(Vec::new())
            .map_err(|e| Error::usage(format!("failed to {doing}: {e}")))?;
        call(doing, self.client.request(request))
            .await
            .map_err(|error| {
                let away =
                    error.message.contains("unavailable") || error.message.contains("not find");
                if error.exit == Exit::Failure && away {
                    return error
                        .hint("the hub's aggregated API does not answer: see heyun doctor");
                }
                match error.exit {
                    // What is not known of earlier decisions says itself what is.
                    Exit::NotFound if error.message.contains("is known") => Error {
                        hint: Some(format!(
                            "see which are known with --history, or check the name and -n {}",
                            self.namespace
                        )),
                        ..error
                    },
                    // The general hint speaks of kinds.
                    Exit::NotFound => Error {
                        hint: Some(format!(
                            "check the name and -n; see heyun where -n {}",
                            self.namespace
                        )),
                        ..error
                    },
                    _ => error,
                }
            })
    }
}

/// All objects of an API, by name.
///
/// # Errors
/// What the API server says.
pub async fn list<K: Object>(api: &Api<K>, selector: Option<&str>) -> Result<Vec<K>> {
    let doing = format!("list {}", K::plural(&()));
    let mut params = ListParams::default().limit(PAGE);
    if let Some(selector) = selector {
        params = params.labels(selector);
    }
    let mut all = Vec::new();
    loop {
        let page = call(&doing, api.list(&params)).await?;
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    let key = |object: &K| (object.meta().namespace.clone(), object.meta().name.clone());
    all.sort_by_key(key);
    Ok(all)
}

async fn found<K: Object>(api: &Api<K>, name: &str, place: &str) -> Result<K> {
    let kind = K::kind(&()).to_lowercase();
    let doing = format!("read {kind} {name}");
    if let Some(object) = call(&doing, api.get_opt(name)).await? {
        return Ok(object);
    }
    let missing = Error::new(
        Exit::NotFound,
        format!("{kind} \"{name}\" is not in {place}"),
    );
    // Who may not list gets no suggestion.
    let known = list(api, None).await.unwrap_or_default();
    let names: Vec<&str> = known
        .iter()
        .filter_map(|o| o.meta().name.as_deref())
        .collect();
    Err(missing.hint(suggestion(name, &names)))
}

/// That an object of that name is among those seen.
///
/// # Errors
/// [`Exit::NotFound`] with the names that come near.
pub fn among<K: Object>(all: &[K], name: &str) -> Result<()> {
    let names: Vec<&str> = all
        .iter()
        .filter_map(|o| o.meta().name.as_deref())
        .collect();
    if names.contains(&name) {
        return Ok(());
    }
    let message = format!(
        "{} \"{name}\" is not in the hub",
        K::kind(&()).to_lowercase()
    );
    Err(Error::new(Exit::NotFound, message).hint(suggestion(name, &names)))
}

/// What was meant instead of a wrong name: the nearest, or some that there are.
pub fn suggestion(wrong: &str, names: &[&str]) -> String {
    if names.is_empty() {
        return "there is none of this kind there: check -n and --context".to_owned();
    }
    let near = names.iter().min_by_key(|name| distance(wrong, name));
    if let Some(name) = near.filter(|name| distance(wrong, name) <= wrong.len() / 3 + 1) {
        return format!("did you mean {name}?");
    }
    let shown: Vec<&str> = names.iter().copied().take(5).collect();
    let more = if names.len() > shown.len() {
        ", …"
    } else {
        ""
    };
    format!("there are: {}{more}", shown.join(", "))
}

/// Levenshtein distance, by characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let above = row[j + 1];
            let same = diagonal + usize::from(ca != *cb);
            row[j + 1] = same.min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}

/// Parameters of a query, from the question mark on; nothing where there are none.
fn parameters_of(parameters: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(value)))
        .collect();
    if pairs.is_empty() {
        return String::new();
    }
    format!("?{}", pairs.join("&"))
}

/// A value of a query: everything but what is harmless is percent-encoded.
fn escaped(value: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    value.bytes().map(one).collect()
}

/// The name of a Workload from `NAME` or `workload/NAME`.
///
/// # Errors
/// Another kind; a name that cannot be one.
pub fn workload_name(given: &str) -> Result<&str> {
    let (kind, name) = given.split_once('/').unwrap_or(("workload", given));
    let known = [
        "workload",
        "workloads",
        "wl",
        "workload.heyun.dev",
        "workloads.heyun.dev",
    ];
    if !known.contains(&kind.to_lowercase().as_str()) {
        return Err(Error::usage(format!("\"{given}\" is not a Workload"))
            .hint("give the name of a Workload, as in: heyun why workload/booking"));
    }
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
    if name.is_empty() || !name.chars().all(good) {
        return Err(Error::usage(format!("\"{name}\" is no name of a Workload"))
            .hint("names are lowercase letters, digits, - and ."));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_named_with_or_without_its_kind() {
        for given in [
            "booking",
            "workload/booking",
            "wl/booking",
            "Workload/booking",
        ] {
            assert_eq!(workload_name(given), Ok("booking"));
        }
        for given in [
            "deploy/booking",
            "workload/",
            "",
            "a b",
            "../secrets",
            "a?b",
        ] {
            assert_eq!(
                workload_name(given).unwrap_err().exit,
                Exit::Usage,
                "{given}"
            );
        }
    }

    #[test]
    fn a_wrong_name_gets_the_nearest_or_what_there_is() {
        let names = ["booking", "aid", "bus-report"];
        assert_eq!(suggestion("bookng", &names), "did you mean booking?");
        assert_eq!(
            suggestion("xxxxxxxx", &names),
            "there are: booking, aid, bus-report"
        );
        assert!(suggestion("x", &[]).contains("none"));
    }

    #[test]
    fn values_of_a_query_are_escaped() {
        assert_eq!(
            escaped("2026-01-01T00:00:00+08:00"),
            "2026-01-01T00:00:00%2B08:00"
        );
        assert_eq!(escaped("a&b=c 市"), "a%26b%3Dc%20%E5%B8%82");
    }
}
