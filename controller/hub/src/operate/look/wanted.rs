//! The Works that are wanted, compared with those that are held without their manifests.

use heyun_crds::Work;
use heyun_plan::member_names::member_of_namespace;
use heyun_plan::render::RenderedWork;

use crate::world::{WorkEntry, digest};

/// A Work that is wanted.
pub(super) struct Wanted {
    pub(super) work: RenderedWork,
    /// Digest of its spec, where there is one to compare it with: it is of all manifests, so that it is
    /// made once.
    digest: Option<[u8; 32]>,
}

impl Wanted {
    pub(super) fn of(work: RenderedWork, held: &[&WorkEntry]) -> Self {
        let mut wanted = Self { work, digest: None };
        if held.iter().any(|entry| wanted.is_for(entry)) {
            wanted.digest = Some(digest(&wanted.work.spec));
        }
        wanted
    }

    /// Whether this is the Work that it is to be.
    fn is_for(&self, entry: &WorkEntry) -> bool {
        member_of_namespace(&self.work.namespace) == Some(&entry.key.member)
            && self.work.name == entry.key.name
    }

    /// Whether this is the Work that it is to be, and says what it is to say.
    pub(super) fn is_said_by(&self, entry: &WorkEntry) -> bool {
        self.is_for(entry) && self.digest == Some(entry.digest)
    }
}

/// The Works that exist, for comparison: one whose digest is the wanted one's says the same.
pub(super) fn compared(wanted: &[Wanted], held: &[&WorkEntry]) -> Vec<Work> {
    held.iter()
        .map(|entry| {
            let mut work = entry.work.get();
            if let Some(twin) = wanted.iter().find(|wanted| wanted.is_said_by(entry)) {
                work.spec = twin.work.spec.clone();
            }
            work
        })
        .collect()
}
