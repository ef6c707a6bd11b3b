//! Pods ask for no more than they need, are found by who looks for them, and say how they are at
//! ports that they have.

use edge_ledger_telemetry::names::LEDGER_SESSION_ACTIVE;
use serde_json::{Value, json};

use crate::object::{Object, Pod, at, labels, list, selects, text};
use crate::rendered::{APART, Rendered};

/// How a pod is looked at.
const PROBES: [&str; 3] = ["/startupProbe", "/readinessProbe", "/livenessProbe"];
const NAME: &str = "app.kubernetes.io/name";
const INSTANCE: &str = "app.kubernetes.io/instance";

#[test]
fn pods_are_restricted() -> anyhow::Result<()> {
    for rendered in Rendered::all()? {
        let namespace = rendered.named("Namespace", "edge-ledger")?;
        let level = namespace.at("/metadata/labels")["pod-security.kubernetes.io/enforce"].clone();
        assert_eq!(level, "restricted");
        for pod in rendered.pods() {
            assert_restricted(&pod);
        }
        assert_eq!(
            rendered.pods().count(),
            rendered.kind("ServiceAccount").count()
        );
    }
    Ok(())
}

fn assert_restricted(pod: &Pod<'_>) {
    let name = pod.name;
    let security = at(pod.spec, "/securityContext");
    assert_eq!(security["runAsNonRoot"], true, "{name}");
    for id in ["runAsUser", "runAsGroup", "fsGroup"] {
        assert!(
            security[id].as_u64().is_some_and(|id| id >= 10_000),
            "{name}: {id}"
        );
    }
    assert_eq!(
        security["seccompProfile"],
        json!({"type": "RuntimeDefault"}),
        "{name}"
    );
    assert_eq!(pod.spec["enableServiceLinks"], false, "{name}");
    assert_eq!(pod.spec["automountServiceAccountToken"], false, "{name}");
    assert_eq!(pod.spec["serviceAccountName"], name);
    for other in [
        "initContainers",
        "ephemeralContainers",
        "hostNetwork",
        "hostPID",
        "hostIPC",
    ] {
        assert!(pod.spec.get(other).is_none(), "{name}: {other}");
    }
    for container in pod.containers() {
        let expected = json!({
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        });
        assert_eq!(container["securityContext"], expected, "{name}");
        let resources = &container["resources"];
        let (requests, limits) = (&resources["requests"], &resources["limits"]);
        assert!(requests["cpu"].is_string(), "{name}");
        assert!(requests["memory"].is_string(), "{name}");
        assert_eq!(*limits, json!({"memory": requests["memory"]}), "{name}");
    }
}

#[test]
fn accounts_have_no_token() -> anyhow::Result<()> {
    for rendered in Rendered::all()? {
        for pod in rendered.pods() {
            let account = rendered.named("ServiceAccount", pod.name)?;
            assert_eq!(account.0["automountServiceAccountToken"], false);
        }
        for kind in ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"] {
            assert_eq!(rendered.kind(kind).count(), 0, "{kind}");
        }
    }
    Ok(())
}

/// What is looked at for its metrics and its health.
#[test]
fn probes_ask_ports_that_are_there() -> anyhow::Result<()> {
    for rendered in Rendered::all()? {
        for pod in rendered.pods() {
            let container = pod.container()?;
            for probe in PROBES {
                let probe = at(container, probe);
                let is_redis = pod.name == "redis";
                let how = if is_redis { "tcpSocket" } else { "httpGet" };
                let port = pod.port(&probe[how]["port"])?;
                assert_eq!(port, if is_redis { 6379 } else { 9464 });
            }
            if pod.name != "redis" {
                let paths = PROBES.map(|probe| text(container, &format!("{probe}/httpGet/path")));
                assert_eq!(paths, ["/livez", "/readyz", "/livez"]);
                assert_eq!(admin(&pod)?, "0.0.0.0:9464");
            }
        }
        let monitor = rendered.named("PodMonitor", "edge-ledger")?;
        let selector = monitor.at("/spec/selector");
        for pod in rendered.pods() {
            let is_watched = selects(selector, &pod.labels())?;
            assert_eq!(is_watched, pod.name != "redis", "{}", pod.name);
            for endpoint in list(&monitor.0, "/spec/podMetricsEndpoints") {
                if is_watched {
                    assert_eq!(pod.port(&endpoint["port"])?, 9464);
                    assert_eq!(endpoint["path"], "/metrics");
                }
            }
        }
    }
    Ok(())
}

