//! Services at several addresses: a device stays with the one that works, goes to the next when it
//! fails, and waits only when none works.

use std::time::Duration;

use anyhow::Context as _;
use device_agent::probe::{self, Way};
use device_agent::{
    Addresses, Agent, AgentError, Details, Endpoint, Event, Events, Level, NewDevice, Options,
    Outcome, Security, State, Trust, within,
};
use edge_ledger_tests::cluster::Service;
use edge_ledger_tests::{Cluster, Pair, Replicas};

use crate::kill::ports;

const PATIENCE: Duration = Duration::from_secs(60);

/// Two processes of each service, of which a device is told by the one that it knows.
struct Scene {
    cluster: Cluster,
}

fn addresses(service: &Service) -> anyhow::Result<Addresses> {
    let urls = service.running.iter().map(|process| process.url());
    Ok(Addresses::new(urls)?)
}

/// Kills the one at an address, and says its place.
fn kill(service: &mut Service, url: &str) -> anyhow::Result<String> {
    let mut running = service.running.iter();
    let index = running.position(|process| process.url() == url);
    let index = index.context("nobody is there")?;
    let place = service.running[index].address().to_owned();
    service.kill(index)?;
    Ok(place)
}

impl Scene {
    async fn start() -> anyhow::Result<Self> {
        let mut cluster = Cluster::on(Cluster::redis_server()).await?;
        cluster.open_gate();
        cluster.ledger.start_one()?;
        cluster.ledger.start_one()?;
        let ledger = addresses(&cluster.ledger)?.to_string();
        let second = format!("127.0.0.1:{}", ports()?.0);
        cluster.identity.settings.extend([
            ("identity.ledger_urls", ledger),
            ("identity.identity_urls", format!("http://{second}")),
        ]);
        cluster.identity.start_one()?;
        cluster.identity.start_at(&second)?;
        Ok(Self { cluster })
    }

    fn new_device(&self, name: &str, identity_urls: Addresses) -> NewDevice {
        NewDevice {
            home: self.cluster.folder().join(name),
            identity_urls,
            ledger_urls: None,
            name: name.to_owned(),
            security: Security::default(),
        }
    }

    /// A first device that knows one identity service.
    async fn phone(&self) -> anyhow::Result<Agent> {
        let knows = self.cluster.identity.running[0].url();
        let new = self.new_device("phone", knows.into());
        device_agent::init(&new, Trust::Ledger(self.cluster.genesis.ledger_id())).await?;
        let phone = Agent::open(&new.home, Options::default()).await?;
        within(PATIENCE, phone.sync()).await?;
        Ok(phone)
    }

    fn way(&self) -> anyhow::Result<Way> {
        Ok(probe::way(self.cluster.folder(), &Security::default())?)
    }
}

/// The address in use, which answered.
fn used(endpoints: &[Endpoint]) -> anyhow::Result<String> {
    let used = endpoints.iter().find(|endpoint| endpoint.in_use);
    let used = used.context("none is in use")?;
    anyhow::ensure!(used.outcome == Some(Outcome::Answered), "{used:?}");
    Ok(used.url.clone())
}

/// What came of an address last.
fn outcome(endpoints: &[Endpoint], url: &str) -> Option<Outcome> {
    let endpoint = endpoints.iter().find(|endpoint| endpoint.url == url)?;
    endpoint.outcome.clone()
}

fn other(endpoints: &[Endpoint], than: &str) -> anyhow::Result<String> {
    let mut others = endpoints.iter().filter(|endpoint| endpoint.url != than);
    Ok(others.next().context("there is one alone")?.url.clone())
}

async fn earn(agent: &Agent) -> anyhow::Result<()> {
    agent.earn(1, Details::default()).await?;
    within(PATIENCE, agent.wait_acked(Level::Durable)).await?;
    Ok(())
}

/// What happened until the device was connected.
async fn until_connected(events: &mut Events) -> anyhow::Result<Vec<Event>> {
    let read = async {
        let mut seen = Vec::new();
        while let Some(event) = events.next().await {
            if event == Event::Connected {
                return Ok(seen);
            }
            seen.push(event);
        }
        Err(AgentError::Stopped)
    };
    Ok(within(PATIENCE, read).await?)
}

/// Whether the first failure that is told needs a person.
async fn first_failure(events: &mut Events) -> anyhow::Result<bool> {
    let read = async {
        while let Some(event) = events.next().await {
            if let Event::SyncFailed { permanent, .. } = event {
                return Ok(permanent);
            }
        }
        Err(AgentError::Stopped)
    };
    Ok(within(PATIENCE, read).await?)
}

