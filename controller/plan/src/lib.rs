//! Pure plans: manifests to requests, hub objects to snapshots, decisions to Works.
