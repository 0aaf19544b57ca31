//! Who calls: only the API server's front proxy is believed.

use std::collections::BTreeSet;

use axum::http::HeaderMap;
use k8s_openapi::api::core::v1::ConfigMap;

/// What the API server publishes about its front proxy in
/// `kube-system/extension-apiserver-authentication`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontProxy {
    /// PEM of the CA that signs the front proxy's certificate.
    pub ca: String,
    /// Common names that are believed; empty: any that the CA signed.
    pub allowed_names: BTreeSet<String>,
    /// Headers that carry the user, first match wins.
    pub user_headers: Vec<String>,
    /// Headers that carry groups.
    pub group_headers: Vec<String>,
}

/// Why the front proxy's settings or a caller are not accepted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CallerError {
    /// A key is missing or is no JSON list.
    #[error(
        "kube-system/extension-apiserver-authentication: `{0}` is missing or malformed: start the \
         API server with its --requestheader flags"
    )]
    Settings(&'static str),
    /// The certificate is not the front proxy's.
    #[error(
        "the client certificate is for `{0}`, which is not a name of the API server's front proxy"
    )]
    Name(String),
    /// The request names no user.
    #[error("the front proxy named no user")]
    NoUser,
}

/// Someone the front proxy vouches for; only [`FrontProxy::caller`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    user: String,
    groups: Vec<String>,
}

impl Caller {
    /// Name of the user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Groups of the user.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }
}

impl FrontProxy {
    /// Reads the API server's own settings.
    pub fn from_config(map: &ConfigMap) -> Result<Self, CallerError> {
        let text = |key: &'static str| {
            map.data
                .as_ref()
                .and_then(|d| d.get(key))
                .filter(|v| !v.is_empty())
                .ok_or(CallerError::Settings(key))
        };
        let list = |key: &'static str| {
            text(key).and_then(|v| {
                serde_json::from_str::<Vec<String>>(v).map_err(|_| CallerError::Settings(key))
            })
        };
        Ok(Self {
            ca: text("requestheader-client-ca-file")?.clone(),
            allowed_names: list("requestheader-allowed-names")
                .unwrap_or_default()
                .into_iter()
                .collect(),
            user_headers: list("requestheader-username-headers")?,
            group_headers: list("requestheader-group-headers")?,
        })
    }

    /// The caller of a request that came with a certificate of this common name.
    pub fn caller(&self, common_name: &str, headers: &HeaderMap) -> Result<Caller, CallerError> {
        if !self.allowed_names.is_empty() && !self.allowed_names.contains(common_name) {
            return Err(CallerError::Name(common_name.to_owned()));
        }
        let values = |names: &[String]| {
            names
                .iter()
                .flat_map(|name| headers.get_all(name.as_str()))
                .filter_map(|v| v.to_str().ok())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let user = values(&self.user_headers)
            .into_iter()
            .find(|u| !u.is_empty());
        let user = user.ok_or(CallerError::NoUser)?;
        Ok(Caller {
            user,
            groups: values(&self.group_headers),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn proxy() -> FrontProxy {
        let data = [
            ("requestheader-client-ca-file", "PEM"),
            ("requestheader-allowed-names", "[\"front-proxy-client\"]"),
            ("requestheader-username-headers", "[\"X-Remote-User\"]"),
            ("requestheader-group-headers", "[\"X-Remote-Group\"]"),
        ];
        let data: BTreeMap<_, _> = data
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect();
        FrontProxy::from_config(&ConfigMap {
            data: Some(data),
            ..ConfigMap::default()
        })
        .unwrap()
    }

    #[test]
    fn only_the_front_proxy_is_believed() {
        let mut headers = HeaderMap::new();
        headers.insert("x-remote-user", "chen".parse().unwrap());
        headers.append("x-remote-group", "a".parse().unwrap());
        headers.append("x-remote-group", "b".parse().unwrap());
        let caller = proxy().caller("front-proxy-client", &headers).unwrap();
        assert_eq!((caller.user(), caller.groups().len()), ("chen", 2));
        assert_eq!(
            proxy().caller("someone", &headers),
            Err(CallerError::Name("someone".into()))
        );
        assert_eq!(
            proxy().caller("front-proxy-client", &HeaderMap::new()),
            Err(CallerError::NoUser)
        );
    }

    #[test]
    fn missing_settings_are_named() {
        let error = FrontProxy::from_config(&ConfigMap::default()).unwrap_err();
        assert!(error.to_string().contains("requestheader-client-ca-file"));
    }
}
