//! Architectures from images: what a reference names, what a registry's answer says, and which
//! nodes a component's pods can run on.
//!
//! A pod runs where all of its containers do: on the architectures that every one of its images
//! exists for, as far as its own selectors and its placement allow them. An image of which nothing
//! is known narrows nothing; whether a Workload may be decided then is the caller's to say.

mod answer;
mod name;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use heyun_crds::workload::Override;

use crate::interpret::{Component, Interpreted, ManifestError, shown};

pub use answer::{Answer, AnswerError, MANIFEST_TYPES, config, manifest};
pub use name::{ImageName, NameError, Version};

/// The system that members' nodes run.
const LINUX: &str = "linux";

/// The architecture of a platform such as `linux/arm64/v8`, by the name that nodes have it;
/// `None` for another system.
pub fn architecture(platform: &str) -> Option<&str> {
    let mut parts = platform.split('/');
    if parts.next() != Some(LINUX) {
        return None;
    }
    parts.next().filter(|name| !name.is_empty())
}

fn architectures(platforms: &BTreeSet<String>) -> BTreeSet<String> {
    let named = platforms.iter().filter_map(|p| architecture(p));
    named.map(str::to_owned).collect()
}

/// Every image that a component may run with, on whatever architecture.
pub fn all_images(component: &Component) -> BTreeSet<&str> {
    let elsewhere = component.images_on.values().flat_map(BTreeMap::values);
    let all = component.images.values().chain(elsewhere);
    all.map(String::as_str).collect()
}

/// The images that a component runs with on one architecture.
fn images_on<'c>(component: &'c Component, arch: &str) -> impl Iterator<Item = &'c str> {
    let there = component.images_on.get(arch);
    component.images.iter().map(move |(container, image)| {
        let other = there.and_then(|images| images.get(container));
        other.unwrap_or(image).as_str()
    })
}

/// Notes in every component which images it has on single architectures.
pub(crate) fn override_images(
    overrides: &[Override],
    interpreted: &mut Interpreted,
    errors: &mut Vec<ManifestError>,
) {
    for (index, one) in overrides.iter().enumerate() {
        for (at, image) in one.images.iter().enumerate() {
            let place = format!("spec.overrides[{index}].images[{at}]");
            if let Err(error) = ImageName::parse(&image.image) {
                errors.push(ManifestError::invalid(&place, error.to_string(), ""));
            }
            let mut found = false;
            for component in &mut interpreted.components {
                let named = image.component.as_ref();
                let meant = named.is_none_or(|name| *name == component.request.name);
                if !meant || !component.images.contains_key(&image.container) {
                    continue;
                }
                found = true;
                for arch in &one.architectures {
                    let there = component.images_on.entry(arch.clone()).or_default();
                    let before = there.insert(image.container.clone(), image.image.clone());
                    if before.is_some_and(|before| before != image.image) {
                        errors.push(ManifestError::invalid(
                            &place,
                            format!(
                                "container {} of {} has another image on {} by an earlier override",
                                shown(&image.container),
                                component.request.name,
                                shown(arch)
                            ),
                            "leave one of the two out",
                        ));
                    }
                }
            }
            if !found {
                let of = image.component.as_deref().unwrap_or("any component");
                errors.push(ManifestError::invalid(
                    &place,
                    format!("{} is no container of {of}", shown(&image.container)),
                    "name a container, and the component as Kind/name, as in the manifests",
                ));
            }
        }
    }
}

/// Narrows every component to the platforms that the Workload declares; none declared: to nothing.
pub(crate) fn declare(
    platforms: &[String],
    interpreted: &mut Interpreted,
    errors: &mut Vec<ManifestError>,
) {
    for (index, platform) in platforms.iter().enumerate() {
        if architecture(platform).is_none() {
            errors.push(ManifestError::invalid(
                format!("spec.platforms[{index}]"),
                format!("{} is no platform of a member's nodes", shown(platform)),
                "write linux/ARCHITECTURE, such as linux/arm64",
            ));
        }
    }
    let declared: BTreeSet<String> = platforms.iter().cloned().collect();
    let declared = architectures(&declared);
    if declared.is_empty() {
        return;
    }
    for component in &mut interpreted.components {
        let asked = component.request.architectures.clone();
        let both = both(&asked, &declared);
        if both.is_empty() {
            errors.push(ManifestError::invalid(
                place(component),
                format!(
                    "its pods or its placement ask for {}, and spec.platforms declares {}",
                    listed(&asked),
                    listed(&declared)
                ),
                "make the two agree",
            ));
            continue;
        }
        component.request.architectures = both;
    }
}

/// Narrows every component to what its images exist for: `known` holds platforms by image as it
/// is written. What is not in it narrows nothing.
///
/// # Errors
/// Components that no architecture can run: their images have none in common, or none that their
/// selectors and the placement ask for.
pub fn narrow(
    interpreted: &mut Interpreted,
    known: &BTreeMap<String, BTreeSet<String>>,
) -> Result<(), Vec<ManifestError>> {
    let mut errors = Vec::new();
    for component in &mut interpreted.components {
        let of: BTreeMap<&str, BTreeSet<String>> = all_images(component)
            .into_iter()
            .filter_map(|image| Some((image, architectures(known.get(image)?))))
            .collect();
        if of.is_empty() {
            continue;
        }
        let has = |image: &str, arch: &String| of.get(image).is_none_or(|own| own.contains(arch));
        let candidates = of.values().flatten().chain(component.images_on.keys());
        let common: BTreeSet<String> = candidates
            .filter(|arch| images_on(component, arch).all(|image| has(image, arch)))
            .cloned()
            .collect();
        let runs = both(&component.request.architectures, &common);
        if runs.is_empty() {
            errors.push(nowhere(component, known));
        } else {
            component.request.architectures = runs;
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

/// The architectures of both lists, where an empty first one means any.
fn both(asked: &BTreeSet<String>, of: &BTreeSet<String>) -> BTreeSet<String> {
    if asked.is_empty() {
        of.clone()
    } else {
        asked.intersection(of).cloned().collect()
    }
}

/// Most images that a message names.
const IMAGES_NAMED: usize = 4;

fn nowhere(component: &Component, known: &BTreeMap<String, BTreeSet<String>>) -> ManifestError {
    let all = all_images(component).into_iter();
    let each = all
        .filter_map(|image| known.get_key_value(image))
        .take(IMAGES_NAMED);
    let each =
        each.map(|(image, platforms)| format!("{} is for {}", shown(image), listed(platforms)));
    let mut images: Vec<String> = each.collect();
    let asked = &component.request.architectures;
    if !asked.is_empty() {
        let asked = listed(asked);
        images.push(format!("its pods or its placement ask for {asked}"));
    }
    ManifestError::invalid(
        place(component),
        format!("no node can run its pods: {}", images.join(", ")),
        "push the images for one architecture that all have, under a new tag, or change what is \
         asked for",
    )
}

fn place(component: &Component) -> String {
    format!(
        "manifests[{}] {}",
        component.manifest, component.request.name
    )
}

/// Most names that a list in a message spells out.
const LISTED: usize = 8;

fn listed(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        return "no platform".to_owned();
    }
    let mut parts: Vec<&str> = names.iter().take(LISTED).map(String::as_str).collect();
    if names.len() > LISTED {
        parts.push("…");
    }
    parts.join(", ")
}
