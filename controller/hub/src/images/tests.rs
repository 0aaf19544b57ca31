use std::path::Path;

use super::auth::Challenge;
use super::config::{self, Unlisted};
use super::guard::is_public;
use super::*;

fn said(yaml: &str, files: &[(&str, &str)]) -> Result<config::Config, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files.iter().chain(&[("registries.yaml", yaml)]) {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    config::load(&folder.path().join("registries.yaml")).map_err(|error| error.to_string())
}

#[test]
fn a_configuration_is_read_with_the_files_that_it_names() {
    let yaml = "unlisted: Skip\nregistries:\n\
                - {host: Registry.gov.example, mirrors: ['mirror.example:5000'], caFile: ca.pem}\n\
                - {host: 'lab:5000', insecure: true, username: hub, passwordFile: password}\n";
    let read = said(yaml, &[("ca.pem", "PEM"), ("password", "s3cret\n")]).unwrap();
    assert_eq!(read.unlisted, Unlisted::Skip);
    let gov = &read.listed["registry.gov.example"];
    assert_eq!(gov.mirrors, ["mirror.example:5000"]);
    assert_eq!(gov.authorities.as_deref(), Some(&b"PEM"[..]));
    let lab = &read.listed["lab:5000"];
    assert_eq!(lab.credentials, Some(Credentials::new("hub", "s3cret")));
    assert!(!format!("{lab:?}").contains("s3cret"));
    assert_eq!(said("{}", &[]).unwrap().unlisted, Unlisted::Ask);
}

#[test]
fn a_wrong_configuration_says_value_place_and_fix() {
    for (yaml, words) in [
        (
            "registries: [{host: 'https://r.example'}]",
            "registries[0].host: \"https://r.example\"",
        ),
        (
            "registries: [{host: r.example/path}]",
            "write a host name with an optional port",
        ),
        (
            "registries: [{host: r.a}, {host: R.a}]",
            "registries[1].host: r.a is listed twice",
        ),
        (
            "registries: [{host: r.b, mirrors: ['a b']}]",
            "registries[0].mirrors[0]: \"a b\"",
        ),
        (
            "registries: [{host: r.cc, caFile: none.pem}]",
            "registries[0].caFile names",
        ),
        (
            "registries: [{host: r.ddd, username: u}]",
            "give both or neither",
        ),
        (
            "registries: [{host: r.e, insecure: true, caFile: ca.pem}]",
            "leave one of the two out",
        ),
        (
            "registries: [{host: r.ffff, token: x}]",
            "unknown field `token`",
        ),
        ("unlisted: Never", "unknown variant `Never`"),
    ] {
        let error = said(yaml, &[("ca.pem", "")]).unwrap_err();
        assert!(
            error.starts_with("--registries: ") && error.contains(words),
            "{yaml}: {error}"
        );
    }
    let missing = config::load(Path::new("/nowhere/registries.yaml"))
        .unwrap_err()
        .to_string();
    assert!(
        missing.contains("/nowhere/registries.yaml, which cannot be read"),
        "{missing}"
    );
}

#[test]
fn credentials_are_those_of_the_registry_and_the_longest_path() {
    let secret = PullSecret::parse(
        br#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "aHViOnNlY3JldA=="},
            "r.example": {"username": "all", "password": "1"},
            "r.example/civil": {"username": "civil", "password": "2"},
            "broken.example": {"auth": "***"}
        }}"#,
    );
    let of = |registry: &str, repository: &str| secret.of(registry, repository).cloned();
    let is = |user: &str, password: &str| Some(Credentials::new(user, password));
    assert_eq!(of("docker.io", "library/nginx"), is("hub", "secret"));
    assert_eq!(of("r.example", "web"), is("all", "1"));
    assert_eq!(of("r.example", "civil/web"), is("civil", "2"));
    assert_eq!(of("r.example", "civilian/web"), is("all", "1"));
    for none in ["broken.example", "r.example:5000", "evil.r.example"] {
        assert_eq!(of(none, "web"), None, "{none}");
    }
    assert!(
        PullSecret::parse(b"no JSON")
            .of("r.example", "web")
            .is_none()
    );
    assert!(!format!("{secret:?}").contains("civil"));
}

#[test]
fn a_token_is_preferred_and_what_is_malformed_asks_for_nothing() {
    let of = |headers: &[&str]| Challenge::of(headers.iter().copied());
    let bearer =
        r#"Bearer realm="https://a.example/token",service="r, x",scope="repository:a:pull""#;
    let token = Some(Challenge::Bearer {
        realm: "https://a.example/token".to_owned(),
        service: Some("r, x".to_owned()),
    });
    assert_eq!(of(&["Basic realm=\"x\"", bearer]), token);
    assert_eq!(of(&["basic realm=\"x\""]), Some(Challenge::Basic));
    assert_eq!(of(&["Bearer service=\"x\""]), None);
    assert_eq!(of(&["Negotiate", "Bearer realm=\"open"]), None);
}

#[test]
fn what_nobody_listed_is_asked_at_public_addresses_alone() {
    for inside in [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "2002:a00:1::",
        "64:ff9b::a00:1",
        "ff02::1",
    ] {
        assert!(!is_public(inside.parse().unwrap()), "{inside}");
    }
    for outside in [
        "8.8.8.8",
        "114.114.114.114",
        "2400:3200::1",
        "::ffff:8.8.8.8",
    ] {
        assert!(is_public(outside.parse().unwrap()), "{outside}");
    }
}
