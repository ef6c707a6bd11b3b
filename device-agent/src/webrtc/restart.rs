//! ICE restart over the living channel: new sockets, new candidates, the same channel.
//!
//! Offer and answer go as control messages. When both ends offer at once, the one with the smaller
//! fingerprint gives way.

use std::pin::Pin;

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use tokio::time::Instant;

use super::driver::Driver;
use super::framing;
use super::gather::{Gathered, gather};
use super::sdp::RemoteDescription;
use super::{LinkError, described};
use crate::limits::{LINK_OLD_SOCKETS_FOR, LINK_RESTART_WITHIN};

const OFFER: u8 = 1;
const ANSWER: u8 = 2;

type Gathering = Pin<Box<dyn Future<Output = Result<Gathered, LinkError>> + Send>>;

/// How far a restart has come.
pub(super) enum Restart {
    None,
    /// New sockets are being opened, for an offer of our own or to answer one.
    Gathering {
        gathering: Gathering,
        offer: Option<RemoteDescription>,
    },
    /// The other end has our offer, and will answer it: the channel loses nothing.
    Offered {
        pending: SdpPendingOffer,
    },
    /// Both have both descriptions; ICE looks for a path.
    Checking {
        until: Instant,
    },
    /// Data goes over the new path; what is on its way over the old one still arrives.
    Moved {
        until: Instant,
    },
}

impl std::fmt::Debug for Restart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Gathering { offer: None, .. } => "Gathering to offer",
            Self::Gathering { .. } => "Gathering to answer",
            Self::Offered { .. } => "Offered",
            Self::Checking { .. } => "Checking",
            Self::Moved { .. } => "Moved",
        })
    }
}

impl Restart {
    /// Whether another one may begin.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::None | Self::Moved { .. })
    }
}

/// Waits for new sockets, for ever if none are asked for.
pub(super) async fn gathered(restart: &mut Restart) -> Result<Gathered, LinkError> {
    if let Restart::Gathering { gathering, .. } = restart {
        gathering.await
    } else {
        std::future::pending().await
    }
}

impl Driver {
    /// Begins a restart of our own.
    pub(super) fn begin_restart(&mut self) {
        self.gather(None);
    }

    fn gather(&mut self, offer: Option<RemoteDescription>) {
        let (servers, reach) = (self.config.servers.clone(), self.config.reach);
        self.restart = Restart::Gathering {
            gathering: Box::pin(async move { gather(&servers, reach).await }),
            offer,
        };
    }

    /// The new sockets are there, or this machine has no network just now.
    pub(super) fn go_on_with_restart(
        &mut self,
        gathered: Result<Gathered, LinkError>,
        now: Instant,
    ) -> Result<(), LinkError> {
        let restart = std::mem::replace(&mut self.restart, Restart::None);
        let Restart::Gathering { offer, .. } = restart else {
            return Ok(());
        };
        match gathered {
            Ok(gathered) => self.move_to(gathered, now)?,
            Err(error) => {
                tracing::debug!(%error, "a link cannot be restarted");
                return Ok(());
            }
        }
        match offer {
            Some(offer) => self.answer_restart(offer, now),
            None => self.offer_restart(now),
        }
    }

    /// Puts new candidates in the place of the old ones. Data goes on over the old path until ICE
    /// has another, so its sockets stay.
    fn move_to(&mut self, gathered: Gathered, now: Instant) -> Result<(), LinkError> {
        for old in std::mem::replace(&mut self.locals, gathered.candidates) {
            self.wire.rtc.direct_api().invalidate_candidate(&old);
            self.poll(now)?;
        }
        let carrying = self.wire.path.map(|(source, _)| source);
        self.wire.sockets.add_generation(gathered.sockets, carrying);
        for new in self.locals.clone() {
            self.wire.rtc.add_local_candidate(new);
            self.poll(now)?;
        }
        Ok(())
    }

