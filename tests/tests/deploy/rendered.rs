//! What an overlay comes to, by `kubectl kustomize`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;

use crate::object::{Object, Pod};

/// Every overlay.
pub(crate) const OVERLAYS: [&str; 4] = ["embedded", "h2c", "ha", "redis"];
/// Those that run both services apart.
pub(crate) const APART: [&str; 3] = ["h2c", "ha", "redis"];

/// The objects of an overlay.
pub(crate) struct Rendered {
    pub(crate) overlay: &'static str,
    pub(crate) objects: Vec<Object>,
}

impl Rendered {
    pub(crate) fn of(overlay: &'static str) -> anyhow::Result<Self> {
        let folder = root().join("deploy/kubernetes/overlays").join(overlay);
        let output = Command::new(kubectl())
            .arg("kustomize")
            .arg(&folder)
            .output()
            .context("no kubectl: `cargo xtask manifests` installs it")?;
        anyhow::ensure!(output.status.success(), "{overlay}: {output:?}");
        let text = String::from_utf8(output.stdout)?;
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text)?;
        let objects = objects.into_iter().map(Object);
        Ok(Self {
            overlay,
            objects: objects.collect(),
        })
    }

    pub(crate) fn all() -> anyhow::Result<Vec<Self>> {
        OVERLAYS.into_iter().map(Self::of).collect()
    }

    /// The objects of a kind.
    pub(crate) fn kind(&self, kind: &str) -> impl Iterator<Item = &Object> {
        let objects = self.objects.iter();
        objects.filter(move |object| object.kind() == kind)
    }

    /// An object that must be there.
    pub(crate) fn named(&self, kind: &str, name: &str) -> anyhow::Result<&Object> {
        let mut all = self.kind(kind);
        all.find(|object| object.name() == name)
            .with_context(|| format!("{}: no {kind} {name}", self.overlay))
    }

    /// Whoever makes pods.
    pub(crate) fn workloads(&self) -> impl Iterator<Item = &Object> {
        let objects = self.objects.iter();
        objects.filter(|object| object.0.pointer("/spec/template/spec/containers").is_some())
    }

    /// A pod of each of them.
    pub(crate) fn pods(&self) -> impl Iterator<Item = Pod<'_>> {
        self.workloads().map(Pod::of)
    }

    /// The pod of a workload that must be there.
    pub(crate) fn pod(&self, name: &str) -> anyhow::Result<Pod<'_>> {
        let mut all = self.pods();
        all.find(|pod| pod.name == name)
            .with_context(|| format!("{}: no pod {name}", self.overlay))
    }
}

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// The one that `cargo xtask manifests` installs: those of distributions know no components.
fn kubectl() -> PathBuf {
    root().join("target/tools/manifests-venv/bin/kubectl")
}

#[test]
fn every_overlay_is_tested() -> anyhow::Result<()> {
    let folder = root().join("deploy/kubernetes/overlays");
    let names: Result<Vec<_>, _> = folder
        .read_dir()?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect();
    let mut names = names?;
    names.sort();
    assert_eq!(names, OVERLAYS);
    Ok(())
}

#[test]
fn every_component_is_in_some_overlay() -> anyhow::Result<()> {
    let kubernetes = root().join("deploy/kubernetes");
    let mut listed = String::new();
    for overlay in OVERLAYS {
        let path = kubernetes.join(format!("overlays/{overlay}/kustomization.yaml"));
        listed.push_str(&std::fs::read_to_string(path)?);
    }
    let mut folders = vec![kubernetes.join("components")];
    while let Some(folder) = folders.pop() {
        if folder.join("kustomization.yaml").is_file() {
            let name = folder.strip_prefix(&kubernetes)?.display().to_string();
            // Others stand on this one.
            let is_used = listed.contains(&format!("../../{name}\n"));
            assert!(is_used || name.ends_with("network-policies/all"), "{name}");
        }
        for entry in folder.read_dir()? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(())
}