/// Where a pod is told to serve its health and metrics.
fn admin<'a>(pod: &Pod<'a>) -> anyhow::Result<&'a str> {
    let environment = pod.environment()?;
    if let Some(address) = environment.get("EDGE_LEDGER__ADMIN__LISTEN") {
        return Ok(address);
    }
    let args = list(pod.container()?, "/args");
    let option = args.iter().position(|arg| *arg == "--admin-listen");
    let address = option.and_then(|place| args.get(place + 1)?.as_str());
    Ok(address.unwrap_or_default())
}

#[test]
fn selectors_select_the_pods_that_they_are_for() -> anyhow::Result<()> {
    for rendered in Rendered::all()? {
        for workload in rendered.workloads() {
            let selector = workload.at("/spec/selector");
            assert_by_name(&labels(&selector["matchLabels"]), workload.name());
            assert_selects_one(&rendered, selector, workload.name())?;
            for spread in list(&workload.0, "/spec/template/spec/topologySpreadConstraints") {
                assert_eq!(spread["labelSelector"], *selector);
            }
        }
        for service in rendered.kind("Service") {
            let selector = service.at("/spec/selector");
            let workload = service.name().trim_end_matches("-pod");
            assert_by_name(&labels(selector), workload);
            assert_selects_one(&rendered, &json!({"matchLabels": selector}), workload)?;
            let pod = rendered.pod(workload)?;
            for port in list(&service.0, "/spec/ports") {
                let target = pod.port(&port["targetPort"])?;
                assert_eq!(
                    port["port"], target,
                    "devices and routes dial the pod's own number"
                );
            }
        }
        for budget in rendered.kind("PodDisruptionBudget") {
            let selector = budget.at("/spec/selector");
            assert_by_name(&labels(&selector["matchLabels"]), budget.name());
            assert_selects_one(&rendered, selector, budget.name())?;
        }
    }
    Ok(())
}

/// Labels that may be written anew, such as the version, select nothing.
fn assert_by_name(selector: &crate::object::Labels, name: &str) {
    let expected = [(NAME, name), (INSTANCE, "edge-ledger")];
    let mut expected: Vec<_> = expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    expected.sort();
    let selector: Vec<_> = selector.clone().into_iter().collect();
    assert_eq!(selector, expected);
}

fn assert_selects_one(rendered: &Rendered, selector: &Value, name: &str) -> anyhow::Result<()> {
    for pod in rendered.pods() {
        let is_selected = selects(selector, &pod.labels())?;
        assert_eq!(is_selected, pod.name == name, "{}", rendered.overlay);
    }
    rendered.pod(name).map(drop)
}

#[test]
fn objects_say_what_they_belong_to() -> anyhow::Result<()> {
    for rendered in Rendered::all()? {
        for object in &rendered.objects {
            let name = format!("{} {}", object.kind(), object.name());
            if object.kind() == "Namespace" {
                continue;
            }
            assert_eq!(object.at("/metadata/namespace"), "edge-ledger", "{name}");
            if object.kind() != "ConfigMap" {
                let labels = object.at("/metadata/labels");
                assert_eq!(labels["app.kubernetes.io/part-of"], "edge-ledger", "{name}");
            }
        }
        for pod in rendered.pods() {
            let labels = pod.labels();
            for label in ["name", "instance", "component", "part-of"] {
                let label = format!("app.kubernetes.io/{label}");
                assert!(labels.contains_key(&label), "{}: {label}", pod.name);
            }
        }
    }
    Ok(())
}

