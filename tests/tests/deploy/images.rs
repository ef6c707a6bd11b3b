//! Images have the names and the version that the build gives them.

use std::fs;

use crate::object::text;
use crate::rendered::{Rendered, root};

/// The version of the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is made from the one Dockerfile.
const OWN: [&str; 3] = ["edge-ledger", "identity-service", "ledger-service"];

#[test]
fn images_are_those_of_the_build_in_the_version_of_the_workspace() -> anyhow::Result<()> {
    for rendered in Rendered::all()? {
        for pod in rendered.pods() {
            let image = text(pod.container()?, "/image");
            let expected = if OWN.contains(&pod.name) {
                format!("edge-ledger/{}:{VERSION}", pod.name)
            } else {
                // A version of Redis that the store knows, whole, so that it does not move.
                "docker.io/library/redis:7.2.11".to_owned()
            };
            assert_eq!(image, expected);
            let is_own = OWN.contains(&pod.name);
            if is_own {
                assert_eq!(pod.labels()["app.kubernetes.io/version"], VERSION);
                // The entry point is the image's: the binary.
                assert!(pod.container()?.get("command").is_none());
            }
        }
    }
    Ok(())
}

#[test]
fn what_the_policy_skips_has_its_reason() -> anyhow::Result<()> {
    let policy = fs::read_to_string(root().join("deploy/kubernetes/checkov.yaml"))?;
    let mut before = "";
    let mut skipped = 0;
    for line in policy.lines() {
        if line.trim_start().starts_with("- CKV") {
            skipped += 1;
            assert!(before.trim_start().starts_with('#'), "{line}");
        }
        before = line;
    }
    assert_eq!(
        skipped, 3,
        "each is told in deploy/kubernetes/README.md or here"
    );
    Ok(())
}
