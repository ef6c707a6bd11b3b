//! A pod that is told to end has the time for it.

use std::fs;

use edge_ledger_chassis::limits::EXIT_WITHIN;

use crate::object::{at, seconds, text};
use crate::rendered::{Rendered, root};

/// Time to spare before SIGKILL, for a node that is busy.
const SPARE: u64 = 5;

#[test]
fn what_happens_before_the_end_fits_into_the_grace_period() -> anyhow::Result<()> {
    for rendered in Rendered::all()? {
        for pod in rendered.pods() {
            let grace = at(pod.spec, "/terminationGracePeriodSeconds").as_u64();
            let pause = at(pod.container()?, "/lifecycle/preStop/sleep/seconds").as_u64();
            // Redis is asked by the services, which come back to it by themselves.
            let expected = if pod.name == "redis" { None } else { Some(5) };
            assert_eq!(pause, expected, "{}", pod.name);
            let needed = pause.unwrap_or(0) + EXIT_WITHIN.as_secs() + SPARE;
            assert!(grace >= Some(needed), "{}: {grace:?} < {needed}", pod.name);
        }
    }
    Ok(())
}

/// A gateway that still sends streams is answered: the pause is longer than what a readiness probe
/// takes to be heard of.
#[test]
fn a_start_is_waited_for_as_long_as_the_service_waits_for_its_store() -> anyhow::Result<()> {
    for file in ["identity.toml", "ledger.toml"] {
        let path = root().join("deploy/kubernetes/workloads/redis").join(file);
        let text_of_file = fs::read_to_string(path)?;
        let load = setting(&text_of_file, "load_timeout");
        let drain = setting(&text_of_file, "grace");
        assert!(seconds(drain)? <= EXIT_WITHIN.as_secs());
        let rendered = Rendered::of("redis")?;
        for deployment in rendered.kind("Deployment") {
            let container = at(&deployment.0, "/spec/template/spec/containers/0");
            let probe = at(container, "/startupProbe");
            let number = |name: &str| at(probe, name).as_u64().unwrap_or(0);
            let waits = number("/periodSeconds") * number("/failureThreshold");
            assert!(
                waits > seconds(load)?,
                "{}",
                text(&deployment.0, "/metadata/name")
            );
        }
    }
    Ok(())
}

fn setting<'a>(file: &'a str, name: &str) -> &'a str {
    let mut lines = file.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "));
    value.unwrap_or_default().trim_matches('"')
}