#[test]
fn services_are_replicated_and_spread() -> anyhow::Result<()> {
    for overlay in APART {
        let rendered = Rendered::of(overlay)?;
        let is_ha = overlay == "ha";
        assert_eq!(rendered.kind("Deployment").count(), 2);
        for deployment in rendered.kind("Deployment") {
            let name = deployment.name();
            let strategy = deployment.at("/spec/strategy/rollingUpdate");
            assert_eq!(*strategy, json!({"maxSurge": 1, "maxUnavailable": 0}));
            // An apply would put the number back that the autoscaler changed.
            assert!(deployment.at("/spec/replicas").is_null(), "{name}");
            assert_scales(rendered.named("HorizontalPodAutoscaler", name)?, is_ha);
            let budget = rendered.named("PodDisruptionBudget", name)?;
            assert_eq!(*budget.at("/spec/maxUnavailable"), 1);
            assert_eq!(
                *budget.at("/spec/unhealthyPodEvictionPolicy"),
                "AlwaysAllow"
            );
            let spread = list(
                &deployment.0,
                "/spec/template/spec/topologySpreadConstraints",
            );
            let spread = spread.iter().map(|of| {
                assert_eq!(of["matchLabelKeys"], json!(["pod-template-hash"]));
                (text(of, "/topologyKey"), text(of, "/whenUnsatisfiable"))
            });
            let zones = if is_ha {
                "DoNotSchedule"
            } else {
                "ScheduleAnyway"
            };
            let expected = [
                ("topology.kubernetes.io/zone", zones),
                ("kubernetes.io/hostname", "ScheduleAnyway"),
            ];
            assert_eq!(spread.collect::<Vec<_>>(), expected);
        }
    }
    Ok(())
}

fn assert_scales(scaler: &Object, is_ha: bool) {
    let name = scaler.name();
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": name});
    assert_eq!(*scaler.at("/spec/scaleTargetRef"), target);
    assert_eq!(*scaler.at("/spec/minReplicas"), if is_ha { 3 } else { 2 });
    let metrics = list(&scaler.0, "/spec/metrics").iter();
    let metrics: Vec<_> = metrics
        .map(|metric| match text(metric, "/type") {
            "Pods" => text(metric, "/pods/metric/name"),
            _ => text(metric, "/resource/name"),
        })
        .collect();
    let expected = match name {
        "ledger-service" => vec!["cpu".to_owned(), LEDGER_SESSION_ACTIVE.prometheus()],
        _ => vec!["cpu".to_owned()],
    };
    assert_eq!(metrics, expected);
    // Streams stay where they are for as long as a connection may.
    let age = edge_ledger_chassis::limits::CONNECTION_AGE.as_secs();
    let waits = scaler.at("/spec/behavior/scaleDown/stabilizationWindowSeconds");
    assert!(waits.as_u64() >= Some(age), "{waits}");
}

/// One process owns the file of the embedded store, and one Redis is the ledger.
#[test]
fn whoever_keeps_the_data_is_one_pod_with_a_claim() -> anyhow::Result<()> {
    for rendered in Rendered::all()? {
        for set in rendered.kind("StatefulSet") {
            assert_eq!(*set.at("/spec/replicas"), 1);
            rendered.named("Service", text(&set.0, "/spec/serviceName"))?;
            let kept = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
            assert_eq!(*set.at("/spec/persistentVolumeClaimRetentionPolicy"), kept);
            let claims = list(&set.0, "/spec/volumeClaimTemplates");
            assert_eq!(claims.len(), 1);
            assert_eq!(claims[0]["spec"]["accessModes"], json!(["ReadWriteOnce"]));
        }
    }
    Ok(())
}
