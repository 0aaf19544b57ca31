//! What an entry of a guardrail covers: what a manifest names, and the narrower entry of a child.
//! One home for both, so that a child can allow nothing that its work would be refused for.

use std::fmt;

/// The registry of images that name none.
const DOCKER_HUB: &str = "docker.io";
/// The same registry under its older name.
const DOCKER_HUB_BEFORE: &str = "index.docker.io";
/// Where Docker Hub keeps images of one word.
const OFFICIAL: &str = "library";

/// An image or a prefix of images, with nothing left to guess: `nginx:1.27` is
/// `docker.io/library/nginx:1.27`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The registry, and the segments of the path.
    segments: Vec<String>,
    /// Tag and digest as they are written, such as `:1.27`; empty without one.
    version: String,
}

impl Reference {
    /// What a container names.
    pub(crate) fn image(text: &str) -> Self {
        let (registry, path) = split(text);
        let mut reference = Self::new(registry.unwrap_or(DOCKER_HUB), path);
        let on_docker_hub = reference.segments.first().is_some_and(|r| r == DOCKER_HUB);
        if on_docker_hub && reference.segments.len() == 2 {
            reference.segments.insert(1, OFFICIAL.to_owned());
        }
        reference
    }

    /// What an entry means: `registry.gov.example` a registry, `civil/` a path of Docker Hub, and
    /// `nginx` one image there.
    pub(crate) fn prefix(text: &str) -> Self {
        if text.contains('/') {
            let (registry, path) = split(text);
            Self::new(registry.unwrap_or(DOCKER_HUB), path)
        } else if is_registry(text) {
            Self::new(text, "")
        } else {
            Self::image(text)
        }
    }

    /// Whether the other is this or below it, by whole segments. One with a tag or a digest is
    /// itself alone.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        if self.version.is_empty() {
            other.segments.starts_with(&self.segments)
        } else {
            self == other
        }
    }

    /// Registry, path in it, and tag and digest as they are written.
    pub(crate) fn parts(&self) -> (&str, String, &str) {
        let registry = self.segments.first().map_or("", String::as_str);
        let path = self.segments.get(1..).unwrap_or_default().join("/");
        (registry, path, &self.version)
    }

    fn new(registry: &str, path: &str) -> Self {
        let end = path.find(['@', ':']).unwrap_or(path.len());
        let (path, version) = path.split_at(end);
        let mut registry = registry.to_lowercase();
        if registry == DOCKER_HUB_BEFORE {
            DOCKER_HUB.clone_into(&mut registry);
        }
        let mut segments = vec![registry];
        segments.extend(
            path.split('/')
                .filter(|part| !part.is_empty())
                .map(str::to_owned),
        );
        Self {
            segments,
            version: version.to_owned(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.segments.join("/"), self.version)
    }
}

/// The registry that a reference names, and the rest.
fn split(text: &str) -> (Option<&str>, &str) {
    match text.split_once('/') {
        Some((first, rest)) if is_registry(first) => (Some(first), rest),
        _ => (None, text),
    }
}

/// Whether the first segment is a registry, as container runtimes tell it from a path.
fn is_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.chars().any(char::is_uppercase)
}

/// Whether an entry of `registries` covers an image.
pub(crate) fn image(entry: &str, image: &str) -> bool {
    Reference::prefix(entry).covers(&Reference::image(image))
}

/// Whether an entry of `registries` covers a narrower one.
pub(crate) fn registry(outer: &str, inner: &str) -> bool {
    Reference::prefix(outer).covers(&Reference::prefix(inner))
}

/// Whether an entry of `ingressHosts` covers a host or a narrower entry: `gz.gov.example` covers
/// itself and all below it, `*.gz.gov.example` what is below it, neither `notgz.gov.example`.
pub(crate) fn host(entry: &str, named: &str) -> bool {
    let (outer, outer_below) = host_name(entry);
    let (inner, inner_below) = host_name(named);
    if inner == outer {
        return inner_below || !outer_below;
    }
    inner
        .strip_suffix(outer.as_str())
        .is_some_and(|head| head.ends_with('.'))
}

/// The name in small letters, and whether only what is below it is meant.
fn host_name(text: &str) -> (String, bool) {
    let (name, below) = text
        .strip_prefix("*.")
        .map_or((text, false), |rest| (rest, true));
    (name.trim_matches('.').to_lowercase(), below)
}

