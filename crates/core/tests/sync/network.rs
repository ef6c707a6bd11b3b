//! Replicas around one service, with virtual time: frames and answers are delivered one by one,
//! in order or at random, and nothing happens that was not asked for.

use std::collections::VecDeque;

use edge_ledger_core::identity::DeviceState;
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::ledger::VerifiedRun;
use edge_ledger_core::sync::{Close, Frame, GoAwayReason, Input};

use crate::channels::Channel;
use crate::chronicle::Chronicle;
use crate::end::{Effects, End, News, Surroundings};
use crate::pen::Book;
use crate::replica::Replica;
use crate::rng::Rng;
use crate::world::Member;

/// The service's place among the replicas.
pub(crate) const SERVICE: usize = 0;

/// Which end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Service,
    Device,
}

/// One stream between the service and a device.
pub(crate) struct Stream {
    pub(crate) service: End,
    pub(crate) device: End,
    pub(crate) to_service: VecDeque<Frame>,
    pub(crate) to_device: VecDeque<Frame>,
    opened_ms: u64,
}

impl Stream {
    pub(crate) fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Service => &mut self.service,
            Side::Device => &mut self.device,
        }
    }

    /// The frames on their way to one end.
    pub(crate) fn inbox(&mut self, side: Side) -> &mut VecDeque<Frame> {
        match side {
            Side::Service => &mut self.to_service,
            Side::Device => &mut self.to_device,
        }
    }
}

/// A device's way to the service.
#[derive(Default)]
pub(crate) struct Link {
    pub(crate) stream: Option<Stream>,
    /// When to dial again.
    pub(crate) dial_at_ms: u64,
    /// Whether the device was told that it was ended.
    pub(crate) told_revoked: bool,
    /// Why streams ended, as either end saw it.
    pub(crate) closes: Vec<Close>,
}

/// A frame that was sent, for tests that look at the traffic.
pub(crate) struct Sent {
    pub(crate) replica: usize,
    pub(crate) to: Side,
    pub(crate) frame: Frame,
}

pub(crate) struct Network {
    pub(crate) chronicle: Chronicle,
    pub(crate) book: Book,
    /// The service first, then devices.
    pub(crate) replicas: Vec<Replica>,
    /// The links of the devices; the first is not used.
    pub(crate) links: Vec<Link>,
    pub(crate) now_ms: u64,
    /// Delivers at random; without it, in order.
    pub(crate) rng: Option<Rng>,
    /// Most entries of a page.
    pub(crate) page_entries: usize,
    /// Ends to which frames are not delivered for now.
    pub(crate) hold: Vec<(usize, Side)>,
    /// All frames, if they are to be looked at.
    pub(crate) sent: Option<Vec<Sent>>,
    /// Channels between devices.
    pub(crate) channels: Vec<Channel>,
    /// Whether the service can be reached.
    pub(crate) service_is_there: bool,
    pub(crate) nonce: u64,
}

/// Where something can be delivered.
#[derive(Debug, Clone, Copy)]
pub(crate) enum At {
    Link(usize, Side),
    Channel(usize, usize),
}

/// Which session brought a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Link(usize),
    Channel(usize),
}

impl Network {
    pub(crate) fn new(chronicle: Chronicle, service_position: u64) -> Self {
        let service = Replica::new(None, chronicle.log_at(service_position).clone());
        Self {
            chronicle,
            book: Book::default(),
            replicas: vec![service],
            links: vec![Link::default()],
            now_ms: 1_000,
            rng: None,
            page_entries: usize::MAX,
            hold: Vec::new(),
            sent: None,
            channels: Vec::new(),
            service_is_there: true,
            nonce: 0,
        }
    }

    /// Adds a device with a log; returns its place.
    pub(crate) fn device(&mut self, member: &'static Member, position: u64) -> usize {
        let log = self.chronicle.log_at(position).clone();
        self.replicas.push(Replica::new(Some(member), log));
        self.links.push(Link::default());
        self.replicas.len() - 1
    }

