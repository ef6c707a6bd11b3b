//! Whether entries are exchanged at all: always with a service; with a peer while either end has no
//! service that takes its own. Statements are exchanged whatever the flow is.

use super::{Exchange, Role};
use crate::sync::frame::Frame;
use crate::sync::shell::{Close, Output, Outputs};

#[derive(Debug, Clone, Copy)]
pub(super) enum Flow {
    Always,
    Wanted { by_us: bool, by_peer: bool },
}

impl Flow {
    pub(super) fn new(role: &Role) -> Self {
        match role {
            Role::Service { .. } | Role::Device { .. } => Self::Always,
            Role::Peer { .. } => Self::Wanted {
                by_us: false,
                by_peer: false,
            },
        }
    }

    pub(super) fn is_on(self) -> bool {
        match self {
            Self::Always => true,
            Self::Wanted { by_us, by_peer } => by_us || by_peer,
        }
    }
}

impl Exchange {
    /// This device wants entries, or wants none any more.
    pub(super) fn want_flow(&mut self, wanted: bool, out: &mut Outputs) {
        let Flow::Wanted { by_us, by_peer } = self.flow else {
            return;
        };
        if by_us != wanted {
            out.push(Output::Send(Frame::Flow { wanted }));
            let by_us = wanted;
            self.change_flow(Flow::Wanted { by_us, by_peer }, wanted, out);
        }
    }

    /// The peer does.
    pub(super) fn peer_wants_flow(&mut self, wanted: bool, out: &mut Outputs) -> Result<(), Close> {
        let Flow::Wanted { by_us, by_peer } = self.flow else {
            return Err(Close::BadMessage("Flow"));
        };
        let newly = wanted && !by_peer;
        let by_peer = wanted;
        self.change_flow(Flow::Wanted { by_us, by_peer }, newly, out);
        Ok(())
    }

    /// Much may have come by other ways in the meantime, so when one end `newly` wants entries,
    /// both tell what they have: also the one that had them flow anyway, for the other may have
    /// stopped a moment ago, and have forgotten what it knew.
    fn change_flow(&mut self, flow: Flow, newly: bool, out: &mut Outputs) {
        let (was_on, is_on) = (self.flow.is_on(), flow.is_on());
        self.flow = flow;
        if !was_on && is_on {
            self.peer = None;
        }
        if newly {
            self.tips.tell(out);
        }
        if was_on != is_on {
            // What is being read was asked for before.
            self.outgoing.start_anew();
        }
        if was_on && !is_on {
            self.compare.rest(out);
        }
    }
}
