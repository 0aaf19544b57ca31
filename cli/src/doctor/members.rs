//! Checks of members.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use heyun_crds::MemberCluster;
use heyun_member::credential::{Credential, KEY_TOKEN, normal_endpoint};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::{Timestamp, civil::Date};
use kube::ResourceExt as _;
use serde_json::Value;

use super::hub::minor;
use super::{Facts, Judgement, fail, known, ok, unless_empty, untrue, warn};
use crate::view::count;

/// Days before its end in which somebody should look at a token or a filing.
const SOON_DAYS: i64 = 30;
const DAY: i64 = 24 * 3600;
/// Most minor versions between a member and the hub.
const MINORS: u32 = 3;

fn conditions(member: &MemberCluster) -> &[Condition] {
    member
        .status
        .as_ref()
        .map_or(&[][..], |status| &status.conditions)
}

pub(super) fn exist(facts: &Facts) -> Judgement {
    match known(&facts.members)?.len() {
        0 => warn(
            "no member",
            "heyun cluster join NAME --member-kubeconfig FILE",
        ),
        number => ok(count(number, "member")),
    }
}

/// Members whose condition is not `True`, with what it says.
fn failing(facts: &Facts, kind: &str) -> Result<Vec<String>, crate::error::Error> {
    let members = known(&facts.members)?;
    let said = |member: &MemberCluster| {
        let condition = untrue(conditions(member), kind)?;
        Some(format!(
            "{} ({}: {})",
            member.name_any(),
            condition.reason,
            condition.message
        ))
    };
    Ok(members.iter().filter_map(said).collect())
}

pub(super) fn accepted(facts: &Facts) -> Judgement {
    unless_empty(&failing(facts, "Accepted")?, "all".to_owned(), |names| {
        fail(
            names,
            "the message says what to change in the MemberCluster",
        )
    })
}

pub(super) fn ready(facts: &Facts) -> Judgement {
    let mut names = failing(facts, "Ready")?;
    let unseen = known(&facts.members)?
        .iter()
        .filter(|m| conditions(m).is_empty());
    names
        .extend(unseen.map(|member| format!("{} (the hub has not looked yet)", member.name_any())));
    unless_empty(&names, "all".to_owned(), |names| {
        fail(
            names,
            "heyun cluster describe NAME; what runs there is kept",
        )
    })
}

pub(super) fn cordoned(facts: &Facts) -> Judgement {
    let closed = known(&facts.members)?
        .iter()
        .filter(|member| member.spec.unschedulable);
    let names: Vec<String> = closed.map(kube::ResourceExt::name_any).collect();
    unless_empty(&names, "none".to_owned(), |names| {
        warn(
            names,
            "heyun cluster uncordon NAME when the work there is done",
        )
    })
}

pub(super) fn once(facts: &Facts) -> Judgement {
    let mut by: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for member in known(&facts.members)? {
        let id = member
            .status
            .as_ref()
            .map_or("", |status| status.cluster_id.as_str());
        let endpoint = member.spec.endpoint.as_deref().unwrap_or_default();
        for key in [id.to_owned(), normal_endpoint(endpoint).unwrap_or_default()] {
            if !key.is_empty() {
                by.entry(key).or_default().push(member.name_any());
            }
        }
    }
    let mut twice: Vec<String> = by
        .into_values()
        .filter(|names| names.len() > 1)
        .map(|names| names.join(" = "))
        .collect();
    twice.dedup();
    unless_empty(&twice, "each".to_owned(), |names| {
        fail(
            format!("the same cluster: {names}"),
            "heyun cluster leave one of them",
        )
    })
}

/// Push members with their Secret, `None` where it is missing.
fn stored(facts: &Facts) -> Result<Vec<(&MemberCluster, Option<&Secret>)>, crate::error::Error> {
    let secrets = known(&facts.secrets)?;
    let mut pairs = Vec::new();
    for member in known(&facts.members)? {
        if let Some(reference) = &member.spec.credentials_ref {
            pairs.push((member, secrets.get(&reference.name)));
        }
    }
    Ok(pairs)
}