    pub(crate) fn devices(&self) -> std::ops::Range<usize> {
        1..self.replicas.len()
    }

    pub(crate) fn is_active(&self, replica: usize) -> bool {
        let Some(member) = self.replicas[replica].member else {
            return true;
        };
        let record = self.chronicle.log().device(&member.id);
        record.is_some_and(|record| record.state == DeviceState::Active)
    }

    /// The service goes away, or comes back.
    pub(crate) fn set_service(&mut self, is_there: bool) {
        self.service_is_there = is_there;
        if !is_there {
            for replica in self.devices() {
                self.cut(replica);
            }
        }
    }

    /// Opens a stream.
    pub(crate) fn dial(&mut self, replica: usize) {
        self.nonce += 1;
        let stream = Stream {
            service: End::service(self.nonce),
            device: End::device(&self.replicas[replica]),
            to_service: VecDeque::new(),
            to_device: VecDeque::new(),
            opened_ms: self.now_ms,
        };
        self.links[replica].stream = Some(stream);
        self.input(replica, Side::Device, Input::Opened);
        self.input(replica, Side::Service, Input::Opened);
    }

    /// Cuts a stream: what is on the way is lost.
    pub(crate) fn cut(&mut self, replica: usize) {
        self.links[replica].stream = None;
        self.links[replica].dial_at_ms = self.now_ms + 1_000;
    }

    /// Feeds an input to one end, and carries out what comes of it.
    pub(crate) fn input(&mut self, replica: usize, side: Side, input: Input) {
        self.with_end(replica, side, |end, around, effects| {
            end.input(input, around, effects);
        });
    }

