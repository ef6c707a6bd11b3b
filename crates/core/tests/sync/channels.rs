//! Channels between devices, in the network: reliable and in order, until they break.

use std::collections::VecDeque;

use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::sync::{Close, Fingerprints, Frame, Input, PeerChannel};

use crate::end::{Effects, End, Surroundings};
use crate::network::{Network, Origin};
use crate::replica::Replica;

/// A channel that is open, with the session at each end.
pub(crate) struct Open {
    pub(crate) ends: [End; 2],
    /// The frames on their way to each end.
    pub(crate) inboxes: [VecDeque<Frame>; 2],
    /// Whom each end takes the other for.
    expected: [DeviceId; 2],
    opened_ms: u64,
}

/// Two devices that open a channel to each other whenever they can.
pub(crate) struct Channel {
    /// The replicas at its ends.
    pub(crate) places: [usize; 2],
    pub(crate) open: Option<Open>,
    /// Whether they can.
    pub(crate) is_there: bool,
    dial_at_ms: u64,
    /// Why sessions ended, as each end saw it.
    pub(crate) closes: [Vec<Close>; 2],
    /// All frames, each with the end that it went to.
    pub(crate) sent: Vec<(usize, Frame)>,
}

impl Channel {
    /// The session at a replica.
    pub(crate) fn end_at(&mut self, place: usize) -> Option<&mut End> {
        let end = self.places.iter().position(|at| *at == place)?;
        self.open.as_mut().map(|open| &mut open.ends[end])
    }

    /// Of each end, whether an input and whether a frame waits for it.
    pub(crate) fn waiting(&self) -> Vec<(usize, bool, bool)> {
        let of = |open: &Open| {
            [0, 1].map(|end| {
                let frame = !open.inboxes[end].is_empty();
                (end, open.ends[end].has_input(), frame)
            })
        };
        self.open.as_ref().map(of).into_iter().flatten().collect()
    }

    /// Whether both have let each other in.
    pub(crate) fn is_open(&self) -> bool {
        let open = |open: &Open| open.ends.iter().all(|end| end.session.is_open());
        self.open.as_ref().is_some_and(open)
    }

    /// Whether neither session has anything left to do.
    pub(crate) fn is_idle(&self) -> bool {
        let idle = |open: &Open| {
            open.ends.iter().all(End::is_idle) && open.inboxes.iter().all(VecDeque::is_empty)
        };
        self.open.as_ref().is_some_and(idle)
    }

    /// The names of the frames that were sent to an end.
    pub(crate) fn names_to(&self, end: usize) -> Vec<&'static str> {
        let to_end = self.sent.iter().filter(|(to, _)| *to == end);
        to_end.map(|(_, frame)| frame.name()).collect()
    }
}

fn device_of(replica: &Replica) -> DeviceId {
    replica.member.expect("only devices are peers").id
}

impl Network {
    /// Two devices are to have a channel; returns its number.
    pub(crate) fn join(&mut self, one: usize, other: usize) -> usize {
        self.channels.push(Channel {
            places: [one, other],
            open: None,
            is_there: true,
            dial_at_ms: 0,
            closes: [Vec::new(), Vec::new()],
            sent: Vec::new(),
        });
        self.channels.len() - 1
    }

    /// Opens it, with certificates of its own.
    pub(crate) fn connect(&mut self, number: usize) {
        self.nonce += 1;
        let of = |end: u8, what: u8| {
            let mut bytes = [what; 32];
            bytes[..8].copy_from_slice(&self.nonce.to_be_bytes());
            bytes[8] = end;
            bytes
        };
        let [one, other] = [of(0, 1), of(1, 1)];
        let ours = |ours, theirs| Fingerprints { ours, theirs };
        let fingerprints = [ours(one, other), ours(other, one)];
        let nonces = [(of(0, 2), of(0, 3)), (of(1, 2), of(1, 3))];
        let expected = self.channels[number]
            .places
            .map(|p| device_of(&self.replicas[p]));
        let seen = [expected[1], expected[0]];
        let channels = [0, 1].map(|end| PeerChannel {
            expected: seen[end],
            fingerprints: fingerprints[end],
            greeting_nonce: nonces[end].0,
            hello_nonce: nonces[end].1,
        });
        self.connect_as(number, channels);
    }

    /// Opens it, with what each end believes of it.
    pub(crate) fn connect_as(&mut self, number: usize, channels: [PeerChannel; 2]) {
        let places = self.channels[number].places;
        let expected = [0, 1].map(|end| channels[end].expected);
        let [one, other] = channels;
        let ends = [
            End::peer(&self.replicas[places[0]], one),
            End::peer(&self.replicas[places[1]], other),
        ];
        self.channels[number].open = Some(Open {
            ends,
            inboxes: [VecDeque::new(), VecDeque::new()],
            expected,
            opened_ms: self.now_ms,
        });
        for end in [0, 1] {
            self.channel_input(number, end, Input::Opened);
        }
        for end in [0, 1] {
            let wanted = self.wants(places[end]);
            self.channel_input(number, end, Input::Flow { wanted });
        }
    }

