//! `cargo xtask manifests`: renders every overlay of `deploy/kubernetes`, and holds what comes out
//! against the schemas of Kubernetes, those of the custom resources, and a policy.
//!
//! What no schema knows, such as whether a port that is probed exists, is asserted by the tests of
//! `tests/tests/deploy`. Nothing here needs a cluster, and so nothing here is deployed.

mod object;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::command::Run;
use crate::output;
use crate::tools;
use object::Object;

const SOURCE: &str = "deploy/kubernetes";
const OVERLAYS: &str = "deploy/kubernetes/overlays";
const SCHEMAS: &str = "deploy/kubernetes/schemas";
const POLICY: &str = "deploy/kubernetes/checkov.yaml";
const STYLE: &str = "deploy/kubernetes/yamllint.yaml";
const RENDERED: &str = "target/manifests";

/// The oldest Kubernetes that the manifests are for, and the newest whose schemas are at hand.
const VERSIONS: [&str; 2] = ["1.31.0", "1.37.0"];

/// Renders and checks everything.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    tools::manifests(root)?;
    lint(root)?;
    let rendered = root.join(RENDERED);
    if rendered.exists() {
        fs::remove_dir_all(&rendered).context(RENDERED)?;
    }
    let mut built_in = Vec::new();
    let mut custom: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for overlay in overlays(root)? {
        let objects = render(root, &overlay)?;
        let count = objects.len();
        for (index, object) in objects.into_iter().enumerate() {
            let schema = format!("{SCHEMAS}/{}.json", object.schema());
            let path = format!("{RENDERED}/{overlay}/{index:03}-{}.yaml", object.kind);
            write(root, &path, &object.text)?;
            if root.join(&schema).is_file() {
                custom.entry(schema).or_default().push(path);
            } else {
                built_in.push(path);
            }
        }
        output::line(&format!("{overlay}: {count} objects"));
    }
    every_schema_is_used(root, &custom)?;
    for version in VERSIONS {
        validate(root, version, &built_in)?;
    }
    for (schema, files) in &custom {
        tool(root, "check-jsonschema")
            .args(["--quiet", "--schemafile", schema])
            .args(files.iter().map(String::as_str))
            .run()?;
    }
    policy(root)
}

/// The names of the overlays, in order.
fn overlays(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join(OVERLAYS)).context(OVERLAYS)? {
        let name = entry?.file_name().into_string();
        names.push(name.map_err(|name| anyhow::anyhow!("{} is no text", name.display()))?);
    }
    names.sort();
    Ok(names)
}

/// What an overlay comes to.
fn render(root: &Path, overlay: &str) -> anyhow::Result<Vec<Object>> {
    let folder = format!("{OVERLAYS}/{overlay}");
    let text = tool(root, "kubectl").args(["kustomize", &folder]).text()?;
    let objects = object::split(&text);
    if objects.is_empty() {
        bail!("{folder} comes to nothing");
    }
    let objects = objects.into_iter();
    objects
        .map(|object| object.with_context(|| folder.clone()))
        .collect()
}

/// Strictly: a field that the schema does not have is an error.
fn validate(root: &Path, version: &str, files: &[String]) -> anyhow::Result<()> {
    let said = tool(root, "kubernetes-validate")
        .args(["--strict", "--quiet", "-k", version])
        .args(files.iter().map(String::as_str))
        .text_of_any_end()?;
    // A kind without a schema is but a warning to it.
    if said.is_empty() {
        return Ok(());
    }
    bail!("against Kubernetes {version}:\n{said}  a custom resource has its schema in {SCHEMAS}");
}

fn policy(root: &Path) -> anyhow::Result<()> {
    tool(root, "checkov")
        .args(["--config-file", POLICY, "--directory", RENDERED])
        .run()
}

fn lint(root: &Path) -> anyhow::Result<()> {
    tool(root, "yamllint")
        .args(["--strict", "--config-file", STYLE, SOURCE])
        .run()
}

/// A schema that nothing is held against may be one whose file has a wrong name.
fn every_schema_is_used(root: &Path, custom: &BTreeMap<String, Vec<String>>) -> anyhow::Result<()> {
    for entry in fs::read_dir(root.join(SCHEMAS)).context(SCHEMAS)? {
        let path = format!("{SCHEMAS}/{}", entry?.file_name().display());
        if !custom.contains_key(&path) {
            bail!("no overlay has an object of the schema {path}");
        }
    }
    Ok(())
}

fn write(root: &Path, path: &str, text: &str) -> anyhow::Result<()> {
    let path = root.join(path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, text).with_context(|| path.display().to_string())
}

fn tool(root: &Path, name: &str) -> Run {
    Run::new(root, &format!("{}/bin/{name}", tools::MANIFESTS_VENV))
}
