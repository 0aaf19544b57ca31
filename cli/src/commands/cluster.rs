//! `heyun cluster`.

use std::io::Read as _;
use std::path::Path;

use crate::apply::documents;
use crate::args::Global;
use crate::args::cluster::{Cluster, Join as JoinArgs};
use crate::connect::connect;
use crate::error::{Error, Result};
use crate::join::{Join, join, plan};
use crate::output::Output;

pub(super) async fn run(command: Cluster, global: &Global, output: &Output) -> Result<()> {
    match command {
        Cluster::Join(args) => run_join(args, global, output).await,
    }
}

async fn run_join(args: JoinArgs, global: &Global, output: &Output) -> Result<()> {
    let request = Join {
        name: args.name,
        kubeconfig: read(&args.member_kubeconfig)?,
        context: args.member_context,
        member: args.filename.as_deref().map(one_document).transpose()?,
    };
    if args.dry_run.is_some() {
        let (_, object) = plan(&request)?;
        let text = serde_yaml::to_string(&object).map_err(|e| Error::failure(e.to_string()))?;
        output.data(&text);
        return Ok(());
    }
    let hub = connect(global.kubeconfig.as_deref(), global.context.as_deref()).await?;
    let joined = join(&hub.client, &request).await?;
    output.data(&format!("membercluster.heyun.dev/{} joined", joined.name));
    output.say(format!(
        "{} · {} · the hub's token there ends {}",
        joined.endpoint,
        joined.version,
        joined.token_until.strftime("%Y-%m-%d")
    ));
    output.next(format!(
        "kubectl wait --for=condition=Ready mc/{}",
        joined.name
    ));
    Ok(())
}

/// The text of a file; `-` is standard input.
fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin()
            .lock()
            .read_to_string(&mut text)
            .map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    read.map_err(|e| Error::usage(format!("{} cannot be read: {e}", path.display())))
}

fn one_document(path: &Path) -> Result<serde_json::Value> {
    let shown = path.display().to_string();
    let mut all = documents(&shown, &read(path)?)?;
    match (all.pop(), all.len()) {
        (Some(one), 0) => Ok(one),
        (_, rest) => Err(
            Error::usage(format!("{shown} holds {} documents, not one", rest + 1))
                .hint("give a file with one MemberCluster; see examples/members"),
        ),
    }
}