    /// It breaks: what is on the way is lost.
    pub(crate) fn disconnect(&mut self, number: usize) {
        self.channels[number].open = None;
        self.channels[number].dial_at_ms = self.now_ms + 1_000;
    }

    /// All channels of a replica break.
    pub(crate) fn disconnect_all_of(&mut self, place: usize) {
        for number in 0..self.channels.len() {
            if self.channels[number].places.contains(&place) {
                self.disconnect(number);
            }
        }
    }

    /// Whether a device has no service that takes its entries.
    fn wants(&self, place: usize) -> bool {
        let stream = self.links[place].stream.as_ref();
        !stream.is_some_and(|stream| stream.device.session.is_open())
    }

    /// Every device tells its peers whether it wants entries of them.
    pub(crate) fn choose_paths(&mut self) {
        for number in 0..self.channels.len() {
            for end in [0, 1] {
                let wanted = self.wants(self.channels[number].places[end]);
                self.channel_input(number, end, Input::Flow { wanted });
            }
        }
    }

    pub(crate) fn channel_input(&mut self, number: usize, end: usize, input: Input) {
        self.with_channel_end(number, end, |at, around, effects| {
            at.input(input, around, effects);
        });
    }

    pub(crate) fn with_channel_end(
        &mut self,
        number: usize,
        end: usize,
        act: impl FnOnce(&mut End, &mut Surroundings<'_>, &mut Effects),
    ) {
        let channel = &mut self.channels[number];
        let place = channel.places[end];
        let Some(open) = &mut channel.open else {
            return;
        };
        let mut around = Surroundings {
            now_ms: self.now_ms,
            chronicle: &self.chronicle,
            book: &self.book,
            replica: &mut self.replicas[place],
            serves: Some(open.expected[end]),
            rng: self.rng.as_mut(),
            page_entries: self.page_entries,
        };
        let mut effects = Effects::default();
        act(&mut open.ends[end], &mut around, &mut effects);
        let other = 1 - end;
        let frames = effects.frames.iter().cloned();
        channel.sent.extend(frames.map(|frame| (other, frame)));
        open.inboxes[other].extend(effects.frames);
        for news in effects.news {
            self.tell(place, Some(Origin::Channel(number)), &news);
        }
    }

    pub(crate) fn deliver_on_channel(&mut self, number: usize, end: usize) {
        let open = self.channels[number].open.as_mut();
        if let Some(frame) = open.and_then(|open| open.inboxes[end].pop_front()) {
            self.channel_input(number, end, Input::Frame(frame));
        }
    }

    /// An end that has closed sends what is left; then the channel ends.
    pub(crate) fn end_channel_if_closed(&mut self, number: usize) {
        let channel = &mut self.channels[number];
        let Some(open) = &channel.open else {
            return;
        };
        let closes = [0, 1].map(|end| open.ends[end].seen.close.clone());
        let arrived = |end: usize| closes[end].is_some() && open.inboxes[1 - end].is_empty();
        if !arrived(0) && !arrived(1) {
            return;
        }
        for (end, close) in closes.into_iter().enumerate() {
            channel.closes[end].extend(close);
        }
        self.disconnect(number);
    }

    pub(crate) fn tick_channels(&mut self) {
        for number in 0..self.channels.len() {
            for end in [0, 1] {
                self.channel_input(number, end, Input::Tick);
            }
            self.end_channel_if_closed(number);
        }
    }

    /// Connects again whoever can, and gives up what does not open.
    pub(crate) fn redial_channels(&mut self) {
        for number in 0..self.channels.len() {
            let channel = &self.channels[number];
            let due = channel.is_there && self.now_ms >= channel.dial_at_ms;
            match &channel.open {
                Some(open) if !channel.is_open() && open.opened_ms + 5_000 < self.now_ms => {
                    self.disconnect(number);
                }
                None if due => self.connect(number),
                _ => {}
            }
        }
    }

    /// Whether all channels between devices that are active are open and idle.
    pub(crate) fn channels_are_idle(&self) -> bool {
        let between_active = |channel: &&Channel| {
            channel.is_there && channel.places.iter().all(|place| self.is_active(*place))
        };
        let mut channels = self.channels.iter().filter(between_active);
        channels.all(|channel| channel.is_open() && channel.is_idle())
    }
}
