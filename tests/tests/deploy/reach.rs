//! Who reaches whom: the network policies of each overlay, taken together, allow the paths that are
//! named here, and no other.

use std::collections::BTreeSet;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::object::{Object, Pod, at, labels, list, selects};
use crate::rendered::Rendered;

/// Names that whoever is dialled goes by.
const DNS: &str = "kubernetes.io/metadata.name=kube-system k8s-app=kube-dns";
const COLLECTOR: &str = "edge-ledger/collector=true";
const MONITORING: &str = "edge-ledger/monitoring=true";
const GATEWAY: &str = "edge-ledger/gateway=true";
const REDIS: &str = "edge-ledger/redis=true";

/// Paths of an overlay, as `FROM -> TO:PORT`.
type Paths = BTreeSet<String>;

/// What pods may be reached by, and what they may reach.
#[derive(Debug, PartialEq, Eq, Default)]
struct Reach {
    ingress: Paths,
    egress: Paths,
}

impl Reach {
    /// What every pod that serves devices may, and the Redis of no overlay.
    fn of_services(pods: &[&str]) -> Self {
        let mut this = Self::default();
        for pod in pods {
            this.ingress(MONITORING, pod, "9464/TCP");
            this.egress(pod, COLLECTOR, "4317/TCP");
            this.egress(pod, DNS, "53/UDP");
            this.egress(pod, DNS, "53/TCP");
        }
        this
    }

    /// The services apart, behind a gateway.
    fn apart() -> Self {
        let mut this = Self::of_services(&["identity-service", "ledger-service"]);
        this.ingress(GATEWAY, "identity-service", "7410/TCP");
        this.ingress(GATEWAY, "ledger-service", "7420/TCP");
        this
    }

    /// With the Redis of the namespace.
    fn with_redis_inside() -> Self {
        let mut this = Self::apart();
        for pod in ["identity-service", "ledger-service"] {
            this.egress(pod, "redis", "6379/TCP");
            this.ingress(pod, "redis", "6379/TCP");
        }
        this
    }

    fn ingress(&mut self, from: &str, to: &str, port: &str) {
        self.ingress.insert(path(from, to, port));
    }

    fn egress(&mut self, from: &str, to: &str, port: &str) {
        self.egress.insert(path(from, to, port));
    }
}

fn path(from: &str, to: &str, port: &str) -> String {
    format!("{from} -> {to}:{port}")
}

#[test]
fn policies_allow_the_paths_that_are_needed_and_no_other() -> anyhow::Result<()> {
    let mut embedded = Reach::of_services(&["edge-ledger"]);
    embedded.ingress("anywhere", "edge-ledger", "7410/TCP");
    embedded.ingress("anywhere", "edge-ledger", "7420/TCP");
    let mut ha = Reach::apart();
    for pod in ["identity-service", "ledger-service"] {
        ha.egress(pod, REDIS, "6379/TCP");
    }
    for (overlay, expected) in [
        ("embedded", embedded),
        ("ha", ha),
        ("redis", Reach::with_redis_inside()),
        ("h2c", Reach::with_redis_inside()),
    ] {
        assert_eq!(reach(&Rendered::of(overlay)?)?, expected, "{overlay}");
    }
    Ok(())
}

#[test]
fn who_is_not_named_reaches_nobody() -> anyhow::Result<()> {
    for rendered in Rendered::all()? {
        let deny = rendered.named("NetworkPolicy", "default-deny")?;
        let everybody = json!({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]});
        assert_eq!(*deny.at("/spec"), everybody, "{}", rendered.overlay);
    }
    Ok(())
}

/// The paths of all policies together: each adds to what the others allow.
fn reach(rendered: &Rendered) -> anyhow::Result<Reach> {
    let mut reach = Reach::default();
    for policy in rendered.kind("NetworkPolicy") {
        let name = policy.name();
        let types = policy.at("/spec/policyTypes");
        let is = |of: &str| {
            types
                .as_array()
                .is_some_and(|types| types.contains(&json!(of)))
        };
        for (rules, of) in [("ingress", "Ingress"), ("egress", "Egress")] {
            // Rules of a type that is not named have no effect.
            assert!(policy.at("/spec").get(rules).is_none() || is(of), "{name}");
        }
        let mut selects_any = false;
        for pod in rendered.pods() {
            if !selects(policy.at("/spec/podSelector"), &pod.labels())? {
                continue;
            }
            selects_any = true;
            for rule in list(&policy.0, "/spec/ingress") {
                reach.ingress.extend(incoming(rendered, &pod, rule)?);
            }
            for rule in list(&policy.0, "/spec/egress") {
                reach.egress.extend(outgoing(rendered, &pod, rule)?);
            }
        }
        anyhow::ensure!(selects_any, "{name} selects no pod of {}", rendered.overlay);
    }
    Ok(reach)
}

