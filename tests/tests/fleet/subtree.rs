//! A caller's own part of the tree, without the right to list all tenants.

use heyun_tests::fleet::{Shared, TestTenant, fleet, list, refusal};
use serde_json::{Value, json};

const BASE: &str = "/apis/query.heyun.dev/v1alpha1";

fn ask(shared: &Shared, group: &str, path: &str) -> heyun_sandbox::Result<String> {
    let path = format!("{BASE}/{path}");
    let who = ["--as", "someone", "--as-group", group];
    shared
        .hub()
        .run(&[&who[..], &["get", "--raw", &path]].concat())
}

fn names(text: &str) -> Vec<String> {
    let answer: Value = serde_json::from_str(text).unwrap();
    list(&answer)
        .iter()
        .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Lists until it is that: bindings are written a little after the Tenant.
fn sees(shared: &Shared, group: &str, what: &str, wanted: &[&str]) {
    shared.eventually(&format!("{group} to see {what} {wanted:?}"), || {
        let found = names(&ask(shared, group, what).map_err(|e| e.to_string())?);
        if found == wanted {
            return Ok(());
        }
        Err(format!("{found:?}"))
    });
}

fn tenant(name: &str, parent: &str, viewers: &str) -> String {
    json!({
        "apiVersion": "heyun.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
        "spec": {"kind": "Agency", "parent": parent, "viewers": [{"kind": "Group", "name": viewers}]},
    })
    .to_string()
}

#[test]
fn each_sees_its_own_part_of_the_tree() {
    let (shared, _turn) = fleet();
    let own = TestTenant::new(shared, "fleet-own", 1);
    let other = TestTenant::new(shared, "fleet-other", 1);
    let two = [
        tenant("fleet-own-a", &own.name, "own:a"),
        tenant("fleet-own-b", &own.name, "own:b"),
    ];
    shared.hub().apply(&two.join("\n---\n")).unwrap();
    for name in ["fleet-own-a", "fleet-own-b"] {
        shared.condition("tenant", "", name, ["Ready", "True", ""]);
        // It has a home, though it names no namespace.
        shared.get("namespace", "", name).unwrap();
    }
    let all = ["fleet-own", "fleet-own-a", "fleet-own-b"];
    sees(shared, "fleet-own:admins", "tenants", &all);
    sees(shared, "fleet-own:admins", "quotas", &["fleet-own"]);
    sees(shared, "own:a", "tenants", &["fleet-own-a"]);
    sees(shared, "own:a", "quotas", &[]);
    sees(shared, "fleet-other:admins", "tenants", &["fleet-other"]);
    sees(shared, "nobody-at-all", "tenants", &[]);
    let everything = names(&ask(shared, "system:masters", "tenants").unwrap());
    for name in all.iter().chain(&["fleet-other"]) {
        assert!(everything.contains(&(*name).to_owned()), "{everything:?}");
    }

    let mine = ask(shared, "own:a", "tenants/fleet-own-a").unwrap();
    assert!(mine.contains("\"fleet-own/fleet-own-a\""), "{mine}");
    // Beside, above, elsewhere, nowhere: one answer.
    let missing = "fleet-does-not-exist";
    let said = |name: &str, what: &str| {
        let said = refusal(ask(shared, "own:a", &format!("{what}/{name}")), name);
        said.replace(name, missing)
    };
    for what in ["tenants", "quotas"] {
        let nowhere = said(missing, what);
        assert!(nowhere.contains("NotFound"), "{nowhere}");
        for name in ["fleet-own-b", own.name.as_str(), other.name.as_str()] {
            assert_eq!(said(name, what), nowhere, "{what}/{name}");
        }
    }
    for path in ["tenants?watch=true", "tenants?labelSelector=a%3Db"] {
        refusal(ask(shared, "own:a", path), path);
    }
    // Of the stored objects it has none.
    let who = ["--as", "someone", "--as-group", "fleet-own:admins"];
    let stored = [&who[..], &["get", "tenants.heyun.dev"]].concat();
    let said = refusal(shared.hub().run(&stored), "stored tenants");
    assert!(said.contains("orbidden"), "{said}");
}

#[test]
fn the_command_line_shows_ones_own() {
    let (shared, _turn) = fleet();
    let own = TestTenant::new(shared, "fleet-line", 3);
    TestTenant::new(shared, "fleet-outside", 1);
    shared
        .hub()
        .apply(&tenant("fleet-line-a", &own.name, "line:a"))
        .unwrap();
    shared.condition("tenant", "", "fleet-line-a", ["Ready", "True", ""]);
    sees(
        shared,
        "fleet-line:admins",
        "tenants",
        &["fleet-line", "fleet-line-a"],
    );
    let who = ["--as", "someone", "--as-group", "fleet-line:admins"];
    let heyun = |args: &[&str]| shared.heyun_ok(&[args, &who[..]].concat());
    let list = heyun(&["tenant", "list", "-o", "name"]);
    assert_eq!(
        list.trim(),
        "tenant.heyun.dev/fleet-line\ntenant.heyun.dev/fleet-line-a"
    );
    let tree = heyun(&["tenant", "tree"]);
    assert!(
        tree.contains("fleet-line-a") && !tree.contains("fleet-outside"),
        "{tree}"
    );
    let quota = heyun(&["quota", "tree", "fleet-line", "-o", "name"]);
    assert_eq!(quota.trim(), "quota.heyun.dev/fleet-line");

    let said = |name: &str| {
        let output = shared.heyun(&[&["tenant", "tree", name][..], &who[..]].concat());
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        // The hint names what is nearest of that which the caller sees.
        let (said, hint) = text.split_once('\n').unwrap();
        assert!(!hint.contains("fleet-outside"), "{text}");
        said.replace(name, "NAME")
    };
    assert_eq!(said("fleet-outside"), said("fleet-nowhere-at-all"));
}
