//! `heyun why`.

use heyun_crds::query::Why;

use super::now;
use crate::args::Global;
use crate::args::common::{Form, Format};
use crate::args::workload::Why as Args;
use crate::ask::{Hub, suggestion, workload_name};
use crate::error::{Error, Exit, Result};
use crate::output::Output;
use crate::view;

pub(super) async fn run(args: Args, global: &Global, output: &Output) -> Result<()> {
    let name = workload_name(&args.workload)?;
    let hub = Hub::new(global).await?;
    if args.history {
        return history(&hub, name, args.format, output).await;
    }
    let at = args.at.map(|moment| moment.before(now()).to_string());
    let parameters: Vec<(&str, &str)> = [
        ("at", at.as_deref()),
        ("decision", args.decision.as_deref()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    let mut why = hub.why(name, &parameters).await?;
    if let Some(member) = &args.cluster {
        only(&mut why, member)?;
    }
    let headers = args.format.headers();
    output.table(&match args.format.output {
        Form::Table | Form::Wide if args.cluster.is_some() => view::why::in_full(&why),
        Form::Table | Form::Wide => view::why::text(&why, headers),
        Form::Json => view::json(&why)?,
        Form::Yaml => view::yaml(&why)?,
        Form::Name => format!("workload.heyun.dev/{}", why.name),
    });
    Ok(())
}

/// Leaves one member of an answer.
fn only(why: &mut Why, member: &str) -> Result<()> {
    if let Some(found) = why.members.iter().position(|of| of.member == member) {
        why.members = vec![why.members.swap_remove(found)];
        return Ok(());
    }
    let names: Vec<&str> = why.members.iter().map(|of| of.member.as_str()).collect();
    let message = format!(
        "nothing is said of member \"{member}\" and workload {}/{}",
        why.namespace, why.name
    );
    Err(Error::new(Exit::NotFound, message).hint(suggestion(member, &names)))
}

async fn history(hub: &Hub, name: &str, format: Format, output: &Output) -> Result<()> {
    let history = hub.decisions(name).await?;
    if history.items.is_empty() {
        output.say(format!(
            "no decision on workload {}/{name} is known",
            hub.namespace
        ));
    }
    output.table(&match format.output {
        Form::Table | Form::Wide => view::why::history(&history, format.headers()),
        Form::Json => view::json(&history)?,
        Form::Yaml => view::yaml(&history)?,
        Form::Name => {
            let ids = history.items.iter().map(|item| item.decision.as_str());
            ids.collect::<Vec<_>>().join("\n")
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use heyun_crds::query::WhyMember;

    #[test]
    fn one_member_is_left_and_one_that_is_not_there_gets_the_nearest() {
        let member = |name: &str| WhyMember {
            member: name.to_owned(),
            ..WhyMember::default()
        };
        let mut why = Why {
            members: ["a-1", "b-1", "c-1"].map(member).into(),
            ..Why::default()
        };
        only(&mut why, "b-1").unwrap();
        assert_eq!(why.members, [member("b-1")]);
        let error = only(&mut why, "b-2").unwrap_err();
        assert_eq!(error.exit, Exit::NotFound);
        assert_eq!(error.hint.as_deref(), Some("did you mean b-1?"));
    }
}
