//! One act is one trace, from the device through each service to its store.

use super::collector::{Collector, Seen};
use super::site::Site;

/// The span of that name, and where it is.
fn named<'a>(spans: &'a [Seen], service: &str, name: &str) -> Vec<&'a Seen> {
    let fits = |span: &&Seen| span.service == service && span.name == name;
    spans.iter().filter(fits).collect()
}

/// A span of that service and name below another, however deep.
fn below(spans: &[Seen], above: &Seen, service: &str, name: &str) -> Option<Seen> {
    let found = named(spans, service, name).into_iter().find(|span| {
        let mut parent = span.parent.clone();
        loop {
            if parent == above.id {
                return span.trace == above.trace;
            }
            match spans.iter().find(|other| other.id == parent) {
                Some(next) => parent = next.parent.clone(),
                None => return false,
            }
        }
    });
    found.cloned()
}

const REGISTER: &str = "edgeledger.identity.v1.IdentityService/Register";
/// What an identity service says in a call.
const APPENDED: &str = "statement appended";
const SYNC: &str = "edgeledger.ledger.v1.LedgerService/Sync";

#[tokio::test(flavor = "multi_thread")]
async fn an_act_is_one_trace_from_the_device_to_the_store() -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let site = Site::start(Some(&collector.url()), &[]).await?;
    site.device("phone", &["init"])?;
    site.device("phone", &["earn", "5"])?;

    // Device → identity service → store.
    let look = |collector: &Collector| {
        let spans = collector.spans();
        let call = named(&spans, "edge-ledger-agent", REGISTER)
            .first()
            .copied()?
            .clone();
        let served = below(&spans, &call, "identity-service", REGISTER)?;
        let stored = below(&spans, &served, "identity-service", "append_statement")?;
        Some((call, served, stored))
    };
    let (call, served, stored) = collector.wait_for("the trace of init", look).await?;
    assert_eq!(served.parent, call.id);
    assert_eq!(served.attributes["rpc.system.name"], "grpc");
    assert_eq!(served.attributes["rpc.method"], REGISTER);
    assert_eq!(served.attributes["rpc.response.status_code"], "OK");
    assert_eq!(stored.attributes["db.system.name"], "redis");
    assert_eq!(stored.attributes["db.operation.name"], "append_statement");

    // Application → device → ledger service → store, inside a stream that was open before.
    let look = |collector: &Collector| {
        let spans = collector.spans();
        let earned = named(&spans, "edge-ledger-agent", "earn")
            .first()
            .copied()?
            .clone();
        let sent = below(&spans, &earned, "edge-ledger-agent", "send")?;
        let merged = below(&spans, &sent, "ledger-service", "merge")?;
        let stored = below(&spans, &merged, "ledger-service", "append")?;
        let stream = named(&spans, "ledger-service", SYNC);
        let stream: Vec<_> = stream.into_iter().map(|span| span.id.clone()).collect();
        Some((merged, stored, stream))
    };
    let (merged, stored, streams) = collector.wait_for("the trace of earn", look).await?;
    assert_eq!(stored.attributes["db.system.name"], "redis");
    // The span of the stream has ended long before, and is not above it but linked.
    assert!(
        merged.links.iter().all(|link| streams.contains(link)),
        "{merged:?}"
    );
    assert_eq!(merged.links.len(), 1, "{merged:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_a_log_name_the_trace_that_they_belong_to() -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let mut site = Site::start(Some(&collector.url()), &[]).await?;
    site.device("phone", &["init"])?;
    let line = site.cluster.identity.running[0].wait_for(APPENDED)?;
    let (trace, span) = (line["trace_id"].as_str(), line["span_id"].as_str());
    let (trace, span) = (trace.unwrap().to_owned(), span.unwrap().to_owned());
    assert_eq!((trace.len(), span.len()), (32, 16), "{line}");
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    // The same line and its trace are with the collector.
    let look = |collector: &Collector| {
        let lines = collector.lines();
        let is_there = lines
            .iter()
            .any(|(of, said)| hex(of) == trace && said == APPENDED);
        let has_trace = collector.spans().iter().any(|of| hex(&of.trace) == trace);
        (is_there && has_trace).then_some(())
    };
    collector.wait_for("the line", look).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_sent_by_the_names_of_the_page() -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let site = Site::start(Some(&collector.url()), &[]).await?;
    site.device("phone", &["init"])?;
    site.device("phone", &["earn", "5"])?;
    for name in [
        "rpc.server.call.duration",
        "rpc.client.call.duration",
        "db.client.operation.duration",
        "ledger.entry.kept",
        "ledger.session.active",
        "agent.link.path",
    ] {
        let look = |collector: &Collector| {
            collector
                .metrics()
                .iter()
                .any(|of| of == name)
                .then_some(())
        };
        collector.wait_for(name, look).await?;
    }
    Ok(())
}
