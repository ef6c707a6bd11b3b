//! One random case: replicas that hold different parts of the same journals, a time of faults
//! in which everything goes on, and a time in which all comes to rest.

mod cellar;
mod check;
mod disturb;
mod repair;

pub(crate) use check::Tally;

use edge_ledger_core::identity::Point;
use edge_ledger_core::ledger::Tip;

use crate::chronicle::Chronicle;
use crate::network::{Network, SERVICE};
use crate::pen::{BRANCH_LEN, BRANCHES_AFTER, MAIN_LEN, entry, forest};
use crate::rng::Rng;
use crate::world::{BASE_MEMBERS, Member, member};

pub(crate) struct Case {
    rng: Rng,
    network: Network,
    /// Members below this number are in use.
    members: usize,
    /// Entries that were made in this case, in order.
    made: Vec<Made>,
    ended: Vec<Ended>,
    met: Met,
}

/// An entry that was made.
struct Made {
    tip: Tip,
    /// The replica that made it.
    by: usize,
    /// Where its log ended.
    position: u64,
}

/// A replica that was ended.
struct Ended {
    place: usize,
    /// How many entries had been made then.
    made_before: usize,
    /// Where the log says so.
    position: u64,
}

/// What a case met.
#[derive(Debug, Default)]
struct Met {
    forks: bool,
    losses: usize,
    repeats: usize,
    swaps: usize,
    breaks: usize,
    service_behind: bool,
    device_behind: bool,
    added: usize,
    revoked: usize,
    replaced: usize,
    old_cuts: usize,
    rolled_back: bool,
    channels: usize,
    cellar: bool,
}

impl Case {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let devices = devices(&mut rng);
        let whole = BASE_MEMBERS as u64;
        let mut behind = |least: u64| {
            if rng.percent(70) {
                whole
            } else {
                rng.between(least as usize, BASE_MEMBERS) as u64
            }
        };
        let service_position = behind(1);
        let positions: Vec<u64> = devices.iter().map(|n| behind(*n as u64 + 1)).collect();
        let longest = positions.iter().fold(service_position, |a, b| a.max(*b));
        let chronicle = Chronicle::base().truncated(longest);
        let mut network = Network::new(chronicle, service_position);
        for (number, position) in devices.iter().zip(&positions) {
            network.device(member(*number), *position);
        }
        let met = Met {
            service_behind: service_position < longest,
            device_behind: positions.iter().any(|p| *p < longest),
            ..Met::default()
        };
        network.rng = Some(rng.clone());
        let mut case = Self {
            rng,
            network,
            members: BASE_MEMBERS,
            made: Vec::new(),
            ended: Vec::new(),
            met,
        };
        for number in 0..longest as usize {
            case.scatter(number);
        }
        case.join_some();
        case
    }

    /// Some devices have channels to each other: none, a few, or any number of them.
    fn join_some(&mut self) {
        let chance = [0, 40, 80][self.rng.below(3)];
        let devices = self.network.devices();
        for one in devices.clone() {
            for other in one + 1..devices.end {
                if self.rng.percent(chance) {
                    self.network.join(one, other);
                }
            }
        }
    }

    /// Gives every replica that knows a member some part of its journal.
    fn scatter(&mut self, number: usize) {
        let rng = &mut self.rng;
        let in_pairs = rng.percent(40);
        let own = rng.below(MAIN_LEN + 1);
        let branch = rng.percent(8).then(|| rng.below(BRANCHES_AFTER.len()));
        let branch_len = rng.between(1, BRANCH_LEN);
        let rolled_back = rng.percent(4);
        for place in 0..self.network.replicas.len() {
            let replica = &mut self.network.replicas[place];
            if replica.position() <= number as u64 {
                continue;
            }
            let is_own = replica.member.is_some_and(|m| m.id == member(number).id);
            let mut len = match is_own {
                true if !rolled_back => own,
                true => rng.below(own + 1),
                false if rng.percent(30) => 0,
                false => rng.below(own + 1),
            };
            self.met.rolled_back |= is_own && len < own;
            let branches = branch.filter(|_| rng.percent(40));
            if let Some(branch) = branches {
                len = len.max(BRANCHES_AFTER[branch]);
            }
            replica.keep(&forest().main(number, len, in_pairs));
            if let Some(branch) = branches {
                replica.keep(&forest().branch(number, branch, branch_len));
            }
        }
    }

    /// A replica signs the next entry of a journal after a point, and keeps it.
    fn make(&mut self, place: usize, author: &'static Member, parent: Point) {
        let number = 10_000 + self.made.len() as u64 * 7 + self.rng.next() % 7;
        let run = entry(author, parent, number);
        let tip = Tip {
            device: run.device(),
            point: run.last(),
        };
        self.made.push(Made {
            tip,
            by: place,
            position: self.network.replicas[place].position(),
        });
        self.network.commit(place, &[run]);
    }

    /// Whether the service may say something new: it knows all that was said.
    fn is_service_current(&self) -> bool {
        self.network.replicas[SERVICE].position() == self.network.chronicle.position()
    }

    fn new_member(&mut self) -> &'static Member {
        self.members += 1;
        member(self.members - 1)
    }
}

/// Two to four of the base members, the first always among them.
fn devices(rng: &mut Rng) -> Vec<usize> {
    let mut numbers: Vec<usize> = (1..BASE_MEMBERS).collect();
    while numbers.len() > 3 || (numbers.len() > 1 && rng.percent(40)) {
        numbers.remove(rng.below(numbers.len()));
    }
    numbers.insert(0, 0);
    numbers
}
