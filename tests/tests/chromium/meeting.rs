//! A page that is a device of the agent's identity: both find each other through the identity
//! service, and meet over the channel.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use device_agent::{Agent, Event, Events};
use edge_ledger_core::sync::{
    Fingerprints, Frame, Greetings, Hello, HelloBody, PeerGreeting, PeerWelcome, check_peer_hello,
    say_hello,
};
use edge_ledger_proto::ledger as pb;
use edge_ledger_tests::Pair;
use prost::Message as _;

use super::browser::{Browser, Role};
use super::page_device::{Called, PageDevice};
use super::{LAST, PING, message};

/// Nothing takes longer, unless something is wrong.
const WITHIN: Duration = Duration::from_secs(60);

/// A page with an open channel to an agent, neither of which has said anything yet.
struct Acquainted {
    browser: Browser,
    device: PageDevice,
    agent: Agent,
    events: Events,
    /// Both certificates, as the page sees them.
    fingerprints: Fingerprints,
    _pair: Pair,
}

impl Acquainted {
    /// The page and the agent exchange signed descriptions through the identity service.
    async fn start(role: Role) -> anyhow::Result<Self> {
        let pair = Pair::start().await?;
        let phone = pair.first_device("phone").await?;
        pair.link(&phone, "page", false).await?.stop().await;
        phone.stop().await;
        let mut device = PageDevice::sign_in(&pair, "page").await?;
        let mut browser = Browser::open(role).await?;
        let agent = pair.open("phone").await?;
        let events = agent.events();
        let us = agent.status().device;
        let nonce = device.hears_of(us).await?;
        let (page, theirs) = match role {
            Role::Offers => {
                let offer = device.offer(us, nonce, browser.offer().await?).await?;
                let answer = device.called().await?;
                let hash = offer.signal.hash(device.log.ledger_id());
                answer.body.is_answer_to(&offer.body, &hash)?;
                browser.answer_with(answer.body.sdp.clone()).await?;
                (offer, answer)
            }
            Role::Answers => {
                let nonce = device.is_there().await?;
                let offer = device.called().await?;
                offer.body.is_offer_to(&[nonce])?;
                browser.offer_to(offer.body.sdp.clone()).await?;
                let answer = device.answer(&offer, browser.answer().await?).await?;
                (answer, offer)
            }
        };
        Ok(Self {
            browser,
            device,
            agent,
            events,
            fingerprints: certificates(&page, &theirs),
            _pair: pair,
        })
    }

    async fn say(&self, frame: Frame) -> anyhow::Result<()> {
        self.browser.say(message(frame)).await
    }

    /// The next frame that the page got.
    async fn heard(&mut self) -> anyhow::Result<Frame> {
        loop {
            let heard = self.browser.heard().await?;
            match heard.split_first().context("an empty message")? {
                (&PING, []) => {}
                (&LAST, frame) => return Ok(pb::Frame::decode(frame)?.try_into()?),
                (kind, _) => bail!("a message of kind {kind}"),
            }
        }
    }

    /// Greetings both ways, and the agent's hello, which is good for this channel.
    async fn greet(&mut self) -> anyhow::Result<(Greetings, HelloBody)> {
        let ledger_id = self.device.log.ledger_id();
        let Frame::PeerGreeting(theirs) = self.heard().await? else {
            bail!("no greeting")
        };
        theirs.check(ledger_id)?;
        let ours = PeerGreeting::new(ledger_id, rand::random());
        self.say(Frame::PeerGreeting(ours.clone())).await?;
        let Frame::PeerHello(hello) = self.heard().await? else {
            bail!("no hello")
        };
        let greetings = Greetings { ours, theirs };
        let said = check_peer_hello(&hello, ledger_id, &greetings, self.fingerprints)?;
        assert_eq!(said.key.device_id(), self.agent.status().device);
        assert_eq!(said.identity, self.device.log.identity());
        Ok((greetings, said))
    }

    /// The page's hello: it holds what the agent holds.
    fn hello(&self, greetings: &Greetings, said: &HelloBody, bound_to: Fingerprints) -> Hello {
        let body = HelloBody {
            key: self.device.key.public_key(),
            nonce: rand::random(),
            ..said.clone()
        };
        let (ledger_id, key) = (self.device.log.ledger_id(), &self.device.key);
        say_hello(ledger_id, key, greetings, bound_to, &body)
    }

    /// Whether the agent tells of a session with the page.
    async fn is_told_of(&mut self, within: Duration) -> bool {
        let page = self.device.id();
        let connected = async {
            while let Some(event) = self.events.next().await {
                if matches!(event, Event::PeerConnected { device } if device == page) {
                    return true;
                }
            }
            false
        };
        let connected = tokio::time::timeout(within, connected).await;
        connected.unwrap_or(false)
    }
}

fn certificates(page: &Called, theirs: &Called) -> Fingerprints {
    Fingerprints {
        ours: page.body.fingerprint,
        theirs: theirs.body.fingerprint,
    }
}

async fn is_welcomed(role: Role) -> anyhow::Result<()> {
    let mut both = Acquainted::start(role).await?;
    let (greetings, said) = both.greet().await?;
    let hello = both.hello(&greetings, &said, both.fingerprints);
    both.say(Frame::PeerHello(hello)).await?;
    let welcome = PeerWelcome {
        log: said.log,
        digest: said.digest,
    };
    let Frame::PeerWelcome(theirs) = both.heard().await? else {
        bail!("not let in")
    };
    assert_eq!(theirs, welcome);
    both.say(Frame::PeerWelcome(welcome)).await?;
    assert!(both.is_told_of(WITHIN).await);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_offers_is_let_in_as_the_device_that_it_is() -> anyhow::Result<()> {
    is_welcomed(Role::Offers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_answers_is_let_in_as_the_device_that_it_is() -> anyhow::Result<()> {
    is_welcomed(Role::Answers).await
}

/// A page with a hello for a channel that has other certificates.
async fn gets_nothing(bound_to: impl FnOnce(Fingerprints) -> Fingerprints) -> anyhow::Result<()> {
    let mut both = Acquainted::start(Role::Offers).await?;
    let (greetings, said) = both.greet().await?;
    let hello = both.hello(&greetings, &said, bound_to(both.fingerprints));
    both.say(Frame::PeerHello(hello)).await?;
    let mut heard = both.browser.closed().await?;
    heard.retain(|message| message[..] != [PING]);
    assert_eq!(heard, Vec::<Bytes>::new());
    assert!(!both.is_told_of(Duration::ZERO).await);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_for_another_certificate_at_the_pages_end_gets_nothing() -> anyhow::Result<()> {
    gets_nothing(|seen| Fingerprints {
        ours: [7; 32],
        ..seen
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_for_another_certificate_at_the_agents_end_gets_nothing() -> anyhow::Result<()> {
    gets_nothing(|seen| Fingerprints {
        theirs: [7; 32],
        ..seen
    })
    .await
}
