//! The time of faults.

use edge_ledger_core::identity::{DeviceState, Point, SignedTip};
use edge_ledger_core::ids::DeviceId;
use edge_ledger_core::ledger::Tip;
use edge_ledger_core::sync::Input;

use super::{Case, Ended};
use crate::network::{SERVICE, Side};
use crate::world::{Member, member_of};

impl Case {
    pub(crate) fn disturb(&mut self) {
        let steps = self.rng.between(20, 110);
        for _ in 0..steps {
            if self.rng.percent(6) {
                self.network.redial();
            }
            if self.rng.percent(72) {
                if !self.network.step() {
                    self.network.now_ms += 200;
                }
            } else {
                self.happen();
            }
        }
    }

    fn happen(&mut self) {
        match self.rng.below(100) {
            0..4 => self.change_a_channel(),
            4..24 => self.append(),
            24..26 => self.append_at_a_clone(),
            26..36 => self.say(),
            36..74 => self.spoil_a_frame(),
            74..79 => self.break_a_stream(),
            79..82 => self.miss(),
            _ => {
                self.network.now_ms += [20, 300, 2_000, 31_000][self.rng.below(4)];
                self.network.tick();
            }
        }
    }

    /// A channel breaks, or its ends choose anew, or anyhow, what they want of each other. Now and
    /// then the service is out of reach for a while.
    fn change_a_channel(&mut self) {
        if self.rng.percent(20) {
            let is_there = !self.network.service_is_there;
            self.network.set_service(is_there);
        }
        if self.network.channels.is_empty() {
            return;
        }
        let channel = self.rng.below(self.network.channels.len());
        match self.rng.below(4) {
            0 => self.network.disconnect(channel),
            1 => self.network.choose_paths(),
            _ => {
                let (end, wanted) = (self.rng.below(2), self.rng.percent(60));
                self.network
                    .channel_input(channel, end, Input::Flow { wanted });
            }
        }
        self.met.channels += 1;
    }

    fn random_device(&mut self) -> usize {
        let devices = self.network.devices();
        self.rng.between(devices.start, devices.end - 1)
    }

    fn random_side(&mut self) -> Side {
        [Side::Service, Side::Device][self.rng.below(2)]
    }

    /// A device goes on with its own journal, also one that was revoked and does not care.
    fn append(&mut self) {
        let place = self.random_device();
        let replica = &self.network.replicas[place];
        let Some(author) = replica.member else { return };
        let heads = replica.heads();
        let tips = heads.of(&author.id);
        let known = replica.log.device(&author.id);
        if tips.len() > 1 || known.is_none_or(|d| d.state != DeviceState::Active) {
            return;
        }
        let mut at = tips.first().copied().unwrap_or(Point::START);
        for _ in 0..self.rng.between(1, 2) {
            self.make(place, author, at);
            if let Some(made) = self.made.last() {
                at = made.tip.point;
            }
        }
    }

    /// A copy of a device's key signs an old place anew, and the entry turns up somewhere.
    fn append_at_a_clone(&mut self) {
        let place = self.rng.below(self.network.replicas.len());
        if !self.network.is_active(place) {
            return;
        }
        let Some((author, point)) = self.random_kept(place) else {
            return;
        };
        let active = |d: &edge_ledger_core::identity::DeviceRecord| d.state == DeviceState::Active;
        if self
            .network
            .chronicle
            .log()
            .device(&author.id)
            .is_some_and(active)
        {
            self.make(place, author, point);
        }
    }

    fn random_kept(&mut self, place: usize) -> Option<(&'static Member, Point)> {
        let journals = &self.network.replicas[place].journals;
        let kept: Vec<Tip> = journals
            .entries()
            .map(|entry| Tip {
                device: entry.device(),
                point: entry.point(),
            })
            .collect();
        let tip = self.rng.pick(&kept)?;
        Some((member_of(tip.device), tip.point))
    }

    /// The identity service says something new.
    fn say(&mut self) {
        if !self.is_service_current() || self.members > 14 {
            return;
        }
        match self.rng.below(10) {
            0..3 => self.add(),
            3..7 => self.revoke(),
            7..9 => {
                let place = self.random_device();
                self.replace(place);
            }
            _ => {
                let place = self.random_device();
                if let Some(member) = self.network.replicas[place].member
                    && self.network.is_active(place)
                {
                    self.network.chronicle.rename(member.id, "another name");
                }
            }
        }
        self.network.service_learns();
        if self.rng.percent(30) {
            let position = self.network.chronicle.position();
            let place = self.random_device();
            if self.network.is_active(place) {
                self.network.learn(place, position);
            }
        }
    }

