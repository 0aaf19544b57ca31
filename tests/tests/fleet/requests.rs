//! Requests, from application to return: the chapter of `examples/lifecycle`, who may not decide, and
//! grants that begin and end by time.

use heyun_tests::fleet::{Shared, fleet, refusal};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const CHAPTER: &str = include_str!("../../../examples/lifecycle/README.md");

/// Nominal of a tenant's cpu that counts.
fn nominal(shared: &Shared, tenant: &str) -> String {
    let quota = shared.get("quota", "", tenant).unwrap();
    let lines = &quota["status"]["effective"]["resources"];
    let line = lines.as_array().and_then(|lines| {
        let mut lines = lines.iter();
        lines.find(|line| line["resource"] == "cpu" && line["flavor"] == "general-amd64")
    });
    let nominal = line.and_then(|line| line["nominal"].as_str());
    nominal.unwrap_or("-").to_owned()
}

fn has(shared: &Shared, tenant: &str, wanted: &str) {
    shared.eventually(&format!("{tenant} to have {wanted}"), || {
        let found = nominal(shared, tenant);
        if found == wanted { Ok(()) } else { Err(found) }
    });
}

/// A city named `name` of 100 cores with one agency, `name-a`, of 40, a policy of one stage, `bureau`, for
/// all but 2 cores, and `boss@NAME` who may act at it.
fn city(shared: &Shared, name: &str) -> String {
    let agency = format!("{name}-a");
    let tenant = |name: &str, more: Value| {
        let mut spec = json!({"kind": "Agency"});
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        json!({"apiVersion": "heyun.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name}, "spec": spec})
    };
    let quota = |name: &str, nominal: &str| {
        let line = json!({"flavor": "general-amd64", "resource": "cpu", "nominal": nominal});
        json!({"apiVersion": "heyun.dev/v1alpha1", "kind": "Quota", "metadata": {"name": name}, "spec": {"tenant": name, "resources": [line]}})
    };
    let owners = json!([{"kind": "Group", "name": format!("{agency}:admins")}]);
    let small = json!({"atMost": [{"flavor": "*", "resource": "cpu", "amount": "2"}]});
    let binding = |role: &str| {
        let subject = json!({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": format!("boss@{name}")});
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": format!("{name}-{role}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}, "subjects": [subject]})
    };
    let stage = format!("{name}-bureau");
    let objects = [
        tenant(name, json!({"kind": "Region"})),
        tenant(
            &agency,
            json!({"parent": name, "namespaces": [agency], "owners": owners}),
        ),
        quota(name, "100"),
        quota(&agency, "40"),
        json!({"apiVersion": "heyun.dev/v1alpha1", "kind": "ApprovalPolicy", "metadata": {"name": name}, "spec": {
            "tenant": name, "stages": [{"name": stage}],
            "rules": [{"name": "small", "when": small, "automatic": true}, {"name": "rest", "stages": [stage]}]}}),
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": stage},
            "rules": [{"apiGroups": ["heyun.dev"], "resources": ["approvalstages"], "resourceNames": [stage], "verbs": ["approve", "revoke"]}]}),
        binding(&stage),
        binding("heyun-approver"),
    ];
    let all: Vec<String> = objects.iter().map(Value::to_string).collect();
    shared.hub().apply(&all.join("\n---\n")).unwrap();
    shared.condition("tenant", "", &agency, ["Ready", "True", ""]);
    shared.condition("quota", "", &agency, ["Ready", "True", ""]);
    agency
}

