//! What a cluster would lay out for a pod, in a folder: its volumes as kubelet makes them, and its
//! arguments and environment with the folder before every path.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use edge_ledger_tests::process::binary;
use serde_json::Value;
use tempfile::TempDir;

use crate::object::{Pod, list, text};
use crate::rendered::Rendered;

/// Of a volume for secrets: everybody may add to it, and change nothing of others. So it is when
/// the pod has a group (`fsGroup`).
const VOLUME_MODE: u32 = 0o3777;
const FILE_MODE: u32 = 0o440;

/// Secrets by name, and the files of each.
pub(crate) type Secrets = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

/// A pod's own view of the file system.
pub(crate) struct Laid<'a> {
    pod: Pod<'a>,
    folder: TempDir,
}

impl<'a> Laid<'a> {
    /// Lays out the volumes of a pod, and everything that it mounts.
    pub(crate) fn out(
        rendered: &'a Rendered,
        pod: &str,
        secrets: &Secrets,
    ) -> anyhow::Result<Self> {
        let pod = rendered.pod(pod)?;
        let this = Self {
            pod,
            folder: tempfile::tempdir()?,
        };
        for mount in list(pod.container()?, "/volumeMounts") {
            let path = this.path(text(mount, "/mountPath"))?;
            fs::create_dir_all(&path)?;
            let mut volumes = list(pod.spec, "/volumes").iter();
            let volume = volumes.find(|volume| volume["name"] == mount["name"]);
            let Some(volume) = volume else { continue };
            if let Some(files) = files_of(rendered, volume, secrets)? {
                as_kubelet_does(&path, &files)?;
            }
        }
        Ok(this)
    }

    /// Where a path of the pod is.
    pub(crate) fn path(&self, path: &str) -> anyhow::Result<PathBuf> {
        let relative = path.strip_prefix('/').context("no whole path")?;
        Ok(self.folder.path().join(relative))
    }

    /// A text of the pod with the folder before every path in it.
    fn moved(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for root in ["/run/", "/etc/", "/var/"] {
            let there = format!("{}{root}", self.folder.path().display());
            text = text.replace(root, &there);
        }
        text
    }

    /// The pod's program as it is started, with `more` of its environment above what the manifest
    /// says. Variables that the cluster would fill in are empty.
    pub(crate) fn command(&self, more: &[(&str, &str)]) -> anyhow::Result<Command> {
        let environment = self.pod.environment()?;
        for file in ["identity.toml", "ledger.toml"] {
            let path = self.path(&format!("/etc/edge-ledger/{file}"))?;
            if let Ok(text) = fs::read_to_string(&path) {
                let draft = self.folder.path().join(file);
                fs::write(&draft, self.moved(&text))?;
            }
        }
        let mut command = Command::new(binary(self.pod.name)?);
        command.env_clear();
        for arg in list(self.pod.container()?, "/args") {
            let mut arg = arg.as_str().context("no text")?.to_owned();
            for (name, value) in &environment {
                arg = arg.replace(&format!("$({name})"), value);
            }
            // The file of settings, whose own paths were moved, lies at the top.
            let moved = match arg.strip_prefix("/etc/edge-ledger/") {
                Some(file) => self.folder.path().join(file).display().to_string(),
                None => self.moved(&arg),
            };
            command.arg(moved);
        }
        for (name, value) in environment {
            // Nobody collects here.
            if name.starts_with("EDGE_LEDGER__") {
                command.env(name, self.moved(value));
            }
        }
        for (name, value) in more {
            command.env(name, value);
        }
        Ok(command)
    }
}

/// The files of a volume; none if it is no Secret and no ConfigMap.
fn files_of(
    rendered: &Rendered,
    volume: &Value,
    secrets: &Secrets,
) -> anyhow::Result<Option<BTreeMap<String, Vec<u8>>>> {
    let map = text(volume, "/configMap/name");
    if !map.is_empty() {
        let map = rendered.named("ConfigMap", map)?;
        let files = crate::object::labels(map.at("/data")).into_iter();
        return Ok(Some(
            files.map(|(name, text)| (name, text.into())).collect(),
        ));
    }
    let secret = text(volume, "/secret/secretName");
    let mut names = Vec::from_iter(Some(secret).filter(|name| !name.is_empty()));
    for source in list(volume, "/projected/sources") {
        names.push(text(source, "/secret/name"));
    }
    if names.is_empty() {
        return Ok(None);
    }
    let mut files = BTreeMap::new();
    for name in names {
        let secret = secrets.get(name);
        files.extend(
            secret
                .with_context(|| format!("nobody made {name}"))?
                .clone(),
        );
    }
    Ok(Some(files))
}

/// Files in a folder of their own, which a link names, and a link to each: so that all of them are
/// replaced at once.
fn as_kubelet_does(volume: &Path, files: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<()> {
    let moment = volume.join("..2026_01_01_00_00_00.1");
    fs::create_dir(&moment)?;
    for (name, bytes) in files {
        let path = moment.join(name);
        fs::write(&path, bytes)?;
        fs::set_permissions(&path, Permissions::from_mode(FILE_MODE))?;
        symlink(Path::new("..data").join(name), volume.join(name))?;
    }
    symlink("..2026_01_01_00_00_00.1", volume.join("..data"))?;
    fs::set_permissions(volume, Permissions::from_mode(VOLUME_MODE))?;
    Ok(())
}
