use super::*;

const CA: &str = "-----BEGIN CERTIFICATE-----\nMAAwAA==\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMAAwAA==\n-----END PRIVATE KEY-----\n";
const TOKEN: &str = "eyJ.very.secret";

fn config(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         contexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
         clusters:\n- name: k\n  cluster: {{{cluster}}}\n\
         users:\n- name: u\n  user: {{{user}}}\n"
    )
}

fn good_cluster() -> String {
    format!(
        "server: \"https://10.1.2.3:6443\", certificate-authority-data: {}",
        Credential::base64_of(CA)
    )
}

#[test]
fn a_plain_kubeconfig_is_read_and_stored_and_read_again() {
    let text = config(&good_cluster(), &format!("token: {TOKEN}"));
    let credential = Credential::from_kubeconfig(&text).unwrap();
    assert_eq!(credential.server(), "https://10.1.2.3:6443");
    let secret = credential.to_secret("member-a");
    assert_eq!(Credential::from_secret(&secret).unwrap(), credential);
    let user = format!(
        "client-certificate-data: {}, client-key-data: {}",
        Credential::base64_of(CA),
        Credential::base64_of(KEY)
    );
    let credential = Credential::from_kubeconfig(&config(&good_cluster(), &user)).unwrap();
    assert_eq!(
        Credential::from_secret(&credential.to_secret("m")).unwrap(),
        credential
    );
}

#[test]
fn every_trick_is_refused_by_name() {
    let token = format!("token: {TOKEN}");
    let cluster = |extra: &str| format!("{}, {extra}", good_cluster());
    let user = |extra: &str| format!("{token}, {extra}");
    let cases = [
        (
            config(&good_cluster(), "exec: {command: sh}"),
            "users[u].exec",
        ),
        (
            config(&good_cluster(), "auth-provider: {name: gcp}"),
            "users[u].auth-provider",
        ),
        (
            config(&good_cluster(), "tokenFile: /etc/passwd"),
            "users[u].tokenFile",
        ),
        (
            config(&good_cluster(), "client-certificate: /a, client-key: /b"),
            "users[u].client-",
        ),
        (config(&good_cluster(), &user("as: root")), "users[u].as"),
        (
            config(&good_cluster(), &user("as-groups: [system:masters]")),
            "users[u].as-groups",
        ),
        (
            config(&good_cluster(), "username: a, password: b"),
            "users[u].",
        ),
        (
            config(&cluster("insecure-skip-tls-verify: true"), &token),
            "insecure-skip-tls-verify",
        ),
        (
            config(&cluster("proxy-url: \"http://p\""), &token),
            "clusters[k].proxy-url",
        ),
        (
            config(&cluster("tls-server-name: x"), &token),
            "clusters[k].tls-server-name",
        ),
        (
            config(&cluster("certificate-authority: /ca"), &token),
            "certificate-authority",
        ),
        (
            config(&cluster("surprise: 1"), &token),
            "clusters[k].surprise",
        ),
        (
            config("server: \"https://a\"", &token),
            "certificate-authority-data",
        ),
        (config(&good_cluster(), ""), "users[u]"),
    ];
    for (text, place) in cases {
        let error = Credential::from_kubeconfig(&text).unwrap_err();
        assert!(error.place.contains(place), "{error} does not name {place}");
        assert!(!error.fix.is_empty() && !error.to_string().contains(TOKEN));
    }
}

#[test]
fn what_kubectl_writes_for_unset_fields_is_no_trick() {
    let cluster = format!(
        "{}, insecure-skip-tls-verify: false, extensions: []",
        good_cluster()
    );
    let text = config(&cluster, &format!("token: {TOKEN}, exec: null"));
    assert!(Credential::from_kubeconfig(&text).is_ok());
}

#[test]
fn endpoints_are_compared_in_normal_form_and_only_https_without_a_user_passes() {
    let good = |url: &str| normal_endpoint(url).unwrap();
    assert_eq!(
        good("https://API.gov.example/"),
        "https://api.gov.example:443"
    );
    assert_eq!(good("https://[::1]:6443"), "https://[::1]:6443");
    for bad in [
        "http://10.1.2.3",
        "10.1.2.3:6443",
        "https://admin:pw@10.1.2.3",
        "https://10.1.2.3/?a=b",
        "https://a#b",
        "",
        "unix:///run/k8s.sock",
    ] {
        let problem = normal_endpoint(bad).unwrap_err();
        assert!(!problem.contains("pw"), "{problem}");
    }
    let text = config(&good_cluster(), &format!("token: {TOKEN}"));
    let credential = Credential::from_kubeconfig(&text).unwrap();
    assert!(credential.matches("https://10.1.2.3:6443/"));
    assert!(!credential.matches("https://10.1.2.4:6443"));
}

#[test]
fn a_stored_credential_whose_server_was_changed_is_refused() {
    let text = config(&good_cluster(), &format!("token: {TOKEN}"));
    let mut secret = Credential::from_kubeconfig(&text)
        .unwrap()
        .to_secret("member-a");
    let data = secret.data.as_mut().unwrap();
    data.insert(
        KEY_SERVER.into(),
        ByteString(b"https://evil.example:6443".to_vec()),
    );
    let error = Credential::from_secret(&secret).unwrap_err();
    assert!(error.to_string().contains("was changed"), "{error}");
    secret.data.as_mut().unwrap().remove(KEY_CA);
    let error = Credential::from_secret(&secret).unwrap_err();
    assert!(error.place.contains(KEY_CA), "{error}");
}

#[test]
fn nothing_shows_the_token() {
    let text = config(&good_cluster(), &format!("token: {TOKEN}"));
    let credential = Credential::from_kubeconfig(&text).unwrap();
    assert!(!format!("{credential:?}").contains(TOKEN));
    let broken = format!("{text}\n  token: {TOKEN}: [");
    let error = Credential::from_kubeconfig(&broken).unwrap_err();
    assert!(!error.to_string().contains(TOKEN), "{error}");
    let smuggled = config(&good_cluster(), "token: \"a\\r\\nX-Remote-User: root\"");
    assert!(
        Credential::from_kubeconfig(&smuggled)
            .unwrap_err()
            .place
            .contains("token")
    );
}