/// Runs the lines of the chapter in order, each of which succeeds.
#[test]
fn the_chapter_is_what_happens() {
    let (shared, _turn) = fleet();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap();
    let mut ran = 0;
    for line in CHAPTER
        .lines()
        .filter_map(|line| line.strip_prefix("    $ "))
    {
        let words: Vec<String> = line
            .split(' ')
            .map(|word| match word.strip_prefix("examples/") {
                Some(file) => root.join("examples").join(file).display().to_string(),
                None => word.to_owned(),
            })
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words.split_first() {
            // What is bound a moment ago is known to the API server a little later.
            Some((&"heyun", rest)) => shared.eventually(line, || {
                let output = shared.heyun(rest);
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                if output.status.success() {
                    Ok(())
                } else {
                    Err(said)
                }
            }),
            Some((&"kubectl", rest)) => {
                shared.hub().run(rest).unwrap();
            }
            other => panic!("{other:?} is neither heyun nor kubectl"),
        }
        ran += 1;
        if line.contains("condition=Active") && line.contains("rr/flood") {
            has(shared, "liancheng-civil", "70");
            let quota = shared.get("quota", "", "liancheng-civil").unwrap();
            let grant = &quota["status"]["effective"]["grants"][0];
            let by = [
                "bureau: wang@liancheng",
                "city: chen@liancheng",
                "city: wu@liancheng",
                "province: zhao@province",
            ];
            assert_eq!(grant["approvedBy"], json!(by));
            assert_eq!(grant["document"], "连民函〔2026〕12号");
            assert_eq!(grant["active"], true);
        }
    }
    assert_eq!(ran, 17);
    has(shared, "liancheng-civil", "40");
    has(shared, "liancheng-health", "32");
    for request in ["liancheng-civil/flood", "liancheng-health/more"] {
        let (namespace, name) = request.split_once('/').unwrap();
        shared
            .hub()
            .run(&["delete", "rr", name, "-n", namespace])
            .unwrap();
    }
    has(shared, "liancheng-health", "30");
}

#[test]
fn a_grant_begins_and_ends_by_time() {
    let (shared, _turn) = fleet();
    let agency = city(shared, "fleet-season");
    // Moments of requests are whole seconds.
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let at = |seconds: i64| (now + SignedDuration::from_secs(seconds)).to_string();
    let args = [
        "request",
        "create",
        "season",
        "-n",
        &agency,
        "--resource",
        "general-amd64/cpu=2",
        "--from",
        &at(20),
        "--until",
        &at(35),
        "--reason",
        "test",
        "--wait=Approved",
    ];
    shared.heyun_ok(&args);
    shared.condition("rr", &agency, "season", ["Active", "False", "NotBegun"]);
    assert_eq!(nominal(shared, &agency), "40", "it has not begun");
    shared.condition("rr", &agency, "season", ["Active", "True", "Granted"]);
    assert!(
        Timestamp::now() >= now + SignedDuration::from_secs(20),
        "not before its time"
    );
    assert_eq!(nominal(shared, &agency), "42");
    shared.condition("rr", &agency, "season", ["Ended", "True", "Expired"]);
    assert!(
        Timestamp::now() >= now + SignedDuration::from_secs(35),
        "not before its time"
    );
    assert_eq!(nominal(shared, &agency), "40");
}

