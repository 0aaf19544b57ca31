use heyun_crds::placement::PlacementSpec;
use heyun_crds::workload::{ImageOverride, Manifest, Override, WorkloadSpec};
use heyun_scheduler::resources::Resources;
use serde_json::{Value, json};

use super::answer::INDEX_MAX;
use super::*;
use crate::interpret::{Context, interpret};

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn a_reference_says_registry_path_and_version() {
    let pinned = format!("r.example/a/b:1@{DIGEST}");
    for (written, registry, repository, version) in [
        ("nginx", "docker.io", "library/nginx", "latest"),
        ("civil/web:2", "docker.io", "civil/web", "2"),
        ("index.docker.io/nginx:1", "docker.io", "library/nginx", "1"),
        ("localhost/web", "localhost", "web", "latest"),
        ("r:5000/web:v1.0_x", "r:5000", "web", "v1.0_x"),
        ("10.0.0.1:5000/a/b-c:1", "10.0.0.1:5000", "a/b-c", "1"),
        ("[2001:db8::1]:5000/a:1", "[2001:db8::1]:5000", "a", "1"),
        (&pinned, "r.example", "a/b", DIGEST),
    ] {
        let name = ImageName::parse(written).unwrap();
        let found = (
            name.registry.as_str(),
            name.repository.as_str(),
            name.version.as_str(),
        );
        assert_eq!(found, (registry, repository, version), "{written}");
    }
    let digest = ImageName::parse(&pinned).unwrap();
    assert_eq!(digest.to_string(), format!("r.example/a/b@{DIGEST}"));
}

#[test]
fn what_no_registry_takes_is_refused_and_says_which_part() {
    for (written, part) in [
        ("", "path"),
        ("r.example/", "path"),
        ("r.example/A/b", "path"),
        ("r.example/a/../b", "path"),
        ("r.example/a?x=1", "path"),
        ("r.example/a:", "tag"),
        ("r.example/a:b/c", "tag"),
        ("r.example/a@sha256:ff", "digest"),
        ("r.example/a@md5:ff", "digest"),
        ("user@r.example/a", "registry"),
        ("r.example:0/a", "registry"),
        ("r.example:5000:1/a", "registry"),
        ("[::1/a", "registry"),
        ("-r.example/a", "registry"),
    ] {
        let error = ImageName::parse(written).unwrap_err();
        assert!(error.problem.contains(part), "{written}: {error}");
    }
}

fn index(platforms: &[(&str, &str, &str)]) -> Value {
    let each = platforms.iter().map(|(os, architecture, variant)| {
        json!({"digest": DIGEST, "platform": {"os": os, "architecture": architecture, "variant": variant}})
    });
    json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": each.collect::<Vec<_>>(),
    })
}

fn read(content_type: Option<&str>, body: &Value) -> Result<Answer, AnswerError> {
    manifest(content_type, body.to_string().as_bytes())
}

#[test]
fn an_index_names_platforms_and_attestations_are_none() {
    let mut body = index(&[
        ("linux", "amd64", ""),
        ("linux", "arm64", "v8"),
        ("windows", "amd64", ""),
        ("unknown", "unknown", ""),
    ]);
    let platforms = set(&["linux/amd64", "linux/arm64/v8", "windows/amd64"]);
    assert_eq!(read(None, &body), Ok(Answer::Platforms(platforms.clone())));
    assert_eq!(architectures(&platforms), set(&["amd64", "arm64"]));
    // Docker's list, which says in the header alone what it is.
    body.as_object_mut().unwrap().remove("mediaType");
    let list = "application/vnd.docker.distribution.manifest.list.v2+json; charset=utf-8";
    assert_eq!(read(Some(list), &body), Ok(Answer::Platforms(platforms)));
    assert_eq!(read(None, &body), Err(AnswerError::Other));
}

#[test]
fn one_image_names_its_configuration_and_that_its_platform() {
    let body = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"digest": DIGEST}, "layers": [],
    });
    assert_eq!(read(None, &body), Ok(Answer::Config(DIGEST.to_owned())));
    let of = json!({"os": "linux", "architecture": "loong64", "rootfs": {}}).to_string();
    assert_eq!(config(of.as_bytes()), Ok(set(&["linux/loong64"])));
}