fn failures(seen: &[Event]) -> usize {
    let failed = |event: &&Event| matches!(event, Event::SyncFailed { .. });
    seen.iter().filter(failed).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_keeps_all_addresses_that_it_is_told() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let phone = scene.phone().await?;
    let home = probe::home(&scene.cluster.folder().join("phone"))?;
    assert_eq!(home.identity_urls, addresses(&scene.cluster.identity)?);
    assert_eq!(home.ledger_urls, addresses(&scene.cluster.ledger)?);
    assert_eq!(phone.addresses(), (&home.identity_urls, &home.ledger_urls));
    phone.stop().await;
    // What is given holds for as long as the agent runs.
    let one = Addresses::from(scene.cluster.ledger.running[1].url());
    let options = Options {
        ledger_urls: Some(one.clone()),
        ..Options::default()
    };
    let phone = Agent::open(&scene.cluster.folder().join("phone"), options).await?;
    assert_eq!(phone.addresses(), (&home.identity_urls, &one));
    earn(&phone).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_service_that_is_killed_is_left_within_one_attempt_and_for_good()
-> anyhow::Result<()> {
    let mut scene = Scene::start().await?;
    let phone = scene.phone().await?;
    let first = used(&phone.status().ledger_endpoints)?;
    let second = other(&phone.status().ledger_endpoints, &first)?;
    let mut events = phone.events();
    let place = kill(&mut scene.cluster.ledger, &first)?;
    earn(&phone).await?;
    let seen = until_connected(&mut events).await?;
    let changed = Event::AddressChanged {
        service: "ledger",
        url: second.clone(),
    };
    assert!(seen.contains(&changed), "{seen:?}");
    assert_eq!(failures(&seen), 0, "{seen:?}");
    let endpoints = phone.status().ledger_endpoints;
    assert_eq!(used(&endpoints)?, second);
    let left = outcome(&endpoints, &first);
    assert!(matches!(left, Some(Outcome::Failed(_))), "{left:?}");

    // It comes back, and the device stays.
    scene.cluster.ledger.start_at(&place)?;
    assert!(probe::health("ledger", &first, &scene.way()?).await?);
    for _ in 0..3 {
        earn(&phone).await?;
        within(PATIENCE, phone.sync()).await?;
    }
    assert_eq!(used(&phone.status().ledger_endpoints)?, second);
    kill(&mut scene.cluster.ledger, &second)?;
    earn(&phone).await?;
    assert_eq!(used(&phone.status().ledger_endpoints)?, first);
    assert_eq!(phone.balance().balance, 5);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_finds_no_ledger_service_waits_and_goes_on_with_the_one_that_comes()
-> anyhow::Result<()> {
    let mut scene = Scene::start().await?;
    let phone = scene.phone().await?;
    let first = used(&phone.status().ledger_endpoints)?;
    let second = other(&phone.status().ledger_endpoints, &first)?;
    let mut events = phone.events();
    kill(&mut scene.cluster.ledger, &second)?;
    let place = kill(&mut scene.cluster.ledger, &first)?;
    // It is told once that all failed.
    assert!(!first_failure(&mut events).await?);
    phone.earn(1, Details::default()).await?;
    let status = phone.status();
    assert_eq!(status.state, State::Offline);
    for url in [&first, &second] {
        let left = outcome(&status.ledger_endpoints, url);
        assert!(matches!(left, Some(Outcome::Failed(_))), "{left:?}");
    }
    scene.cluster.ledger.start_at(&place)?;
    within(PATIENCE, phone.wait_acked(Level::Durable)).await?;
    assert_eq!(used(&phone.status().ledger_endpoints)?, first);
    assert_eq!(phone.status().state, State::Online);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_service_that_takes_no_work_is_passed_over() -> anyhow::Result<()> {
    let replicas = Replicas::start(2).await?;
    let phone = replicas.first_device("phone").await?;
    phone.stop().await;
    let urls = [0, 1].map(|replica| replicas.ledger_url(replica));
    let both = || Options {
        ledger_urls: Addresses::new(urls.clone()).ok(),
        ..Options::default()
    };
    replicas.hinder_ledger(0)?;
    let way = probe::way(&replicas.home("phone"), &Security::default())?;
    let turned = async {
        while probe::health("ledger", &urls[0], &way).await? {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    within(PATIENCE, turned).await?;
    let phone = Agent::open(&replicas.home("phone"), both()).await?;
    earn(&phone).await?;
    let endpoints = phone.status().ledger_endpoints;
    assert_eq!(used(&endpoints)?, urls[1]);
    let why = "it says that it takes no work".to_owned();
    assert_eq!(outcome(&endpoints, &urls[0]), Some(Outcome::Failed(why)));

    // One that stops taking work while it is used is left, too.
    replicas.free_ledger(0)?;
    replicas.hinder_ledger(1)?;
    earn(&phone).await?;
    assert_eq!(used(&phone.status().ledger_endpoints)?, urls[0]);
    assert_eq!(phone.balance().balance, 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_the_identity_service_go_to_the_address_that_answers() -> anyhow::Result<()> {
    let mut scene = Scene::start().await?;
    let phone = scene.phone().await?;
    let device = phone.status().device;
    phone.rename(device, "before").await?;
    let first = used(&phone.status().identity_endpoints)?;
    let second = other(&phone.status().identity_endpoints, &first)?;
    let mut events = phone.events();
    let place = kill(&mut scene.cluster.identity, &first)?;
    phone.rename(device, "after").await?;
    let endpoints = phone.status().identity_endpoints;
    assert_eq!(used(&endpoints)?, second);
    let left = outcome(&endpoints, &first);
    assert!(matches!(left, Some(Outcome::Failed(_))), "{left:?}");
    let changed = async {
        while let Some(event) = events.next().await {
            if let Event::AddressChanged { service, url } = event {
                return Ok((service, url));
            }
        }
        Err(AgentError::Stopped)
    };
    let changed = within(PATIENCE, changed).await?;
    assert_eq!(changed, ("identity", second.clone()));

    // A device is made by the one that is left, and a link names that one.
    let (linked, joined) = device_agent::testing::link(&phone, false, async |invitation, show| {
        assert_eq!(invitation.identity_url.as_ref(), Some(&second));
        let dead = scene.new_device("laptop", first.as_str().into());
        device_agent::join(&dead, &invitation, Trust::FirstUse, show).await
    })
    .await?;
    linked?;
    joined?;
    let both = Addresses::new([first.clone(), second.clone()])?;
    let other = scene.new_device("other", both.clone());
    device_agent::init(&other, Trust::Ledger(scene.cluster.genesis.ledger_id())).await?;
    let home = probe::home(&other.home)?;
    assert_eq!(home.identity_urls, both);

    // The first comes back, and the device stays; with neither it says so, and tries all again.
    scene.cluster.identity.start_at(&place)?;
    phone.rename(device, "still").await?;
    assert_eq!(used(&phone.status().identity_endpoints)?, second);
    kill(&mut scene.cluster.identity, &first)?;
    kill(&mut scene.cluster.identity, &second)?;
    let refused = phone.rename(device, "in vain").await;
    assert!(
        matches!(&refused, Err(AgentError::Unreachable { service: "identity", why, .. })
            if why.ends_with("nor can it at its other addresses")),
        "{refused:?}"
    );
    scene.cluster.identity.start_at(&place)?;
    phone.rename(device, "again").await?;
    assert_eq!(used(&phone.status().identity_endpoints)?, first);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_not_asked_about_at_other_addresses() -> anyhow::Result<()> {
    let scene = Scene::start().await?;
    let phone = scene.phone().await?;
    let (linked, joined) = device_agent::testing::link(&phone, false, async |invitation, show| {
        let new = scene.new_device("laptop", "http://127.0.0.1:1".into());
        device_agent::join(&new, &invitation, Trust::FirstUse, show).await
    })
    .await?;
    linked?;
    let laptop = joined?.device;
    let laptop_home = scene.cluster.folder().join("laptop");
    phone
        .revoke(laptop, device_agent::RevokeReason::Lost)
        .await?;
    let laptop = Agent::open(&laptop_home, Options::default()).await?;
    let refused = within(PATIENCE, laptop.sync()).await;
    assert!(
        matches!(refused, Err(AgentError::Refused(_))),
        "{refused:?}"
    );
    let status = laptop.status();
    assert_eq!(status.state, State::Degraded);
    let first = scene.cluster.ledger.running[0].url();
    let second = other(&status.ledger_endpoints, &first)?;
    let revoked = Outcome::Refused("DEVICE_REVOKED".to_owned());
    let outcomes = [&first, &second].map(|url| outcome(&status.ledger_endpoints, url));
    assert!(outcomes.contains(&Some(revoked)), "{outcomes:?}");
    let asked = outcomes.iter().flatten();
    assert_eq!(
        asked.filter(|o| matches!(o, Outcome::Refused(_))).count(),
        1
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_of_another_ledger_is_passed_over() -> anyhow::Result<()> {
    let (pair, foreign) = (Pair::start().await?, Pair::start().await?);
    pair.first_device("phone").await?.stop().await;
    let open = async |urls: &[&str]| {
        let urls = urls.iter().copied().map(str::to_owned);
        let options = Options {
            ledger_urls: Addresses::new(urls).ok(),
            ..Options::default()
        };
        Agent::open(&pair.home("phone"), options).await
    };
    let phone = open(&[&foreign.ledger_url, &pair.ledger_url]).await?;
    within(PATIENCE, phone.sync()).await?;
    let endpoints = phone.status().ledger_endpoints;
    assert_eq!(used(&endpoints)?, pair.ledger_url);
    let left = outcome(&endpoints, &foreign.ledger_url);
    assert!(matches!(left, Some(Outcome::Failed(_))), "{left:?}");
    phone.stop().await;

    // Alone it needs a person; beside one that is away, a device goes on trying.
    let nowhere = "http://127.0.0.1:1";
    let phone = open(&[&foreign.ledger_url]).await?;
    let refused = within(PATIENCE, phone.sync()).await;
    assert!(
        matches!(&refused, Err(AgentError::Refused(refusal)) if refusal.reason == "UNTRUSTED"),
        "{refused:?}"
    );
    assert_eq!(phone.status().state, State::Degraded);
    phone.stop().await;
    for urls in [
        [nowhere, &foreign.ledger_url],
        [&foreign.ledger_url, nowhere],
    ] {
        let phone = open(&urls).await?;
        let mut events = phone.events_from(0);
        assert!(!first_failure(&mut events).await?, "{urls:?}");
        phone.stop().await;
    }
    Ok(())
}
