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

/// Connects as kubectl would: `kubeconfig`, else `KUBECONFIG` (a list of files), else
/// `~/.kube/config`, else the account of the pod this runs in. Must be called in a runtime.
///
/// # Errors
/// If there is no kubeconfig, or it cannot be used. Nothing is dialled yet.
pub async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Connection> {
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let config = match kubeconfig {
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
    Ok(connect(Some(path), None).await?.client)
}

fn shown(path: &Path) -> String {
    format!("kubeconfig {}", path.display())
}

fn unusable(what: &str, error: &kube::config::KubeconfigError) -> Error {
    Error::usage(format!("{what} cannot be used: {}", describe(error)))
        .hint("give one with --kubeconfig FILE or KUBECONFIG, and choose with --context NAME")
}
