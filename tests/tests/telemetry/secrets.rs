//! S-72, S-73: nothing secret is told, at whatever level, and what others write begins no line.

use super::collector::Collector;
use super::site::{Site, files, get};

const MEMO: &str = "CANARY-memo-4711";

/// What must not be told: memos, and the bytes of all keys in their usual spellings.
fn secrets(site: &Site) -> anyhow::Result<Vec<String>> {
    let mut secrets = vec![MEMO.to_owned()];
    let homes = ["phone", "kiosk"].map(|name| site.home(name));
    let mut all = files(&site.keys())?;
    for home in homes {
        all.extend(files(&home)?);
    }
    for file in all {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let is_secret = name.contains("key") || name.contains("token");
        if !is_secret || name.ends_with(".cert") {
            continue;
        }
        let bytes = std::fs::read(&file)?;
        for text in String::from_utf8_lossy(&bytes).split_whitespace() {
            secrets.extend((text.len() >= 32).then(|| text.to_owned()));
        }
        for part in bytes.windows(32).step_by(32) {
            secrets.push(part.iter().map(|byte| format!("{byte:02x}")).collect());
            secrets.push(format!("{part:?}").trim_matches(['[', ']']).to_owned());
        }
    }
    Ok(secrets)
}

#[tokio::test(flavor = "multi_thread")]
async fn s73_secrets_appear_nowhere() -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let mut site = Site::start(Some(&collector.url()), &[("log.level", "trace")]).await?;
    site.device("phone", &["init"])?;
    site.device("phone", &["earn", "5", "--memo", MEMO])?;
    let token = site.home("token");
    let token = token.to_str().unwrap();
    site.device("phone", &["enrol-token", "create", "--out", token])?;
    site.device("kiosk", &["join", "--token-file", token])?;
    site.device("kiosk", &["spend", "2", "--memo", MEMO])?;
    let mut told = String::new();
    for service in [site.identity(), site.ledger()] {
        told.push_str(&get(service, "/metrics")?.1);
    }
    let mut secrets = secrets(&site)?;
    secrets.push(std::fs::read_to_string(token)?.trim().to_owned());
    assert!(secrets.len() > 10, "{}", secrets.len());
    for service in [&mut site.cluster.identity, &mut site.cluster.ledger] {
        let ended = service.running.remove(0).drain()?;
        // S-72: each line is an object.
        for line in &ended.log {
            serde_json::from_str::<serde_json::Value>(line)?;
        }
        told.push_str(&ended.log.join("\n"));
    }
    assert!(told.contains("drained"), "the log was read");
    told.push_str(&collector.raw());
    assert!(told.contains("append_statement"), "the traces were read");
    for secret in secrets {
        let at = told.find(&secret);
        let around = at.map(|at| &told[at.saturating_sub(200)..at]);
        assert_eq!(around, None, "{secret:?} was told");
    }
    Ok(())
}
