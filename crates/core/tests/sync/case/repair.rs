//! The time in which all comes to rest: nothing is lost any more, devices dial again, and those
//! whose journal was forked go on under new keys.

use super::Case;
use crate::network::SERVICE;

/// How long it may take: a frame that was lost is noticed after 10 minutes at the latest.
const REST_WITHIN_MS: u64 = 3_600_000;

impl Case {
    pub(crate) fn clean_up(&mut self) {
        self.network.set_service(true);
        let deadline_ms = self.network.now_ms + REST_WITHIN_MS;
        let mut step_ms = 1_000;
        while self.network.now_ms < deadline_ms {
            self.network.settle();
            if self.is_at_rest() {
                return;
            }
            self.repair_forks();
            self.network.redial();
            self.network.choose_paths();
            self.network.now_ms += step_ms;
            step_ms = (step_ms + 500).min(10_000);
            self.network.tick();
        }
        panic!("the replicas do not come to rest: {}", self.describe());
    }

    fn is_at_rest(&self) -> bool {
        let digest = self.network.replicas[SERVICE].digest();
        let position = self.network.chronicle.position();
        self.network.is_idle()
            && self.network.replicas[SERVICE].position() == position
            && self.network.devices().all(|place| {
                let replica = &self.network.replicas[place];
                let same = replica.digest() == digest && replica.position() == position;
                match self.network.is_active(place) {
                    true => same,
                    false => self.network.links[place].told_revoked,
                }
            })
    }

    /// A device whose journal has several tips makes a new key.
    fn repair_forks(&mut self) {
        for place in self.network.devices() {
            let Some(member) = self.network.replicas[place].member else {
                continue;
            };
            let forked = [SERVICE, place]
                .iter()
                .any(|at| self.network.replicas[*at].heads().of(&member.id).len() > 1);
            if forked && self.is_service_current() && self.network.is_active(place) {
                self.met.forks = true;
                self.replace(place);
                self.network.service_learns();
            }
        }
    }

    pub(super) fn describe(&self) -> String {
        let describe = |place: usize| {
            let replica = &self.network.replicas[place];
            let link = &self.network.links[place];
            let sessions = link.stream.as_ref().map(|stream| {
                let open = |end: &crate::end::End| (end.session.is_open(), end.is_idle());
                (open(&stream.service), open(&stream.device))
            });
            let heads = replica.heads();
            let tips = heads.tips().map(|t| (t.device, t.point.seq));
            format!(
                "\n{place}: active {}, log {}, sessions (open, idle) {sessions:?}, closes {:?}, \
                 told revoked {}, tips {:?}",
                self.network.is_active(place),
                replica.position(),
                link.closes,
                link.told_revoked,
                tips.collect::<Vec<_>>(),
            )
        };
        let channels = self.network.channels.iter().map(|channel| {
            let (places, open, idle) = (channel.places, channel.is_open(), channel.is_idle());
            let closes = &channel.closes;
            format!("\n{places:?}: open {open}, idle {idle}, closes {closes:?}")
        });
        let replicas = (0..self.network.replicas.len()).map(describe);
        replicas.chain(channels).collect()
    }
}
