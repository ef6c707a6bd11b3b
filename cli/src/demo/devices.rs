//! The two devices, and what they do.

use std::time::Duration;

use device_agent::{
    Agent, Decided, Details, Invitation, Level, NewDevice, Options, Path, State, Status, Trust,
    init, join,
};

use tokio::sync::oneshot;

use crate::explain::Failure;

/// How often a device is looked at until it is as it shall be.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Two devices of one identity.
pub(super) struct Devices {
    pub(super) first: Agent,
    pub(super) second: Agent,
}

/// Makes an identity.
pub(super) async fn first(folder: &std::path::Path, identity_url: &str) -> Result<Agent, Failure> {
    let new = new_device(folder, "first", identity_url);
    init(&new, Trust::FirstUse).await?;
    online(&new).await
}

/// Joins the identity with the link that the first device shows.
pub(super) async fn second(
    folder: &std::path::Path,
    identity_url: &str,
    first: &Agent,
) -> Result<Agent, Failure> {
    let session = first.link().await?;
    let invitation: Invitation = session.link().parse()?;
    let new = new_device(folder, "second", identity_url);
    // The link names the deployment; a code of another one would be refused.
    let (shows, shown) = oneshot::channel();
    let joining = join(&new, &invitation, Trust::FirstUse, |asks| {
        let _ = shows.send(asks.number());
    });
    // What a person would do, who sees both.
    let linking = async {
        let request = session.request(false).await?;
        request.approve(&shown.await.unwrap_or_default()).await
    };
    let (joined, linked) = tokio::join!(joining, linking);
    let joined = joined?;
    if !matches!(linked?, Decided::Linked(linked) if linked.device == joined.device) {
        return Err(unexpected(
            "another device was linked than the one that joined",
        ));
    }
    online(&new).await
}

fn new_device(folder: &std::path::Path, name: &str, identity_url: &str) -> NewDevice {
    NewDevice {
        home: folder.join(name),
        identity_urls: identity_url.into(),
        ledger_urls: None,
        name: name.to_owned(),
        security: device_agent::Security::default(),
    }
}

async fn online(new: &NewDevice) -> Result<Agent, Failure> {
    let agent = Agent::open(&new.home, Options::default()).await?;
    agent.sync().await?;
    Ok(agent)
}

fn unexpected(what: impl Into<String>) -> Failure {
    Failure::refused("DEMO", what)
}

/// Waits until a device is as it shall be; whoever waits has a limit.
async fn until(agent: &Agent, holds: impl Fn(&Status) -> bool) {
    while !holds(&agent.status()) {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl Devices {
    pub(super) async fn earn_and_see(&self, amount: u64) -> Result<(), Failure> {
        let before = self.second.balance().balance;
        self.first.earn(amount, memo("earned on the first")).await?;
        until(&self.second, |s| {
            s.balance.balance == before + i128::from(amount)
        })
        .await;
        Ok(())
    }

    /// Both spend in the same moment, and both come to the same balance.
    pub(super) async fn spend_at_once(&self, amount: u64, expected: i128) -> Result<(), Failure> {
        let (one, other) = tokio::join!(
            self.first.spend(amount, memo("spent on the first")),
            self.second.spend(amount, memo("spent on the second")),
        );
        one?;
        other?;
        let there = |s: &Status| s.balance.balance == expected;
        tokio::join!(until(&self.first, there), until(&self.second, there));
        Ok(())
    }

    pub(super) async fn are_offline(&self) {
        let offline = |s: &Status| s.state == State::Offline;
        tokio::join!(until(&self.first, offline), until(&self.second, offline));
    }

    /// Until the two have let each other in, and the service is what entries go through.
    pub(super) async fn link_directly(&self) -> Result<(), Failure> {
        let linked = |s: &Status| s.path == Path::Service && s.peers.iter().any(|peer| peer.live);
        tokio::join!(until(&self.first, linked), until(&self.second, linked));
        Ok(())
    }

    /// What the other sees of it, no service has seen: such entries are acked by nobody.
    pub(super) async fn spend_alone(&self, amount: u64) -> Result<(), Failure> {
        let expected = self.first.balance().balance - i128::from(amount);
        self.second
            .spend(amount, memo("spent on the second"))
            .await?;
        until(&self.first, |s| s.balance.balance == expected).await;
        let (first, second) = (self.first.status(), self.second.status());
        if first.unacked_entries() == 0 || second.unacked_entries() == 0 {
            return Err(unexpected(
                "somebody acked an entry although the service is down",
            ));
        }
        Ok(())
    }

    /// Until everything is with the service, on disk, and with both devices.
    pub(super) async fn catch_up(&self) -> Result<(), Failure> {
        tokio::try_join!(self.first.sync(), self.second.sync())?;
        tokio::try_join!(
            self.first.wait_acked(Level::Durable),
            self.second.wait_acked(Level::Durable),
        )?;
        while !self.have_equal_heads() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    pub(super) fn have_equal_heads(&self) -> bool {
        self.first.status().digest == self.second.status().digest
    }

    /// The balance that both have.
    pub(super) async fn agree(&self, expected: i128) -> Result<i128, Failure> {
        let histories = tokio::try_join!(self.first.history(), self.second.history())?;
        let (first, second) = (self.first.balance().balance, self.second.balance().balance);
        if (first, second) != (expected, expected) {
            return Err(unexpected(format!(
                "the first has {first}, the second {second}, and both should have {expected}"
            )));
        }
        if !self.have_equal_heads() || histories.0 != histories.1 {
            return Err(unexpected("the devices do not hold the same entries"));
        }
        Ok(first)
    }
}

fn memo(text: &str) -> Details {
    Details {
        memo: text.to_owned(),
        ..Details::default()
    }
}