    fn add(&mut self) {
        let new = self.new_member();
        self.network.chronicle.add(new, false);
        let position = self.network.chronicle.position();
        self.network.device(new, position);
        self.met.added += 1;
    }

    /// Revokes any device but the first admin, with a cut that may name old entries.
    fn revoke(&mut self) {
        let log = self.network.chronicle.log().clone();
        let first = self.network.replicas[1].member.map(|m| m.id);
        let active = log
            .devices()
            .filter(|(id, d)| d.state == DeviceState::Active && Some(**id) != first);
        let active: Vec<DeviceId> = active.map(|(id, _)| *id).collect();
        let Some(device) = self.rng.pick(&active).copied() else {
            return;
        };
        let lineage = log.lineage(&device);
        let ends: Vec<DeviceId> = log
            .devices()
            .filter(|(_, d)| Some(d.lineage) == lineage)
            .map(|(id, _)| *id)
            .collect();
        if first.is_some_and(|first| ends.contains(&first)) {
            return;
        }
        let mut named = Vec::new();
        for id in &ends {
            named.extend(self.named_tips(1, *id));
        }
        let kept = self.kept_tips(&ends);
        self.network.chronicle.revoke(device, named, kept);
        self.met.revoked += 1;
        if let Some(place) = self.network.place_of(device) {
            self.ended.push(Ended {
                place,
                made_before: self.made.len(),
                position: self.network.chronicle.position(),
            });
        }
    }

    /// Some points of a journal as a replica holds it: tips, or old ones.
    fn named_tips(&mut self, place: usize, device: DeviceId) -> Vec<SignedTip> {
        let replica = &self.network.replicas[place];
        if self.rng.percent(40) {
            return replica.signed_tips(device, &self.network.book);
        }
        let journals = replica.journals.entries();
        let points: Vec<Point> = journals
            .filter(|entry| entry.device() == device)
            .map(|entry| entry.point())
            .collect();
        let count = self.rng.below(3);
        let named = (0..count).filter_map(|_| self.rng.pick(&points).copied());
        let named: Vec<Point> = named.collect();
        self.met.old_cuts += named.len();
        let signed = |point: &Point| self.network.book.signed(device, *point);
        named.iter().map(signed).collect()
    }

    /// What the receipt records.
    fn kept_tips(&self, ends: &[DeviceId]) -> Vec<SignedTip> {
        let service = &self.network.replicas[SERVICE];
        let tips = ends
            .iter()
            .flat_map(|id| service.signed_tips(*id, &self.network.book));
        tips.collect()
    }

    /// A device makes a new key and goes on with it.
    pub(super) fn replace(&mut self, place: usize) {
        let Some(old) = self.network.replicas[place].member else {
            return;
        };
        if !self.network.is_active(place) {
            return;
        }
        let new = self.new_member();
        let named = self.named_tips(place, old.id);
        let kept = self.kept_tips(&[old.id]);
        self.network.chronicle.replace(old, new, named, kept);
        self.network.replicas[place].member = Some(new);
        self.network.cut(place);
        self.network.disconnect_all_of(place);
        let position = self.network.chronicle.position();
        self.network.learn(place, position);
        self.met.replaced += 1;
    }

    fn spoil_a_frame(&mut self) {
        let place = self.random_device();
        let Some(stream) = &mut self.network.links[place].stream else {
            return;
        };
        let fuller = [Side::Service, Side::Device]
            .into_iter()
            .max_by_key(|side| stream.inbox(*side).len());
        let inbox = stream.inbox(fuller.unwrap_or(Side::Device));
        if inbox.is_empty() {
            return;
        }
        let index = self.rng.below(inbox.len());
        match self.rng.below(if inbox.len() > 1 { 3 } else { 2 }) {
            0 => {
                inbox.remove(index);
                self.met.losses += 1;
            }
            1 => {
                let frame = inbox[index].clone();
                let at = self.rng.between(index, inbox.len());
                inbox.insert(at, frame);
                self.met.repeats += 1;
            }
            _ => {
                inbox.swap(index, (index + 1) % inbox.len());
                self.met.swaps += 1;
            }
        }
    }

    fn break_a_stream(&mut self) {
        let place = self.random_device();
        self.network.cut(place);
        self.met.breaks += 1;
    }

    /// The announcements of one end are lost, and it is told so.
    fn miss(&mut self) {
        let place = self.random_device();
        let side = self.random_side();
        self.network.input(place, side, Input::Missed);
    }
}
