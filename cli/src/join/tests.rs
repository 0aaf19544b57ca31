use super::*;

const CA: &str = "-----BEGIN CERTIFICATE-----\nMAAwAA==\n-----END CERTIFICATE-----\n";

fn kubeconfig(user: &str) -> String {
    use base64::Engine as _;
    let ca = base64::engine::general_purpose::STANDARD.encode(CA);
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
         contexts: [{{name: a, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: 'https://10.0.0.1:6443', certificate-authority-data: {ca}}}}}]\n\
         users: [{{name: u, user: {user}}}]\n"
    )
}

fn of(name: &str, member: Option<Value>) -> Join {
    Join {
        name: name.to_owned(),
        kubeconfig: kubeconfig("{token: t0ken}"),
        context: None,
        member,
    }
}

fn member(text: &str) -> Option<Value> {
    serde_yaml::from_str(text).ok()
}

#[test]
fn endpoint_and_credential_are_filled_in() {
    let file = "{apiVersion: heyun.dev/v1alpha1, kind: MemberCluster, metadata: {name: gz}, spec: {provider: p}}";
    let (credential, object) = plan(&of("gz", member(file))).unwrap();
    assert_eq!(credential.server(), "https://10.0.0.1:6443");
    assert_eq!(object["spec"]["endpoint"], "https://10.0.0.1:6443");
    assert_eq!(object["spec"]["credentialsRef"]["name"], "member-gz");
    assert_eq!(object["spec"]["provider"], "p");
}

#[test]
fn what_cannot_be_joined_is_refused_by_name() {
    let base = |rest: &str| {
        member(&format!(
            "{{apiVersion: heyun.dev/v1alpha1, kind: MemberCluster, {rest}}}"
        ))
    };
    let cases = [
        (of("Gz", None), "\"Gz\" is no name of a member"),
        (of(&"a".repeat(41), None), "is no name of a member"),
        (
            of("gz", base("metadata: {name: other}")),
            "the file is of member \"other\", the command of \"gz\"",
        ),
        (
            of("gz", base("spec: {mode: Pull}")),
            "spec.mode of \"gz\" is Pull",
        ),
        (
            of("gz", base("spec: {endpoint: 'https://10.0.0.2:6443'}")),
            "spec.endpoint is https://10.0.0.2:6443, the kubeconfig's server is https://10.0.0.1:6443",
        ),
        (
            of("gz", base("spec: {zone: moon}")),
            "MemberCluster/gz: unknown variant `moon`",
        ),
        (
            of(
                "gz",
                member("{apiVersion: v1, kind: Pod, metadata: {name: p}}"),
            ),
            "Pod/p is not a MemberCluster",
        ),
    ];
    for (join, wanted) in cases {
        let error = plan(&join).unwrap_err();
        assert!(error.message.contains(wanted), "{wanted}: {error}");
        assert_eq!(error.exit, Exit::Usage);
    }
}

#[test]
fn dangerous_kubeconfigs_are_refused_with_the_fix() {
    for (user, wanted) in [
        ("{exec: {command: sh}}", "users[u].exec: runs a command"),
        (
            "{token: t, as: admin}",
            "users[u].as: acts as somebody else",
        ),
        (
            "{}",
            "users[u]: has neither a token nor a client certificate",
        ),
    ] {
        let join = Join {
            kubeconfig: kubeconfig(user),
            ..of("gz", None)
        };
        let error = plan(&join).unwrap_err();
        assert!(error.message.starts_with(wanted), "{wanted}: {error}");
        assert!(error.hint.is_some());
    }
    let skipping =
        kubeconfig("{token: t}").replace("server:", "insecure-skip-tls-verify: true, server:");
    let join = Join {
        kubeconfig: skipping,
        ..of("gz", None)
    };
    let error = plan(&join).unwrap_err();
    assert!(error.message.contains("skips the verification"), "{error}");
    let join = Join {
        context: Some("b".to_owned()),
        ..of("gz", None)
    };
    assert!(plan(&join).unwrap_err().message.contains("contexts[b]"));
}