/// Whether an entry of `allowedKinds` covers a kind or a narrower entry: `Deployment` covers
/// `Deployment.apps`.
pub(crate) fn kind(entry: &str, named: &str) -> bool {
    named == entry || named.split_once('.').is_some_and(|(kind, _)| kind == entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_says_its_registry_or_means_docker_hub() {
        for (written, meant) in [
            ("nginx", "docker.io/library/nginx"),
            ("nginx:1.27", "docker.io/library/nginx:1.27"),
            ("civil/web:2", "docker.io/civil/web:2"),
            ("docker.io/nginx", "docker.io/library/nginx"),
            ("index.docker.io/civil/web", "docker.io/civil/web"),
            ("localhost/web", "localhost/web"),
            ("registry:5000/web", "registry:5000/web"),
            ("Registry.Gov.Example/web", "registry.gov.example/web"),
            ("r.example/a/b:1@sha256:ff", "r.example/a/b:1@sha256:ff"),
        ] {
            assert_eq!(Reference::image(written).to_string(), meant);
        }
    }

    #[test]
    fn a_registry_covers_images_by_whole_segments() {
        let yes = [
            ("registry.gov.example/", "registry.gov.example/web:1"),
            ("registry.gov.example", "registry.gov.example/civil/web"),
            ("registry.gov.example", "Registry.gov.example/web"),
            (
                "registry.gov.example/civil",
                "registry.gov.example/civil/web:1",
            ),
            (
                "registry.gov.example/civil/web",
                "registry.gov.example/civil/web@sha256:ff",
            ),
            ("registry.gov.example/base:1", "registry.gov.example/base:1"),
            ("registry:5000", "registry:5000/web"),
            ("docker.io", "nginx"),
            ("docker.io/library/", "nginx:1.27"),
            ("docker.io/civil", "civil/web"),
            ("civil/", "civil/web"),
            ("nginx", "docker.io/library/nginx:1.27"),
        ];
        for (entry, named) in yes {
            assert!(image(entry, named), "{entry} covers {named}");
        }
        let no = [
            ("registry.gov.example", "registry.gov.example.evil.com/web"),
            ("registry.gov.example/", "registry.gov.example@evil.com/web"),
            ("registry.gov.example", "registry.gov.example:5000/web"),
            ("registry.gov.example", "evil.com/registry.gov.example/web"),
            ("registry.gov.example", "registry.gov.example"),
            ("registry.gov.example", "nginx"),
            (
                "registry.gov.example/civil",
                "registry.gov.example/civilian/web",
            ),
            (
                "registry.gov.example/base:1",
                "registry.gov.example/base:12",
            ),
            ("nginx", "evil.com/library/nginx"),
            ("nginx", "nginx/exporter"),
            ("civil/", "civil"),
        ];
        for (entry, named) in no {
            assert!(!image(entry, named), "{entry} does not cover {named}");
        }
    }

    #[test]
    fn a_child_may_name_what_is_below_its_parents_registry_and_no_lookalike() {
        assert!(registry("mirror.example/", "mirror.example/gov/"));
        assert!(registry("mirror.example", "mirror.example/"));
        assert!(!registry("mirror.example/gov/", "mirror.example/"));
        assert!(!registry("mirror.example", "mirror.example.evil.com/"));
        assert!(!registry("mirror.example/gov:1", "mirror.example/gov"));
    }

    #[test]
    fn a_host_is_covered_by_itself_and_by_what_it_is_below() {
        let yes = [
            ("gz.gov.example", "gz.gov.example"),
            ("gz.gov.example", "app.gz.gov.example"),
            ("gz.gov.example", "*.gz.gov.example"),
            (".gz.gov.example", "app.gz.gov.example"),
            ("GZ.gov.example", "app.gz.gov.example"),
            ("*.gz.gov.example", "app.gz.gov.example"),
            ("*.gz.gov.example", "a.b.gz.gov.example"),
            ("*.gz.gov.example", "*.gz.gov.example"),
            ("*.gz.gov.example", "*.app.gz.gov.example"),
        ];
        for (entry, named) in yes {
            assert!(host(entry, named), "{entry} covers {named}");
        }
        let no = [
            ("gz.gov.example", "notgz.gov.example"),
            ("gz.gov.example", "gov.example"),
            ("gz.gov.example", "*.gov.example"),
            ("gz.gov.example", "gz.gov.example.evil.com"),
            ("*.gz.gov.example", "gz.gov.example"),
            ("*.gz.gov.example", "notgz.gov.example"),
            (".", "app.gz.gov.example"),
        ];
        for (entry, named) in no {
            assert!(!host(entry, named), "{entry} does not cover {named}");
        }
    }

    #[test]
    fn a_kind_without_a_group_is_that_kind_in_any() {
        assert!(kind("Deployment", "Deployment.apps"));
        assert!(kind("Deployment.apps", "Deployment.apps"));
        assert!(kind("Service", "Service"));
        assert!(!kind("Deployment.apps", "Deployment.evil.com"));
        assert!(!kind("Deployment.apps", "Deployment"));
        assert!(!kind("Deploy", "Deployment.apps"));
    }
}
