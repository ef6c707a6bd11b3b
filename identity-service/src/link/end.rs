//! One end of a link, from opening or joining to leaving.
//!
//! An empty message, which no device may send, is an end's farewell: it comes after all that the
//! end said, so nothing is cut off, and it ends the other end's stream.

use bytes::Bytes;
use edge_ledger_chassis::status::{from_decode, store_refusal};
use edge_ledger_chassis::{Reason, refusal};
use edge_ledger_proto::identity as wire;
use edge_ledger_proto::identity::{link_request, link_response};
use edge_ledger_store::identity::{LINK_MESSAGES_MAX, LinkOutcome, LinkSide};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tonic::{Status, Streaming};

use super::Links;
use crate::announcements::Waiter;
use crate::limits::{LINK_LOOK_EVERY, LINK_MESSAGE_BYTES_MAX};

/// Where a device's answers go.
pub(super) type Outbound = mpsc::Sender<Result<wire::LinkResponse, Status>>;

/// One end of a link session.
pub(super) struct End {
    session: [u8; 32],
    side: LinkSide,
    expires_ms: i64,
    waiter: Waiter,
    /// Whether the other device is known to be there.
    joined: bool,
    /// Whether the farewell was said.
    left: bool,
    sent: usize,
    received: usize,
}

/// What an inbox says.
enum Heard {
    /// Nothing final.
    Nothing,
    /// The other end said farewell.
    Farewell,
    /// The session is gone.
    Gone,
}

impl End {
    pub(super) fn new(session: [u8; 32], side: LinkSide, expires_ms: i64, waiter: Waiter) -> Self {
        Self {
            session,
            side,
            expires_ms,
            waiter,
            joined: side == LinkSide::Joiner,
            left: false,
            sent: 0,
            received: 0,
        }
    }

    /// Tells the device what it got.
    pub(super) async fn greet(&self, links: &Links, outbound: &Outbound) {
        let message = match self.side {
            LinkSide::Opener => {
                let expires_in_s = u32::try_from(links.life().as_secs()).unwrap_or(u32::MAX);
                link_response::Message::Opened(wire::LinkOpened { expires_in_s })
            }
            LinkSide::Joiner => link_response::Message::Joined(wire::LinkJoined {}),
        };
        say(outbound, message).await;
    }

    /// Relays until one end leaves.
    pub(super) async fn relay(
        &mut self,
        links: &Links,
        inbound: &mut Streaming<wire::LinkRequest>,
        outbound: &Outbound,
    ) -> Result<(), Status> {
        loop {
            match self.hear(links, outbound).await? {
                Heard::Nothing => {}
                Heard::Farewell if self.left => {
                    let closed = links.store.close_link(self.session).await;
                    return closed.map_err(|error| store_refusal(&error));
                }
                Heard::Farewell => {
                    return Err(refusal(Reason::LinkGone, "the other device left"));
                }
                Heard::Gone if self.left => return Ok(()),
                Heard::Gone if links.clock.wall_ms() >= self.expires_ms => return Err(expired()),
                Heard::Gone => return Err(gone()),
            }
            tokio::select! {
                request = inbound.message(), if !self.left => match request.map_err(from_decode)? {
                    Some(request) => self.post(links, request).await?,
                    None => self.farewell(links).await?,
                },
                () = self.waiter.announced() => {}
                () = sleep(LINK_LOOK_EVERY) => {}
            }
        }
    }

    /// Says farewell, if that was not said; a code that nobody has joined is dead from here on.
    pub(super) async fn leave(mut self, links: &Links) {
        let left = if self.joined {
            self.farewell(links).await
        } else {
            let closed = links.store.close_link(self.session).await;
            closed.map_err(|error| store_refusal(&error))
        };
        if left.is_err() {
            tracing::debug!("a link ended without a farewell; it expires");
        }
    }

    /// Passes on what the other end said.
    async fn hear(&mut self, links: &Links, outbound: &Outbound) -> Result<Heard, Status> {
        let now_ms = links.clock.wall_ms();
        let inbox = links
            .store
            .link_inbox(self.session, self.side, self.received, now_ms)
            .await
            .map_err(|error| store_refusal(&error))?;
        let Some(inbox) = inbox else {
            return Ok(Heard::Gone);
        };
        if inbox.joined && !self.joined {
            self.joined = true;
            say(
                outbound,
                link_response::Message::Joined(wire::LinkJoined {}),
            )
            .await;
        }
        for message in inbox.messages {
            self.received += 1;
            if message.is_empty() {
                return Ok(Heard::Farewell);
            }
            say(outbound, link_response::Message::Relay(message)).await;
        }
        Ok(Heard::Nothing)
    }

    async fn post(&mut self, links: &Links, request: wire::LinkRequest) -> Result<(), Status> {
        let Some(link_request::Message::Relay(sealed)) = request.message else {
            return Err(refusal(
                Reason::BadMessage,
                "only relay follows open or join",
            ));
        };
        if sealed.is_empty() {
            return Err(refusal(Reason::BadMessage, "a relayed message is empty"));
        }
        if sealed.len() > LINK_MESSAGE_BYTES_MAX {
            let what = "a relayed message has at most 16 KiB";
            return Err(refusal(Reason::MessageTooLarge, what));
        }
        if self.sent >= LINK_MESSAGES_MAX {
            return Err(full());
        }
        self.sent += 1;
        match self.put(links, sealed).await? {
            LinkOutcome::Done => Ok(()),
            LinkOutcome::Gone => Err(gone()),
            LinkOutcome::Taken => Err(full()),
        }
    }

    /// An end that has said all that it may has no room for a farewell: the session expires.
    async fn farewell(&mut self, links: &Links) -> Result<(), Status> {
        if !self.left {
            self.left = true;
            self.put(links, Bytes::new()).await?;
        }
        Ok(())
    }

    async fn put(&self, links: &Links, message: Bytes) -> Result<LinkOutcome, Status> {
        let now_ms = links.clock.wall_ms();
        links
            .store
            .post_link(self.session, self.side, message, now_ms)
            .await
            .map_err(|error| store_refusal(&error))
    }
}

/// A device that does not listen is noticed by its closed stream, or by the link's end.
async fn say(outbound: &Outbound, message: link_response::Message) {
    let response = wire::LinkResponse {
        message: Some(message),
    };
    let _ = outbound.send(Ok(response)).await;
}

/// Refuses a session that never was, or ended.
pub(super) fn gone() -> Status {
    refusal(Reason::LinkGone, "no link session has this code")
}

/// Ends a session that took too long.
pub(super) fn expired() -> Status {
    refusal(Reason::LinkExpired, "the link took too long")
}

fn full() -> Status {
    refusal(Reason::LinkFull, "a link takes at most 16 messages a side")
}