    fn with_end(
        &mut self,
        replica: usize,
        side: Side,
        act: impl FnOnce(&mut End, &mut Surroundings<'_>, &mut Effects),
    ) {
        let serves = self.replicas[replica].member.map(|member| member.id);
        let Some(stream) = &mut self.links[replica].stream else {
            return;
        };
        let (place, serves) = match side {
            Side::Service => (SERVICE, serves),
            Side::Device => (replica, None),
        };
        let mut around = Surroundings {
            now_ms: self.now_ms,
            chronicle: &self.chronicle,
            book: &self.book,
            replica: &mut self.replicas[place],
            serves,
            rng: self.rng.as_mut(),
            page_entries: self.page_entries,
        };
        let mut effects = Effects::default();
        act(stream.end(side), &mut around, &mut effects);
        self.apply(replica, side, effects);
    }

    fn apply(&mut self, replica: usize, from: Side, effects: Effects) {
        let to = match from {
            Side::Service => Side::Device,
            Side::Device => Side::Service,
        };
        for frame in effects.frames {
            if let Some(sent) = &mut self.sent {
                let frame = frame.clone();
                sent.push(Sent { replica, to, frame });
            }
            if let Some(stream) = &mut self.links[replica].stream {
                stream.inbox(to).push_back(frame);
            }
        }
        let place = match from {
            Side::Service => SERVICE,
            Side::Device => replica,
        };
        for news in effects.news {
            self.tell(place, Some(Origin::Link(replica)), &news);
        }
    }

    /// Tells the sessions of a replica what changed there; entries not the one that brought them.
    pub(crate) fn tell(&mut self, place: usize, origin: Option<Origin>, news: &News) {
        let log = self.replicas[place].log.clone();
        let position = log.head().position;
        let input = |from: Origin| match news {
            News::Log => Some((position, Input::LogChanged(log.clone()))),
            News::Committed(_) if origin == Some(from) => None,
            News::Committed(runs) => Some((0, Input::Committed(runs.clone()))),
        };
        for (replica, link) in self.links.iter_mut().enumerate() {
            let Some(stream) = link
                .stream
                .as_mut()
                .filter(|_| place == SERVICE || place == replica)
            else {
                continue;
            };
            let end = match place {
                SERVICE => &mut stream.service,
                _ => &mut stream.device,
            };
            if let Some((position, input)) = input(Origin::Link(replica)) {
                end.announce(position, input);
            }
        }
        for (number, channel) in self.channels.iter_mut().enumerate() {
            let Some(end) = channel.end_at(place) else {
                continue;
            };
            if let Some((position, input)) = input(Origin::Channel(number)) {
                end.announce(position, input);
            }
        }
    }

    /// Entries enter a replica from outside: made there, or brought by somebody else.
    pub(crate) fn commit(&mut self, place: usize, runs: &[VerifiedRun]) {
        for run in runs {
            self.book.add(run);
        }
        let unchecked: Vec<_> = runs.iter().map(VerifiedRun::to_run).collect();
        let ingested = self.replicas[place].ingest(Default::default(), &unchecked);
        if !ingested.committed.is_empty() {
            self.tell(place, None, &News::Committed(ingested.committed.into()));
        }
    }

    /// A replica learns the log up to a position otherwise than by a session.
    pub(crate) fn learn(&mut self, place: usize, position: u64) {
        if position > self.replicas[place].position() {
            let log = self.chronicle.log_at(position).clone();
            self.replicas[place].adopt(&log);
            self.tell(place, None, &News::Log);
        }
    }

    /// The identity service has said something new: the store that it shares with the service
    /// knows at once.
    pub(crate) fn service_learns(&mut self) {
        self.learn(SERVICE, self.chronicle.position());
    }

    /// Delivers one frame or input, if there is any. Streams whose end has closed come to theirs.
    pub(crate) fn step(&mut self) -> bool {
        let choices = self.choices();
        let (choice, pick) = match &mut self.rng {
            Some(rng) => (rng.pick(&choices).copied(), Some(rng.below(64))),
            None => (choices.first().copied(), None),
        };
        match choice {
            Some((at, true)) => self.deliver_at(at),
            Some((at, false)) => self.answer_at(at, pick),
            None => return false,
        }
        true
    }

    /// Delivers a frame; a stream whose end has closed comes to its own.
    pub(crate) fn deliver_at(&mut self, at: At) {
        match at {
            At::Link(replica, side) => {
                self.deliver(replica, side);
                self.end_if_closed(replica);
            }
            At::Channel(number, end) => {
                self.deliver_on_channel(number, end);
                self.end_channel_if_closed(number);
            }
        }
    }

    /// Delivers an input that waits at an end, likewise.
    pub(crate) fn answer_at(&mut self, at: At, pick: Option<usize>) {
        let step = |end: &mut End, around: &mut Surroundings<'_>, effects: &mut Effects| {
            *effects = end.step(pick, around);
        };
        match at {
            At::Link(replica, side) => {
                self.with_end(replica, side, step);
                self.end_if_closed(replica);
            }
            At::Channel(number, end) => {
                self.with_channel_end(number, end, step);
                self.end_channel_if_closed(number);
            }
        }
    }

    /// Every end with something to be delivered, whether it is a frame: inputs first, then frames.
    pub(crate) fn choices(&mut self) -> Vec<(At, bool)> {
        let mut choices = Vec::new();
        for (replica, link) in self.links.iter_mut().enumerate() {
            let Some(stream) = &mut link.stream else {
                continue;
            };
            for side in [Side::Service, Side::Device] {
                if stream.end(side).has_input() {
                    choices.push((At::Link(replica, side), false));
                }
                let held = self.hold.contains(&(replica, side));
                if !held && !stream.inbox(side).is_empty() {
                    choices.push((At::Link(replica, side), true));
                }
            }
        }
        for (number, channel) in self.channels.iter_mut().enumerate() {
            for (end, input, frame) in channel.waiting() {
                let at = At::Channel(number, end);
                choices.extend(input.then_some((at, false)));
                choices.extend(frame.then_some((at, true)));
            }
        }
        choices.sort_by_key(|(_, frame)| *frame);
        choices
    }