pub(super) fn credentials(facts: &Facts) -> Judgement {
    let fault = |(member, secret): (&MemberCluster, Option<&Secret>)| {
        let name = member.name_any();
        let Some(secret) = secret else {
            return Some(format!("{name} (its Secret is missing)"));
        };
        let endpoint = member.spec.endpoint.as_deref().unwrap_or_default();
        match Credential::from_secret(secret) {
            Err(error) => Some(format!("{name} ({error})")),
            Ok(credential) if !credential.matches(endpoint) => Some(format!(
                "{name} (bound to {}, not {endpoint})",
                credential.server()
            )),
            Ok(_) => None,
        }
    };
    let names: Vec<String> = stored(facts)?.into_iter().filter_map(fault).collect();
    unless_empty(&names, "all".to_owned(), |names| {
        fail(
            names,
            "heyun cluster join NAME --member-kubeconfig FILE writes it again",
        )
    })
}

/// When a token ends, by its own word.
fn token_end(secret: &Secret) -> Option<i64> {
    let token = std::str::from_utf8(&secret.data.as_ref()?.get(KEY_TOKEN)?.0).ok()?;
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice::<Value>(&payload)
        .ok()?
        .get("exp")?
        .as_i64()
}

pub(super) fn expiry(facts: &Facts) -> Judgement {
    let soon = |(member, secret): (&MemberCluster, Option<&Secret>)| {
        let days = (token_end(secret?)? - facts.now.as_second()).div_euclid(DAY);
        (days < SOON_DAYS).then(|| format!("{} ({days} days)", member.name_any()))
    };
    let names: Vec<String> = stored(facts)?.into_iter().filter_map(soon).collect();
    unless_empty(&names, "none within 30 days".to_owned(), |names| {
        warn(
            names,
            "heyun cluster join NAME --member-kubeconfig FILE renews it",
        )
    })
}

pub(super) fn filings(facts: &Facts) -> Judgement {
    let (mut ended, mut soon) = (Vec::new(), Vec::new());
    for member in known(&facts.members)? {
        let Some(until) = member.spec.mlps.valid_until.as_deref().and_then(second) else {
            continue;
        };
        let days = (until - facts.now.as_second()).div_euclid(DAY);
        let name = format!("{} ({days} days)", member.name_any());
        match days {
            ..0 => ended.push(name),
            0..SOON_DAYS => soon.push(name),
            _ => {}
        }
    }
    let fix = "renew the filing and spec.mlps.validUntil: without it no tenant that needs a level goes there";
    if !ended.is_empty() {
        return fail(format!("no longer: {}", super::Finding::names(&ended)), fix);
    }
    unless_empty(&soon, "all".to_owned(), |names| warn(names, fix))
}

/// A date counts to its end in China, as the scheduler counts it.
fn second(text: &str) -> Option<i64> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_second());
    }
    let end = format!("{}T23:59:59+08:00", text.parse::<Date>().ok()?);
    Some(end.parse::<Timestamp>().ok()?.as_second())
}

pub(super) fn versions(facts: &Facts) -> Judgement {
    let Some(hub) = minor(&known(&facts.server)?.version) else {
        return ok("not known");
    };
    let far = |member: &MemberCluster| {
        let version = &member.status.as_ref()?.version;
        (minor(version)?.abs_diff(hub) > MINORS)
            .then(|| format!("{} ({version})", member.name_any()))
    };
    let names: Vec<String> = known(&facts.members)?.iter().filter_map(far).collect();
    unless_empty(&names, format!("within {MINORS} minor versions"), |names| {
        warn(names, "update them: kinds that they lack keep work away")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filing_is_valid_to_the_end_of_its_day_in_china() {
        assert_eq!(second("2027-06-30"), second("2027-06-30T15:59:59Z"));
        assert_eq!(second("soon"), None);
    }
}