    fn offer_restart(&mut self, now: Instant) -> Result<(), LinkError> {
        let mut change = self.wire.rtc.sdp_api();
        change.ice_restart(true);
        let Some((offer, pending)) = change.apply() else {
            return Ok(());
        };
        self.poll(now)?;
        self.say(OFFER, &offer.to_sdp_string())?;
        self.restart = Restart::Offered { pending };
        Ok(())
    }

    fn answer_restart(&mut self, offer: RemoteDescription, now: Instant) -> Result<(), LinkError> {
        let parsed = SdpOffer::from_sdp_string(&offer.text).map_err(described)?;
        self.wire.remotes = offer.candidates;
        let answer = self.wire.rtc.sdp_api().accept_offer(parsed)?;
        self.poll(now)?;
        self.say(ANSWER, &answer.to_sdp_string())?;
        self.check(now);
        Ok(())
    }

    fn check(&mut self, now: Instant) {
        self.restarts += 1;
        let until = now + LINK_RESTART_WITHIN;
        self.restart = Restart::Checking { until };
    }

    fn say(&mut self, kind: u8, sdp: &str) -> Result<(), LinkError> {
        let mut content = vec![kind];
        content.extend_from_slice(sdp.as_bytes());
        let message = framing::control(&content);
        let message = message.ok_or_else(|| described("our own is too long"))?;
        self.outgoing.before_the_rest(message);
        Ok(())
    }

    /// A control message.
    pub(super) fn restart_message(
        &mut self,
        content: &[u8],
        now: Instant,
    ) -> Result<(), LinkError> {
        let (&kind, sdp) = content.split_first().ok_or(framing::FramingError::Empty)?;
        let sdp = std::str::from_utf8(sdp).map_err(described)?;
        match kind {
            OFFER => self.restart_offered(RemoteDescription::read(sdp)?, now),
            ANSWER => self.restart_answered(RemoteDescription::read(sdp)?, now),
            kind => Err(framing::FramingError::Kind(kind).into()),
        }
    }

    fn restart_offered(&mut self, offer: RemoteDescription, now: Instant) -> Result<(), LinkError> {
        let gives_way = self
            .fingerprints
            .is_some_and(|(ours, theirs)| ours < theirs);
        let has_offered = matches!(self.restart, Restart::Offered { .. });
        let is_offering = matches!(self.restart, Restart::Gathering { offer: None, .. });
        if (has_offered || is_offering) && !gives_way {
            return Ok(());
        }
        if has_offered {
            // The new sockets of our own offer do for the answer as well.
            return self.answer_restart(offer, now);
        }
        self.gather(Some(offer));
        Ok(())
    }

    fn restart_answered(
        &mut self,
        answer: RemoteDescription,
        now: Instant,
    ) -> Result<(), LinkError> {
        // An answer to an offer that was taken back means nothing.
        let restart = std::mem::replace(&mut self.restart, Restart::None);
        let Restart::Offered { pending } = restart else {
            self.restart = restart;
            return Ok(());
        };
        let parsed = SdpAnswer::from_sdp_string(&answer.text).map_err(described)?;
        self.wire.remotes = answer.candidates;
        self.wire.rtc.sdp_api().accept_answer(pending, parsed)?;
        self.check(now);
        Ok(())
    }

    /// Looks whether data goes over the new sockets by now.
    fn look_at_path(&mut self, now: Instant) {
        let latest = self
            .wire
            .path
            .is_some_and(|(source, _)| self.wire.sockets.is_latest(source));
        if latest && matches!(self.restart, Restart::Checking { .. }) {
            let until = now + LINK_OLD_SOCKETS_FOR;
            self.restart = Restart::Moved { until };
        }
    }

    pub(super) fn restart_turn(&mut self, now: Instant) {
        self.look_at_path(now);
        if let Restart::Moved { until } = self.restart
            && now >= until
        {
            self.wire.sockets.retire(None);
            self.restart = Restart::None;
        }
        // Data goes on as before; if that path is dead, the silence ends the link.
        if let Restart::Checking { until } = self.restart
            && now >= until
        {
            self.restart = Restart::None;
        }
    }
}