    pub(crate) fn deliver(&mut self, replica: usize, side: Side) {
        let Some(stream) = &mut self.links[replica].stream else {
            return;
        };
        if let Some(frame) = stream.inbox(side).pop_front() {
            self.input(replica, side, Input::Frame(frame));
        }
    }

    /// An end that has closed sends what is left and ends the stream; the reason reaches the
    /// other end as the stream's status.
    fn end_if_closed(&mut self, replica: usize) {
        let now_ms = self.now_ms;
        let link = &mut self.links[replica];
        let Some(stream) = &mut link.stream else {
            return;
        };
        let by_service = stream.service.seen.close.clone();
        let by_device = stream.device.seen.close.clone();
        let all_arrived = (by_service.is_some() && stream.to_device.is_empty())
            || (by_device.is_some() && stream.to_service.is_empty());
        if !all_arrived {
            return;
        }
        let revoked = Some(Close::DeviceRevoked);
        let announced = stream.device.seen.goes_away == Some(GoAwayReason::DeviceRevoked);
        link.told_revoked |= announced || by_service == revoked || by_device == revoked;
        link.closes.extend(by_service.into_iter().chain(by_device));
        link.stream = None;
        link.dial_at_ms = now_ms + 1_000;
    }

    /// Ticks every session.
    pub(crate) fn tick(&mut self) {
        for replica in self.devices() {
            self.input(replica, Side::Service, Input::Tick);
            self.input(replica, Side::Device, Input::Tick);
            self.end_if_closed(replica);
        }
        self.tick_channels();
    }

    /// Dials where a device has no stream, and gives up streams that do not open.
    pub(crate) fn redial(&mut self) {
        for replica in self.devices() {
            let link = &mut self.links[replica];
            match &link.stream {
                Some(stream) => {
                    let open = stream.service.session.is_open() && stream.device.session.is_open();
                    if !open && stream.opened_ms + 5_000 < self.now_ms {
                        self.cut(replica);
                    }
                }
                None if !self.service_is_there => {}
                None if self.now_ms >= link.dial_at_ms && !link.told_revoked => self.dial(replica),
                None => {}
            }
        }
        self.redial_channels();
    }

    /// Delivers everything there is.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the exchange does not come to rest");
    }

    /// Lets time pass, in steps with a tick each.
    pub(crate) fn pass(&mut self, ticks: u64, step_ms: u64) {
        for _ in 0..ticks {
            self.now_ms += step_ms;
            self.tick();
            self.settle();
        }
    }

    /// Whether all sessions with the service are open, and all sessions idle.
    pub(crate) fn is_idle(&self) -> bool {
        self.channels_are_idle()
            && self
                .devices()
                .filter(|replica| !self.links[*replica].told_revoked)
                .all(|replica| {
                    let stream = self.links[replica].stream.as_ref();
                    stream.is_some_and(|stream| {
                        stream.service.is_idle()
                            && stream.device.is_idle()
                            && stream.to_service.is_empty()
                            && stream.to_device.is_empty()
                    })
                })
    }

    pub(crate) fn stream(&mut self, replica: usize) -> &mut Stream {
        let stream = self.links[replica].stream.as_mut();
        stream.expect("the device has a stream")
    }

    /// From here on all frames are written down.
    pub(crate) fn watch(&mut self) {
        self.sent = Some(Vec::new());
    }

    /// The frames that were sent since.
    pub(crate) fn traffic(&self) -> &[Sent] {
        self.sent.as_deref().unwrap_or_default()
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let sent = self.traffic().iter();
        sent.map(|sent| sent.frame.name()).collect()
    }

    /// Whose replica holds a journal of this device's key.
    pub(crate) fn place_of(&self, device: DeviceId) -> Option<usize> {
        let owns = |r: &Replica| r.member.is_some_and(|member| member.id == device);
        self.replicas.iter().position(owns)
    }
}
