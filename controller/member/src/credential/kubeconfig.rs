//! A kubeconfig, read field by field: what is not known to be harmless is refused by name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value};

use super::{Credential, CredentialError, HTTPS_FIX, Identity, KUBECONFIG_BYTES_MAX};

const USE_DATA: &str =
    "put the content itself into the kubeconfig (`kubectl config view --raw --flatten`)";
const USE_TOKEN: &str = "use the token of a service account, or a client certificate";

/// Fields of a cluster and a user that are refused, with the problem and the fix.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "insecure-skip-tls-verify",
        "skips the verification of the server",
        "give certificate-authority-data and remove it",
    ),
    (
        "proxy-url",
        "sends everything through a proxy",
        "give the hub a direct route and remove it",
    ),
    (
        "tls-server-name",
        "verifies another name than the host's",
        "use a server URL whose host is in the certificate and remove it",
    ),
    ("certificate-authority", "names a file", USE_DATA),
    ("exec", "runs a command", USE_TOKEN),
    ("auth-provider", "runs a plugin", USE_TOKEN),
    ("tokenFile", "names a file", USE_DATA),
    ("client-certificate", "names a file", USE_DATA),
    ("client-key", "names a file", USE_DATA),
    (
        "as",
        "acts as somebody else",
        "use a credential of the hub's own account and remove it",
    ),
    (
        "as-uid",
        "acts as somebody else",
        "use a credential of the hub's own account and remove it",
    ),
    (
        "as-groups",
        "acts as somebody else",
        "use a credential of the hub's own account and remove it",
    ),
    (
        "as-user-extra",
        "acts as somebody else",
        "use a credential of the hub's own account and remove it",
    ),
    (
        "username",
        "is basic authentication, which Kubernetes no longer has",
        USE_TOKEN,
    ),
    (
        "password",
        "is basic authentication, which Kubernetes no longer has",
        USE_TOKEN,
    ),
];

/// Fields that are read.
const READ: &[&str] = &[
    "server",
    "certificate-authority-data",
    "token",
    "client-certificate-data",
    "client-key-data",
];
/// Fields that change nothing for us.
const IGNORED: &[&str] = &["extensions", "disable-compression"];

/// Reads the context of that name, or the current one.
pub(super) fn read(text: &str, context: Option<&str>) -> Result<Credential, CredentialError> {
    let root = parse(text)?;
    let current = root
        .get("current-context")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let context = context.unwrap_or(current);
    if context.is_empty() {
        let fix = "set it with `kubectl config use-context NAME`";
        return Err(CredentialError::new("current-context", "is not set", fix));
    }
    let chosen = entry(&root, "contexts", "context", context)?;
    let cluster_name = text_of(chosen, "cluster").unwrap_or_default();
    let user_name = text_of(chosen, "user").unwrap_or_default();
    let cluster = entry(&root, "clusters", "cluster", cluster_name)?;
    let user = entry(&root, "users", "user", user_name)?;
    let cluster_place = format!("clusters[{cluster_name}]");
    let user_place = format!("users[{user_name}]");
    refuse_dangerous(cluster, &cluster_place)?;
    refuse_dangerous(user, &user_place)?;

    let server = text_of(cluster, "server").ok_or_else(|| {
        CredentialError::new(format!("{cluster_place}.server"), "is missing", HTTPS_FIX)
    })?;
    let ca = data_of(cluster, "certificate-authority-data", &cluster_place)?.ok_or_else(|| {
        CredentialError::new(
            format!("{cluster_place}.certificate-authority-data"),
            "is missing",
            "give the CA of the API server: the credential is bound to it",
        )
    })?;
    let identity = identity(user, &user_place)?;
    Credential::new(server, ca, identity).map_err(|e| {
        let place = match e.place.as_str() {
            "server" => format!("{cluster_place}.server"),
            "CA" => format!("{cluster_place}.certificate-authority-data"),
            "token" => format!("{user_place}.token"),
            "client certificate" => format!("{user_place}.client-certificate-data"),
            _ => format!("{user_place}.client-key-data"),
        };
        CredentialError { place, ..e }
    })
}

