//! The gateway: one name for each service from the listener to the certificate and the setting, and
//! routes to ports that are there.

use serde_json::{Value, json};

use crate::object::{list, text};
use crate::rendered::{APART, Rendered};

const SERVICES: [&str; 2] = ["identity-service", "ledger-service"];

#[test]
fn devices_the_gateway_and_the_services_have_one_name_for_each() -> anyhow::Result<()> {
    for overlay in APART {
        let rendered = Rendered::of(overlay)?;
        let gateway = rendered.named("Gateway", "edge-ledger")?;
        let certificate = rendered.named("Certificate", "edge-ledger-gateway")?;
        let mut hosts = Vec::new();
        for (listener, service) in list(&gateway.0, "/spec/listeners").iter().zip(SERVICES) {
            let host = text(listener, "/hostname");
            let port = listener["port"].as_u64();
            assert_eq!(port, Some(443));
            hosts.push(host);
            let route = rendered.named("GRPCRoute", service)?;
            assert_eq!(*route.at("/spec/hostnames"), json!([host]));
            let parent = json!([{"name": "edge-ledger", "sectionName": listener["name"]}]);
            assert_eq!(*route.at("/spec/parentRefs"), parent);
            let environment = rendered.pod(service)?.environment()?;
            let audience = format!("{host}:443");
            assert_eq!(environment["EDGE_LEDGER__SERVER__AUDIENCES"], audience);
            if service == "ledger-service" {
                let identity = rendered.pod("identity-service")?.environment()?;
                let urls = identity["EDGE_LEDGER__IDENTITY__LEDGER_URLS"];
                assert_eq!(urls, format!("https://{audience}"));
            }
            let secret = text(&certificate.0, "/spec/secretName");
            let tls = json!({"mode": "Terminate", "certificateRefs": [{"kind": "Secret", "name": secret}]});
            assert_eq!(listener["tls"], tls);
        }
        assert_eq!(*certificate.at("/spec/dnsNames"), json!(hosts));
        assert_eq!(hosts, ["identity.example.org", "ledger.example.org"]);
    }
    Ok(())
}

#[test]
fn routes_lead_to_ports_that_are_there() -> anyhow::Result<()> {
    for overlay in APART {
        let rendered = Rendered::of(overlay)?;
        for service in SERVICES {
            let route = rendered.named("GRPCRoute", service)?;
            let port = rendered
                .named("Service", service)?
                .at("/spec/ports/0")
                .clone();
            let backends = json!([{"name": service, "port": port["port"]}]);
            assert_eq!(*route.at("/spec/rules"), json!([{"backendRefs": backends}]));
            // What goes on in plain text is told so.
            let expected = match overlay {
                "h2c" => json!("kubernetes.io/h2c"),
                _ => Value::Null,
            };
            assert_eq!(port["appProtocol"], expected, "{overlay}");
        }
    }
    Ok(())
}

/// The certificate that the gateway asks for is the one that the service shows.
#[test]
fn certificates_are_for_who_shows_them() -> anyhow::Result<()> {
    for overlay in ["ha", "redis"] {
        let rendered = Rendered::of(overlay)?;
        let authority = rendered.named("Issuer", "edge-ledger-ca")?;
        let own = rendered.named("Certificate", "edge-ledger-ca")?;
        assert_eq!(
            own.at("/spec/secretName"),
            authority.at("/spec/ca/secretName")
        );
        for service in SERVICES {
            let certificate = rendered.named("Certificate", service)?;
            let name = format!("{service}.edge-ledger.svc");
            assert_eq!(*certificate.at("/spec/dnsNames"), json!([name]));
            assert_eq!(*certificate.at("/spec/issuerRef/name"), "edge-ledger-ca");
            let policy = rendered.named("BackendTLSPolicy", service)?;
            assert_eq!(*policy.at("/spec/targetRefs/0/name"), *service);
            assert_eq!(*policy.at("/spec/validation/hostname"), *name);
            let shown = json!(format!("{service}-tls"));
            assert_eq!(*certificate.at("/spec/secretName"), shown);
            let volumes = list(rendered.pod(service)?.spec, "/volumes");
            assert!(volumes.iter().any(|of| of["secret"]["secretName"] == shown));
        }
    }
    let embedded = Rendered::of("embedded")?;
    let certificate = embedded.named("Certificate", "edge-ledger")?;
    let host = embedded.pod("edge-ledger")?.environment()?["SITE_HOST"];
    assert_eq!(*certificate.at("/spec/dnsNames"), json!([host]));
    assert_eq!(host, "edge-ledger.example.org");
    Ok(())
}

/// Who would wait for a renewal that comes too late has one that ends.
#[test]
fn certificates_are_renewed_long_before_they_end() -> anyhow::Result<()> {
    for rendered in Rendered::all()? {
        for certificate in rendered.kind("Certificate") {
            let hours = |name: &str| {
                let text = text(&certificate.0, name).strip_suffix('h');
                text.and_then(|hours| hours.parse::<u64>().ok())
            };
            let (lasts, before) = (hours("/spec/duration"), hours("/spec/renewBefore"));
            assert_eq!(lasts.is_some(), before.is_some());
            assert!(
                lasts
                    .zip(before)
                    .is_none_or(|(lasts, before)| lasts > 2 * before)
            );
        }
    }
    Ok(())
}