fn incoming(rendered: &Rendered, pod: &Pod<'_>, rule: &Value) -> anyhow::Result<Vec<String>> {
    let mut paths = Vec::new();
    for port in ports(rule)? {
        let number = with_protocol(pod.port(&port["port"])?, port)?;
        let Some(peers) = rule.get("from") else {
            paths.push(path("anywhere", pod.name, &number));
            continue;
        };
        for peer in peers.as_array().context("no list")? {
            for who in who(rendered, peer)? {
                paths.push(path(who.name(), pod.name, &number));
            }
        }
    }
    Ok(paths)
}

fn outgoing(rendered: &Rendered, pod: &Pod<'_>, rule: &Value) -> anyhow::Result<Vec<String>> {
    let mut paths = Vec::new();
    for port in ports(rule)? {
        for peer in rule["to"].as_array().context("to anywhere")? {
            for who in who(rendered, peer)? {
                // A name is that of a port of whoever is dialled.
                let number = match &who {
                    Who::Pod(pod) => pod.port(&port["port"])?,
                    Who::Elsewhere(_) => port["port"].as_u64().context("no number")?,
                };
                paths.push(path(pod.name, who.name(), &with_protocol(number, port)?));
            }
        }
    }
    Ok(paths)
}

/// The ports of a rule, which has some: without any it would be all of them.
fn ports(rule: &Value) -> anyhow::Result<&[Value]> {
    let ports = list(rule, "/ports");
    anyhow::ensure!(!ports.is_empty(), "every port: {rule}");
    anyhow::ensure!(ports.iter().all(|port| port.get("endPort").is_none()));
    Ok(ports)
}

fn with_protocol(number: u64, port: &Value) -> anyhow::Result<String> {
    let protocol = port["protocol"].as_str().context("no protocol")?;
    Ok(format!("{number}/{protocol}"))
}

/// One side of a path.
enum Who<'a> {
    Pod(Pod<'a>),
    /// Labels of namespaces, and of pods in them.
    Elsewhere(String),
}

impl Who<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Pod(pod) => pod.name,
            Self::Elsewhere(labels) => labels,
        }
    }
}

fn who<'a>(rendered: &'a Rendered, peer: &Value) -> anyhow::Result<Vec<Who<'a>>> {
    anyhow::ensure!(peer.get("ipBlock").is_none(), "addresses: {peer}");
    let Some(namespaces) = peer.get("namespaceSelector") else {
        let mut pods = Vec::new();
        for pod in rendered.pods() {
            if selects(&peer["podSelector"], &pod.labels())? {
                pods.push(Who::Pod(pod));
            }
        }
        anyhow::ensure!(!pods.is_empty(), "nobody: {peer}");
        return Ok(pods);
    };
    let mut all = Vec::new();
    for selector in [namespaces, at(peer, "/podSelector")] {
        anyhow::ensure!(selector.get("matchExpressions").is_none(), "{selector}");
        let labels = labels(at(selector, "/matchLabels"));
        all.extend(
            labels
                .into_iter()
                .map(|(key, value)| format!("{key}={value}")),
        );
    }
    anyhow::ensure!(!all.is_empty(), "everybody: {peer}");
    Ok(vec![Who::Elsewhere(all.join(" "))])
}

/// A policy that was turned into something wider is seen.
#[test]
fn a_wider_policy_is_another_path() -> anyhow::Result<()> {
    let widen = |change: fn(&mut Value)| -> anyhow::Result<anyhow::Result<Reach>> {
        let mut rendered = Rendered::of("redis")?;
        for object in &mut rendered.objects {
            let Object(value) = object;
            if value["metadata"]["name"] == "redis-from-services" {
                change(&mut value["spec"]);
            }
        }
        Ok(reach(&rendered))
    };
    let expected = Reach::with_redis_inside();
    assert_eq!(widen(|_| ())??, expected);
    let everybody = widen(|spec| spec["ingress"][0]["from"] = json!([{"podSelector": {}}]))??;
    assert!(everybody.ingress.contains("redis -> redis:6379/TCP"));
    let anywhere = widen(|spec| {
        spec["ingress"][0]
            .as_object_mut()
            .map(|rule| rule.remove("from"));
    })??;
    assert!(anywhere.ingress.contains("anywhere -> redis:6379/TCP"));
    let every_pod = widen(|spec| spec["podSelector"] = json!({}))?;
    assert!(every_pod.is_err_and(|error| error.to_string().contains("no port")));
    let every_port = widen(|spec| {
        spec["ingress"][0]
            .as_object_mut()
            .map(|rule| rule.remove("ports"));
    })?;
    assert!(every_port.is_err());
    Ok(())
}
