//! Secrets are files, of which each pod gets what it needs and no more.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::object::{Pod, list, text};
use crate::rendered::Rendered;

/// 0440: root's, and read by the group of the pod.
const MODE: u64 = 0o440;

/// The Secrets that an operator makes, or cert-manager, for each pod.
fn expected(pod: &str, overlay: &str) -> Vec<&'static str> {
    let has_tls = overlay != "h2c";
    match pod {
        "edge-ledger" => vec!["edge-ledger-keys", "edge-ledger-sealing", "edge-ledger-tls"],
        "identity-service" if has_tls => {
            vec![
                "edge-ledger-keys",
                "edge-ledger-sealing",
                "identity-service-tls",
                "redis-url",
            ]
        }
        "identity-service" => vec!["edge-ledger-keys", "edge-ledger-sealing", "redis-url"],
        "ledger-service" if has_tls => vec!["edge-ledger-keys", "ledger-service-tls", "redis-url"],
        "ledger-service" => vec!["edge-ledger-keys", "redis-url"],
        _ => vec!["redis-acl"],
    }
}

#[test]
fn each_pod_has_its_secrets_as_files_and_no_other() -> anyhow::Result<()> {
    for rendered in Rendered::all()? {
        assert_eq!(
            rendered.kind("Secret").count(),
            0,
            "secrets are no manifests"
        );
        for pod in rendered.pods() {
            let mut secrets = BTreeSet::new();
            for volume in list(pod.spec, "/volumes") {
                secrets.extend(secrets_of(volume));
            }
            let secrets: Vec<_> = secrets.into_iter().collect();
            assert_eq!(
                secrets,
                expected(pod.name, rendered.overlay),
                "{}",
                rendered.overlay
            );
            for variable in list(pod.container()?, "/env") {
                let from = &variable["valueFrom"];
                assert!(from.get("secretKeyRef").is_none(), "{variable}");
            }
            assert!(pod.container()?.get("envFrom").is_none());
        }
    }
    Ok(())
}

/// The Secrets of a volume, whose files are for the group of the pod alone.
fn secrets_of(volume: &Value) -> Vec<&str> {
    let mut names = Vec::new();
    if let Some(secret) = volume.get("secret") {
        assert_eq!(secret["defaultMode"], MODE, "{volume}");
        assert!(
            secret.get("items").is_none(),
            "keys that are added later are to be seen"
        );
        names.push(text(secret, "/secretName"));
    }
    if let Some(projected) = volume.get("projected") {
        assert_eq!(projected["defaultMode"], MODE, "{volume}");
        for source in list(projected, "/sources") {
            assert!(source["secret"].get("items").is_none(), "{source}");
            names.push(text(source, "/secret/name"));
        }
    }
    names
}

#[test]
fn what_is_mounted_is_there_and_what_is_there_is_mounted() -> anyhow::Result<()> {
    for rendered in Rendered::all()? {
        for pod in rendered.pods() {
            let mounts = list(pod.container()?, "/volumeMounts");
            let mounted: BTreeSet<&str> = mounts.iter().map(|of| text(of, "/name")).collect();
            let mut there: BTreeSet<&str> = list(pod.spec, "/volumes")
                .iter()
                .map(|of| text(of, "/name"))
                .collect();
            for claim in list(&pod.workload.0, "/spec/volumeClaimTemplates") {
                there.insert(text(claim, "/metadata/name"));
            }
            assert_eq!(mounted, there, "{}", pod.name);
            for mount in mounts {
                let writes = ["data", "tmp"].contains(&text(mount, "/name"));
                let expected = if writes { Value::Null } else { json!(true) };
                assert_eq!(mount["readOnly"], expected, "{mount}");
                // A file that is mounted by itself is never replaced.
                assert!(mount.get("subPath").is_none(), "{mount}");
            }
            assert_maps_exist(&rendered, &pod)?;
        }
    }
    Ok(())
}

/// The name has a hash of the content in it: other content starts other pods.
fn assert_maps_exist(rendered: &Rendered, pod: &Pod<'_>) -> anyhow::Result<()> {
    for volume in list(pod.spec, "/volumes") {
        let name = text(volume, "/configMap/name");
        if name.is_empty() {
            continue;
        }
        rendered.named("ConfigMap", name)?;
        let hash = name.strip_prefix(&format!("{}-", pod.name));
        assert!(hash.is_some_and(|hash| hash.len() == 10), "{name}");
    }
    Ok(())
}

#[test]
fn no_setting_holds_a_secret() -> anyhow::Result<()> {
    let settings = [
        edge_ledger_chassis::run::settings::<identity_service::Server>(),
        edge_ledger_chassis::run::settings::<ledger_service::Server>(),
    ]
    .concat();
    for rendered in Rendered::all()? {
        for pod in rendered.pods() {
            let environment = pod.environment()?;
            for setting in settings.iter().filter(|setting| setting.is_secret()) {
                assert!(
                    !environment.contains_key(&setting.variable()[..]),
                    "{}",
                    pod.name
                );
            }
        }
        for map in rendered.kind("ConfigMap") {
            assert!(!map.0.to_string().contains("redis://"), "{}", map.name());
        }
    }
    Ok(())
}