#[test]
fn what_says_no_platform_says_why() {
    let many = vec![("linux", "amd64", ""); INDEX_MAX + 1];
    for (body, error) in [
        (json!([]), AnswerError::Malformed),
        (
            json!({"schemaVersion": 1, "architecture": "amd64"}),
            AnswerError::Other,
        ),
        (
            index(&[("unknown", "unknown", "")]),
            AnswerError::NoPlatform,
        ),
        (index(&[("linux", "Not/one", "")]), AnswerError::NoPlatform),
        (index(&many), AnswerError::TooMany),
        (
            json!({"schemaVersion": 2, "mediaType": MANIFEST_TYPES[2], "config": {"digest": "../../x"}}),
            AnswerError::Malformed,
        ),
    ] {
        assert_eq!(read(None, &body), Err(error));
    }
    assert_eq!(config(b"{}"), Err(AnswerError::NoArchitecture));
    assert_eq!(config(b"<html>"), Err(AnswerError::Malformed));
}

fn deployment(images: &[&str], selector: Value) -> Value {
    let (containers, inits) = images.split_at(1);
    let list = |sort: &str, images: &[&str]| -> Vec<Value> {
        let each = images.iter().enumerate();
        let container = |(at, image)| json!({"name": format!("{sort}{at}"), "image": image});
        each.map(container).collect()
    };
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "nodeSelector": selector, "containers": list("c", containers),
                "initContainers": list("i", inits), "imagePullSecrets": [{"name": "pull"}],
            },
        }},
    })
}

fn interpreted(
    images: &[&str],
    selector: Value,
    platforms: &[&str],
) -> Result<Interpreted, Vec<ManifestError>> {
    let spec = WorkloadSpec {
        manifests: vec![Manifest(deployment(images, selector))],
        platforms: platforms.iter().map(|&p| p.to_owned()).collect(),
        ..WorkloadSpec::default()
    };
    understood(&spec)
}

fn understood(spec: &WorkloadSpec) -> Result<Interpreted, Vec<ManifestError>> {
    let context = Context {
        namespace: "ns",
        placement: &PlacementSpec::default(),
        default_requests: &Resources::new(),
    };
    interpret(spec, &context)
}

fn known(all: &[(&str, &[&str])]) -> BTreeMap<String, BTreeSet<String>> {
    all.iter()
        .map(|(image, platforms)| ((*image).to_owned(), set(platforms)))
        .collect()
}

#[test]
fn a_pod_runs_where_all_of_its_containers_do() {
    let runs = |images: &[&str], selector: Value, of: &[(&str, &[&str])]| {
        let mut interpreted = interpreted(images, selector, &[]).unwrap();
        narrow(&mut interpreted, &known(of)).unwrap();
        interpreted.components[0].request.architectures.clone()
    };
    let (both, arm) = (&["linux/amd64", "linux/arm64/v8"][..], &["linux/arm64"][..]);
    assert_eq!(
        runs(&["a"], json!({}), &[("a", both)]),
        set(&["amd64", "arm64"])
    );
    assert_eq!(
        runs(&["a", "init"], json!({}), &[("a", both), ("init", arm)]),
        set(&["arm64"])
    );
    // What is not known narrows nothing.
    assert_eq!(
        runs(&["a", "b"], json!({}), &[("a", both)]),
        set(&["amd64", "arm64"])
    );
    assert_eq!(runs(&["a"], json!({}), &[]), set(&[]));
    let selector = json!({"kubernetes.io/arch": "arm64"});
    assert_eq!(runs(&["a"], selector, &[("a", both)]), set(&["arm64"]));
    let found = interpreted(&["a", "b"], json!({}), &[]).unwrap();
    let images = all_images(&found.components[0]);
    assert_eq!(images, BTreeSet::from(["a", "b"]));
    assert_eq!(found.components[0].pull_secrets, set(&["pull"]));
}

#[test]
fn images_are_pulled_with_the_secrets_of_the_pod_or_else_of_its_service_account() {
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "app"},
        "imagePullSecrets": [{"name": "of-account"}],
    });
    let secrets_by = |field: &str, own: bool, account_name: &str| {
        let mut web = deployment(&["a"], json!({}));
        let pod = &mut web["spec"]["template"]["spec"];
        pod[field] = account_name.into();
        if !own {
            pod.as_object_mut().unwrap().remove("imagePullSecrets");
        }
        let spec = WorkloadSpec {
            manifests: vec![Manifest(web), Manifest(account.clone())],
            ..WorkloadSpec::default()
        };
        understood(&spec).unwrap().components[0]
            .pull_secrets
            .clone()
    };
    let secrets = |own, account| secrets_by("serviceAccountName", own, account);
    assert_eq!(secrets(false, "app"), set(&["of-account"]));
    let older = secrets_by("serviceAccount", false, "app");
    assert_eq!(older, set(&["of-account"]), "the older name");
    assert_eq!(secrets(true, "app"), set(&["pull"]));
    assert_eq!(secrets(false, "other"), set(&[]));
}

