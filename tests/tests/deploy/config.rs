//! What the manifests tell the services is what the services can be told: their own binaries say so.

use std::collections::BTreeSet;
use std::process::Command;

use edge_ledger_chassis::run::{Service, settings};

use crate::cluster::Laid;
use crate::object::list;
use crate::rendered::{APART, Rendered};
use crate::secrets;

/// No Redis is asked by a check.
const NO_PORT: u16 = 1;

fn names<S: Service>() -> BTreeSet<String> {
    let settings = settings::<S>().into_iter();
    settings.map(|setting| setting.variable()).collect()
}

#[test]
fn variables_are_settings_of_the_service() -> anyhow::Result<()> {
    for overlay in APART {
        let rendered = Rendered::of(overlay)?;
        for (service, known) in [
            ("identity-service", names::<identity_service::Server>()),
            ("ledger-service", names::<ledger_service::Server>()),
        ] {
            let pod = rendered.pod(service)?;
            for variable in list(pod.container()?, "/env") {
                let name = variable["name"].as_str().unwrap_or_default();
                if name.starts_with("EDGE_LEDGER") {
                    assert!(known.contains(name), "{service}: {name}");
                }
            }
        }
    }
    Ok(())
}

fn said(command: &mut Command) -> anyhow::Result<(Option<i32>, String)> {
    let output = command.output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8(text)?))
}

/// With the volumes as a cluster lays them out: links, files of a group, a sticky folder.
#[test]
fn a_service_finds_its_configuration_sound() -> anyhow::Result<()> {
    let secrets = secrets::made(NO_PORT)?;
    for overlay in APART {
        let rendered = Rendered::of(overlay)?;
        for service in ["identity-service", "ledger-service"] {
            let laid = Laid::out(&rendered, service, &secrets)?;
            let checked = said(laid.command(&[])?.args(["config", "check"]))?;
            assert_eq!(checked.0, Some(0), "{overlay}: {service}: {}", checked.1);
        }
    }
    Ok(())
}

/// A deployment without either of the components for it sends nothing in plain text.
#[test]
fn plain_text_is_not_what_happens_by_itself() -> anyhow::Result<()> {
    let secrets = secrets::made(NO_PORT)?;
    let rendered = Rendered::of("h2c")?;
    let laid = Laid::out(&rendered, "ledger-service", &secrets)?;
    let mut command = laid.command(&[])?;
    command.env_remove("EDGE_LEDGER__TLS__ACCEPT_PLAINTEXT");
    let checked = said(command.args(["config", "check"]))?;
    assert_eq!(checked.0, Some(1), "{}", checked.1);
    assert!(checked.1.contains("tls.certificate_file"), "{}", checked.1);
    Ok(())
}

/// The identity service alone gets what seals challenges.
#[test]
fn the_ledger_service_needs_no_sealing_key() -> anyhow::Result<()> {
    let mut secrets = secrets::made(NO_PORT)?;
    let sealing = secrets.get_mut("edge-ledger-sealing");
    sealing
        .into_iter()
        .for_each(std::collections::BTreeMap::clear);
    let rendered = Rendered::of("redis")?;
    for (service, expected) in [("ledger-service", Some(0)), ("identity-service", Some(1))] {
        let laid = Laid::out(&rendered, service, &secrets)?;
        let checked = said(laid.command(&[])?.args(["config", "check"]))?;
        assert_eq!(checked.0, expected, "{service}: {}", checked.1);
    }
    Ok(())
}