#[test]
fn who_may_not_decide_does_not() {
    let (shared, _turn) = fleet();
    let agency = city(shared, "fleet-forged");
    let stage = "fleet-forged-bureau";
    let ns = agency.as_str();
    let admins = format!("{agency}:admins");
    let li = ["--as", "li@fleet-forged", "--as-group", admins.as_str()];
    let heyun = |args: &[&str], who: &[&str]| {
        let output = shared.heyun(&[args, &["-n", ns], who].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            Ok(())
        } else {
            Err(said)
        }
    };
    let create = [
        "request",
        "create",
        "much",
        "--resource",
        "general-amd64/cpu=30",
        "--until",
        "2099-10-01T00:00:00+08:00",
        "--reason",
        "test",
    ];
    shared.eventually("li to ask", || heyun(&create, &li));
    shared.condition("rr", ns, "much", ["Approved", "False", "AwaitingApproval"]);

    // Who has no role at the stage; who made the request and has none either.
    let approve = ["request", "approve", "much", "--stage", stage];
    for who in [&["--as", "mallory"][..], &li] {
        let said = heyun(&approve, who).unwrap_err();
        assert!(
            said.contains("forbidden") || said.contains("may not approve"),
            "{said}"
        );
    }
    // In the name of another, and of whom it is made: by the API server's own word.
    let request = shared.get("rr", ns, "much").unwrap();
    let uid = request["metadata"]["uid"].clone();
    let act = |approver: &str, uid: &Value, hash: &Value| {
        json!({"apiVersion": "heyun.dev/v1alpha1", "kind": "Approval", "metadata": {"generateName": "forged-", "namespace": ns},
            "spec": {"request": "much", "requestUid": uid, "requestHash": hash, "stage": stage, "verdict": "Approve", "approver": approver}})
        .to_string()
    };
    let hash = request["status"]["hash"].clone();
    let send = |body: &str, who: &[&str]| {
        let args = [&["create", "-f", "-"][..], who].concat();
        shared.hub().run_with(&args, body)
    };
    let boss = ["--as", "boss@fleet-forged"];
    let said = refusal(send(&act("boss@fleet-forged", &uid, &hash), &li), "forged");
    assert!(said.contains("is not the caller"), "{said}");
    // Of a request that was, or of another spec: accepted, and counts for nothing.
    shared.eventually("the role to be known", || {
        send(&act("boss@fleet-forged", &json!("u-0"), &hash), &boss).map_err(|e| e.to_string())
    });
    send(&act("boss@fleet-forged", &uid, &json!("sha256:0")), &boss).unwrap();
    // A request is neither edited nor deleted, its status and an Approval not written by the tenant.
    let patch = |sub: &[&str], body: &str| {
        let args = [
            &["patch", "rr", "much", "-n", ns, "--type=merge", "-p", body][..],
            sub,
            &li,
        ]
        .concat();
        refusal(shared.hub().run(&args), "patch")
    };
    for said in [
        patch(&[], r#"{"spec":{"reason":"other"}}"#),
        patch(&["--subresource=status"], r#"{"status":{"stage":""}}"#),
        refusal(
            shared
                .hub()
                .run(&[&["delete", "rr", "much", "-n", ns][..], &li].concat()),
            "delete",
        ),
        refusal(
            shared
                .hub()
                .run(&[&["delete", "av", "--all", "-n", ns][..], &li].concat()),
            "delete",
        ),
    ] {
        assert!(said.contains("cannot"), "{said}");
    }
    // Not even by who may write all.
    let args = [
        "patch",
        "rr",
        "much",
        "-n",
        ns,
        "--type=merge",
        "-p",
        r#"{"spec":{"reason":"other"}}"#,
    ];
    let said = refusal(shared.hub().run(&args), "patch");
    assert!(said.contains("is never changed"), "{said}");
    // The administrator asks, and may act at each stage by every rule of RBAC: not at their own.
    let create = [
        "request",
        "create",
        "own",
        "--resource",
        "general-amd64/cpu=4",
        "--until",
        "2099-10-01T00:00:00+08:00",
        "--reason",
        "test",
    ];
    heyun(&create, &[]).unwrap();
    shared.condition("rr", ns, "own", ["Approved", "False", "AwaitingApproval"]);
    heyun(&["request", "approve", "own"], &[]).unwrap();
    // What was sent before has been seen once this is.
    heyun(&approve, &boss).unwrap();
    shared.condition("rr", ns, "much", ["Active", "True", "Granted"]);
    assert_eq!(nominal(shared, ns), "70");
    let own = shared.condition("rr", ns, "own", ["Approved", "False", "AwaitingApproval"]);
    assert!(own.contains("0 of 1"), "{own}");
    heyun(
        &[
            "request",
            "revoke",
            "much",
            "--stage",
            stage,
            "--comment",
            "misuse",
        ],
        &boss,
    )
    .unwrap();
    shared.condition("rr", ns, "much", ["Ended", "True", "Revoked"]);
    has(shared, ns, "40");
}