#[test]
fn what_no_node_can_run_is_refused_and_never_means_any() {
    let refused = |images: &[&str], selector: Value, of: &[(&str, &[&str])]| {
        let mut interpreted = interpreted(images, selector, &[]).unwrap();
        narrow(&mut interpreted, &known(of)).unwrap_err()[0].to_string()
    };
    let none = refused(
        &["a", "b"],
        json!({}),
        &[("a", &["linux/amd64"]), ("b", &["linux/arm64"])],
    );
    let words = "manifests[0] Deployment/web: no node can run its pods: \"a\" is for linux/amd64, \
                 \"b\" is for linux/arm64; push";
    assert!(none.starts_with(words), "{none}");
    let arm = json!({"kubernetes.io/arch": "arm64"});
    let other = refused(&["a"], arm, &[("a", &["linux/amd64"])]);
    assert!(
        other.contains("its pods or its placement ask for arm64"),
        "{other}"
    );
    let foreign = refused(&["a"], json!({}), &[("a", &["windows/amd64"])]);
    assert!(foreign.contains("\"a\" is for windows/amd64"), "{foreign}");
}

fn overridden(container: &str, image: &str) -> WorkloadSpec {
    let image = ImageOverride {
        component: None,
        container: container.to_owned(),
        image: image.to_owned(),
    };
    WorkloadSpec {
        manifests: vec![Manifest(deployment(&["a"], json!({})))],
        overrides: vec![Override {
            architectures: vec!["arm64".to_owned()],
            images: vec![image],
        }],
        ..WorkloadSpec::default()
    }
}

#[test]
fn an_image_for_one_architecture_stands_for_the_other_there_and_nowhere_else() {
    let runs = |of: &[(&str, &[&str])]| {
        let mut found = understood(&overridden("c0", "a-arm")).unwrap();
        assert_eq!(
            all_images(&found.components[0]),
            BTreeSet::from(["a", "a-arm"])
        );
        narrow(&mut found, &known(of)).map(|()| found.components[0].request.architectures.clone())
    };
    let (amd, arm) = (&["linux/amd64"][..], &["linux/arm64"][..]);
    assert_eq!(
        runs(&[("a", amd), ("a-arm", arm)]),
        Ok(set(&["amd64", "arm64"]))
    );
    // An image of which nothing is known is taken for what it is given for.
    assert_eq!(runs(&[("a", amd)]), Ok(set(&["amd64", "arm64"])));
    assert_eq!(runs(&[("a", amd), ("a-arm", amd)]), Ok(set(&["amd64"])));
    assert_eq!(runs(&[("a", arm), ("a-arm", arm)]), Ok(set(&["arm64"])));
    assert!(
        runs(&[("a", arm), ("a-arm", amd)]).is_err(),
        "neither runs where it would be"
    );
}

#[test]
fn a_wrong_override_says_value_place_and_fix() {
    let said = |spec: &WorkloadSpec| understood(spec).unwrap_err()[0].to_string();
    let missing = said(&overridden("sidecar", "a-arm"));
    let words = "spec.overrides[0].images[0]: \"sidecar\" is no container of any component; name";
    assert!(missing.starts_with(words), "{missing}");
    let malformed = said(&overridden("c0", "r.example/A"));
    assert!(malformed.contains("is no image reference"), "{malformed}");
    let mut twice = overridden("c0", "a-arm");
    twice.overrides.extend(overridden("c0", "b-arm").overrides);
    let twice = said(&twice);
    let words = "spec.overrides[1].images[0]: container \"c0\" of Deployment/web has another image";
    assert!(twice.starts_with(words), "{twice}");
}

#[test]
fn declared_platforms_narrow_as_known_ones_do() {
    let found = interpreted(&["a"], json!({}), &["linux/amd64", "linux/arm64/v8"]).unwrap();
    assert_eq!(
        found.components[0].request.architectures,
        set(&["amd64", "arm64"])
    );
    let arm = json!({"kubernetes.io/arch": "arm64"});
    let clash = interpreted(&["a"], arm, &["linux/amd64"]).unwrap_err();
    let words = "its pods or its placement ask for arm64, and spec.platforms declares amd64";
    assert!(clash[0].to_string().contains(words), "{}", clash[0]);
    let wrong = interpreted(&["a"], json!({}), &["arm64"]).unwrap_err();
    assert!(
        wrong[0]
            .to_string()
            .contains("spec.platforms[0]: \"arm64\""),
        "{}",
        wrong[0]
    );
}
