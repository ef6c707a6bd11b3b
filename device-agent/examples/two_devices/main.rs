//! One identity on two devices: link, earn on one, see it on the other, spend there.
//!
//! Runs by itself: it starts a pair of services in this process first.

use std::path::Path;
use std::time::Duration;

use device_agent::testing::Pair;
use device_agent::{Agent, AgentError, Decided, Details, Level, NewDevice, Options, Trust, within};
use tokio::sync::oneshot;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let pair = Pair::start().await?;

    // The first device makes the identity. On loopback it may trust what answers.
    let phone = new_device(folder.path(), "phone", &pair.identity_url);
    device_agent::init(&phone, Trust::FirstUse).await?;
    let phone = Agent::open(&phone.home, Options::default()).await?;

    // It shows a link; the second device joins with it, and trusts only what the link names.
    let session = phone.link().await?;
    let invitation = session.link().parse()?;
    let laptop = new_device(folder.path(), "laptop", &pair.identity_url);
    let (shows, shown) = oneshot::channel();
    let joining = device_agent::join(&laptop, &invitation, Trust::FirstUse, |asks| {
        let _ = shows.send(asks.number());
    });
    // It shows a number, which a person types at the first one after seeing who asks.
    let linking = async {
        let request = session.request(false).await?;
        assert_eq!(request.joining().name, "laptop");
        request.approve(&shown.await.unwrap_or_default()).await
    };
    let (joined, linked) = tokio::join!(joining, linking);
    joined?;
    assert!(matches!(linked?, Decided::Linked(_)));
    let laptop = Agent::open(&laptop.home, Options::default()).await?;

    phone
        .earn(
            100,
            Details {
                memo: "first shift".to_owned(),
                ..Details::default()
            },
        )
        .await?;
    within(Duration::from_secs(5), phone.wait_acked(Level::Volatile)).await?;

    within(Duration::from_secs(5), laptop.sync()).await?;
    assert_eq!(laptop.balance().balance, 100);
    laptop.spend(30, Details::default()).await?;
    let refused = laptop.spend(1_000, Details::default()).await;
    assert!(matches!(
        refused,
        Err(AgentError::NoFunds { available: 70, .. })
    ));

    within(Duration::from_secs(5), laptop.sync()).await?;
    within(Duration::from_secs(5), phone.sync()).await?;
    assert_eq!(phone.balance().balance, 70);
    assert_eq!(phone.status().digest, laptop.status().digest);

    phone.stop().await;
    laptop.stop().await;
    Ok(())
}

fn new_device(folder: &Path, name: &str, identity_url: &str) -> NewDevice {
    NewDevice {
        home: folder.join(name),
        identity_urls: identity_url.into(),
        ledger_urls: None,
        name: name.to_owned(),
        security: device_agent::Security::default(),
    }
}
