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
            self.change_flow(Flow::Wanted { by_us, by_peer }, out);
        }
    }

    /// The peer does.
    pub(super) fn peer_wants_flow(&mut self, wanted: bool, out: &mut Outputs) -> Result<(), Close> {
        let Flow::Wanted { by_us, .. } = self.flow else {
            return Err(Close::BadMessage("Flow"));
        };
        let by_peer = wanted;
        self.change_flow(Flow::Wanted { by_us, by_peer }, out);
        Ok(())
    }

    fn change_flow(&mut self, flow: Flow, out: &mut Outputs) {
        let (was_on, is_on) = (self.flow.is_on(), flow.is_on());
        self.flow = flow;
        if !was_on && is_on {
            // Much may have come by other ways in the meantime: both tell what they have.
            self.peer = None;
            self.outgoing.start_anew();
            self.tips.tell(out);
        } else if was_on && !is_on {
            self.compare.rest(out);
        }
    }
}