fn parse(text: &str) -> Result<Value, CredentialError> {
    let fix = "give the kubeconfig of one cluster";
    if text.len() > KUBECONFIG_BYTES_MAX {
        let problem = format!(
            "has {} bytes, at most {KUBECONFIG_BYTES_MAX} are read",
            text.len()
        );
        return Err(CredentialError::new("kubeconfig", problem, fix));
    }
    // The parser's own message could quote what stands there, such as a token.
    let root: Value = serde_yaml::from_str(text).map_err(|e| {
        let place = e.location().map_or_else(
            || "kubeconfig".to_owned(),
            |at| format!("kubeconfig, line {}", at.line()),
        );
        CredentialError::new(place, "is not YAML", fix)
    })?;
    if !root.is_object()
        || root
            .get("kind")
            .and_then(Value::as_str)
            .is_some_and(|k| k != "Config")
    {
        return Err(CredentialError::new(
            "kubeconfig",
            "is not of kind Config",
            fix,
        ));
    }
    Ok(root)
}

/// The body of the entry of that name in a list of the kubeconfig.
fn entry<'a>(
    root: &'a Value,
    list: &str,
    body: &str,
    name: &str,
) -> Result<&'a Map<String, Value>, CredentialError> {
    root.get(list)
        .and_then(Value::as_array)
        .and_then(|items| {
            items
                .iter()
                .find(|item| item.get("name").and_then(Value::as_str) == Some(name))
        })
        .and_then(|item| item.get(body))
        .and_then(Value::as_object)
        .ok_or_else(|| {
            let fix = "give a kubeconfig whose context names a cluster and a user that are in it";
            CredentialError::new(format!("{list}[{name}]"), "is missing", fix)
        })
}

fn refuse_dangerous(fields: &Map<String, Value>, place: &str) -> Result<(), CredentialError> {
    for (field, value) in fields {
        let place = format!("{place}.{field}");
        if let Some((_, problem, fix)) = REFUSED.iter().find(|(name, _, _)| name == field) {
            if is_unset(value) {
                continue;
            }
            return Err(CredentialError::new(place, *problem, *fix));
        }
        if !READ.contains(&field.as_str()) && !IGNORED.contains(&field.as_str()) {
            return Err(CredentialError::new(
                place,
                "is not a known field",
                "remove it",
            ));
        }
    }
    Ok(())
}

/// What stands for "not set": `kubectl` writes such values in places.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn identity(user: &Map<String, Value>, place: &str) -> Result<Identity, CredentialError> {
    let certificate = data_of(user, "client-certificate-data", place)?;
    let key = data_of(user, "client-key-data", place)?;
    match (text_of(user, "token"), certificate, key) {
        (Some(token), None, None) => Ok(Identity::Token(token.to_owned().into())),
        (None, Some(certificate), Some(key)) => Ok(Identity::Certificate {
            certificate,
            key: key.into(),
        }),
        (None, None, None) => Err(CredentialError::new(
            place,
            "has neither a token nor a client certificate",
            USE_TOKEN,
        )),
        (Some(_), _, _) => Err(CredentialError::new(
            format!("{place}.token"),
            "stands beside a client certificate, and one of the two must be chosen",
            "remove one of them",
        )),
        _ => Err(CredentialError::new(
            format!("{place}.client-certificate-data"),
            "and client-key-data only go together",
            "give both",
        )),
    }
}

fn text_of<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

/// Decodes a `…-data` field.
fn data_of(
    fields: &Map<String, Value>,
    name: &str,
    place: &str,
) -> Result<Option<String>, CredentialError> {
    let Some(text) = text_of(fields, name) else {
        return Ok(None);
    };
    let packed: String = text.split_whitespace().collect();
    BASE64
        .decode(packed)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(Some)
        .ok_or_else(|| {
            CredentialError::new(format!("{place}.{name}"), "is not base64 of PEM", USE_DATA)
        })
}
