//! The way to a cluster: kubectl's rules for finding the kubeconfig, the product's client.

use std::path::Path;

use heyun_member::client::connect_config;
use heyun_member::error::describe;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::error::{Error, Exit, Result};

/// A cluster, and the namespace that its context names.
pub struct Connection {
    /// The client.
    pub client: Client,
    /// Namespace of the context; `default` where it names none.
    pub namespace: String,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// Which cluster, and as whom.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way<'a> {
    /// The kubeconfig; without it `KUBECONFIG` (a list of files), else `~/.kube/config`, else the
    /// account of the pod this runs in.
    pub kubeconfig: Option<&'a Path>,
    /// Its context; without it, the current one.
    pub context: Option<&'a str>,
    /// The user to impersonate.
    pub act_as: Option<&'a str>,
    /// Groups to impersonate with the user.
    pub groups: &'a [String],
}

/// Connects as kubectl would. Must be called in a runtime.
///
/// # Errors
/// If there is no kubeconfig, or it cannot be used. Nothing is dialled yet.
pub async fn connect(way: Way<'_>) -> Result<Connection> {
    let Way {
        kubeconfig,
        context,
        ..
    } = way;
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let mut config = match kubeconfig {
        Some(path) => {
            let read = Kubeconfig::read_from(path).map_err(|e| unusable(&shown(path), &e))?;
            Config::from_custom_kubeconfig(read, &options)
                .await
                .map_err(|e| unusable(&shown(path), &e))?
        }
        None => match Config::from_kubeconfig(&options).await {
            Ok(config) => config,
            Err(error) if context.is_some() => return Err(unusable("the kubeconfig", &error)),
            Err(error) => Config::incluster().map_err(|_| unusable("the kubeconfig", &error))?,
        },
    };
    if let Some(user) = way.act_as {
        config.auth_info.impersonate = Some(user.to_owned());
        config.auth_info.impersonate_groups = Some(way.groups.to_vec());
    }
    let namespace = config.default_namespace.clone();
    let client = connect_config(config).map_err(|e| {
        Error::new(
            Exit::Failure,
            format!("no client can be made: {}", describe(&e)),
        )
    })?;
    Ok(Connection { client, namespace })
}

/// A client of the file, as its current context says.
///
/// # Errors
/// As [`connect`].
pub async fn client_of(path: &Path) -> Result<Client> {
    let way = Way {
        kubeconfig: Some(path),
        ..Way::default()
    };
    Ok(connect(way).await?.client)
}

fn shown(path: &Path) -> String {
    format!("kubeconfig {}", path.display())
}

fn unusable(what: &str, error: &kube::config::KubeconfigError) -> Error {
    Error::usage(format!("{what} cannot be used: {}", describe(error)))
        .hint("give one with --kubeconfig FILE or KUBECONFIG, and choose with --context NAME")
}
