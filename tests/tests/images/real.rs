//! A real registry: TLS, passwords, mirrors, what is there and what is not.

use std::path::Path;

use heyun_hub::images::PullSecret;
use heyun_member::error::Class;
use heyun_tests::registry::{Auth, PASSWORD, Registry, USER};
use serde_json::json;

use super::{asked, block_on, configure, set};

/// A registry that holds an index for two architectures and an image for one.
fn filled(folder: &Path) -> (Registry, String) {
    let plain = Registry::new(folder, false);
    let _running = plain.start(&Auth::Open);
    let digest = block_on(async {
        let both = ["linux/amd64", "linux/arm64"];
        let digest = plain.push("civil/web", "1", &both, true).await;
        plain.push("civil/arm", "1", &["linux/arm64"], false).await;
        digest
    });
    (plain, digest)
}

fn pull_secret(host: &str, user: &str, password: &str) -> PullSecret {
    let auth = json!({"username": user, "password": password});
    PullSecret::parse(json!({"auths": {host: auth}}).to_string().as_bytes())
}

#[test]
fn an_index_and_a_single_image_tell_their_platforms_to_who_has_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (plain, digest) = filled(folder);
    let secure = plain.twin(folder, true);
    let _running = secure.start(&Auth::Basic);
    let (host, authority) = (&secure.host, secure.authority());
    std::fs::write(folder.join("password"), format!("{PASSWORD}\n")).unwrap();
    let ca = authority.display();
    let open = format!("unlisted: Skip\nregistries: [{{host: '{host}', caFile: {ca}}}]\n");
    let with = format!(
        "unlisted: Skip\nregistries: [{{host: '{host}', caFile: {ca}, username: {USER}, \
         passwordFile: password}}]\n"
    );
    let both = Ok(set(&["linux/amd64", "linux/arm64"]));
    let web = format!("{host}/civil/web:1");
    let config = configure(folder, &with);
    assert_eq!(asked(&config, &web, &[]), both);
    assert_eq!(
        asked(&config, &format!("{host}/civil/web@{digest}"), &[]),
        both
    );
    let arm = format!("{host}/civil/arm:1");
    assert_eq!(asked(&config, &arm, &[]), Ok(set(&["linux/arm64"])));
    let missing = asked(&config, &format!("{host}/civil/web:2"), &[]).unwrap_err();
    assert_eq!(missing.class, Class::Transient);
    assert_eq!(missing.message, format!("{host} has no such image (404)"));
    // The Workload's own credentials count before the platform's.
    let wrong = pull_secret(host, USER, "no");
    let refused = asked(&config, &web, &[wrong]).unwrap_err();
    assert_eq!(refused.class, Class::Denied);
    let words = format!("{host} refuses the credentials that the hub has for it (401)");
    assert_eq!(refused.message, words);

    let config = configure(folder, &open);
    let own = pull_secret(host, USER, PASSWORD);
    assert_eq!(asked(&config, &web, std::slice::from_ref(&own)), both);
    let none = asked(&config, &web, &[]).unwrap_err();
    assert_eq!(none.class, Class::Denied);
    assert!(
        none.message
            .contains("asks for credentials (401): name a Secret"),
        "{none}"
    );
    let elsewhere = pull_secret("other.example", USER, PASSWORD);
    assert!(asked(&config, &web, &[elsewhere]).is_err());
}

#[test]
fn a_registry_of_another_authority_or_without_https_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (plain, _) = filled(folder);
    let (secure, other) = (plain.twin(folder, true), Registry::new(folder, true));
    let _running = (secure.start(&Auth::Open), plain.start(&Auth::Open));
    let (host, ca) = (&secure.host, other.authority());
    let web = |host: &str| format!("{host}/civil/web:1");
    let foreign = format!(
        "registries: [{{host: '{host}', caFile: {}}}]\n",
        ca.display()
    );
    let foreign = configure(folder, &format!("unlisted: Skip\n{foreign}"));
    let error = asked(&foreign, &web(host), &[]).unwrap_err();
    assert_eq!(error.class, Class::Unreachable);
    assert!(
        error.message.contains("invalid peer certificate"),
        "{error}"
    );

    let host = &plain.host;
    let https = format!(
        "unlisted: Skip\nregistries: [{{host: '{host}', caFile: {}}}]\n",
        ca.display()
    );
    let error = asked(&configure(folder, &https), &web(host), &[]).unwrap_err();
    assert_eq!(error.class, Class::Unreachable, "{error}");
    let http = format!("unlisted: Skip\nregistries: [{{host: '{host}', insecure: true}}]\n");
    assert!(asked(&configure(folder, &http), &web(host), &[]).is_ok());
    // Nobody listed it, and it is inside.
    let error = asked(&configure(folder, "unlisted: Ask\n"), &web(host), &[]).unwrap_err();
    assert!(
        error
            .message
            .contains("is at no public address and is not listed"),
        "{error}"
    );
}

#[test]
fn a_mirror_tells_while_the_registry_is_down_and_each_says_why_when_none_does() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (mirror, _) = filled(folder);
    let (down, registry) = (Registry::new(folder, false), Registry::new(folder, false));
    let (first, second, host) = (&down.host, &mirror.host, &registry.host);
    let config = configure(
        folder,
        &format!(
            "unlisted: Skip\nregistries:\n\
             - {{host: '{host}', insecure: true, mirrors: ['{first}', '{second}']}}\n\
             - {{host: '{first}', insecure: true}}\n- {{host: '{second}', insecure: true}}\n"
        ),
    );
    let web = format!("{host}/civil/web:1");
    let running = mirror.start(&Auth::Open);
    assert_eq!(
        asked(&config, &web, &[]),
        Ok(set(&["linux/amd64", "linux/arm64"]))
    );
    drop(running);
    let error = asked(&config, &web, &[]).unwrap_err();
    assert_eq!(error.class, Class::Unreachable);
    for each in [first, second, host] {
        assert!(
            error.message.contains(&format!("{each} cannot be reached")),
            "{error}"
        );
    }
    let _running = mirror.start(&Auth::Open);
    assert!(asked(&config, &web, &[]).is_ok(), "it is up again");
}
