//! Half an hour without the service (F-10): what is made meanwhile reaches the other devices over
//! channels between them, nothing is lost, and the service comes to hold it all when it is back.

use edge_ledger_core::identity::Point;
use edge_ledger_core::ledger::Tip;

use crate::chronicle::Chronicle;
use crate::network::{At, Network, SERVICE, Side};
use crate::pen::entry;
use crate::rng::Rng;
use crate::world::member;

/// How long a frame travels.
const HOP_MS: u64 = 20;
const OUTAGE_MS: u64 = 30 * 60_000;
/// Devices 0 to 3 in a line, and a fifth beside the second.
const CHANNELS: [(usize, usize); 4] = [(0, 1), (1, 2), (2, 3), (1, 4)];

/// An entry, when it was made, and whether all devices have it.
struct Made {
    tip: Tip,
    at_ms: u64,
    took_ms: Option<u64>,
}

/// Every frame that was on its way arrives; what comes of it is on its way.
fn hop(network: &mut Network) {
    let answer_all = |network: &mut Network| {
        while let Some((at, false)) = network.choices().first().copied() {
            network.answer_at(at, None);
        }
    };
    answer_all(network);
    let frames_at = |network: &Network, at: At| match at {
        At::Link(replica, side) => {
            network.links[replica]
                .stream
                .as_ref()
                .map(|stream| match side {
                    Side::Service => stream.to_service.len(),
                    Side::Device => stream.to_device.len(),
                })
        }
        At::Channel(number, end) => {
            let open = network.channels[number].open.as_ref();
            open.map(|open| open.inboxes[end].len())
        }
    };
    let on_the_way: Vec<(At, usize)> = network
        .choices()
        .into_iter()
        .map(|(at, _)| (at, frames_at(network, at).unwrap_or(0)))
        .collect();
    for (at, frames) in on_the_way {
        for _ in 0..frames {
            network.deliver_at(at);
        }
    }
    answer_all(network);
    network.now_ms += HOP_MS;
    if network.now_ms % 1_000 < HOP_MS {
        network.tick();
        network.redial();
        network.choose_paths();
    }
}

fn make(network: &mut Network, rng: &mut Rng, places: &[usize]) -> Made {
    let number = rng.below(places.len());
    let (place, author) = (places[number], member(number));
    let heads = network.replicas[place].heads();
    let parent = heads.of(&author.id).first().copied();
    let run = entry(author, parent.unwrap_or(Point::START), rng.next());
    let tip = Tip {
        device: author.id,
        point: run.last(),
    };
    network.commit(place, &[run]);
    Made {
        tip,
        at_ms: network.now_ms,
        took_ms: None,
    }
}

fn note_arrivals(network: &Network, places: &[usize], made: &mut [Made]) {
    for made in made.iter_mut().filter(|made| made.took_ms.is_none()) {
        let arrived = |place: &usize| network.replicas[*place].journals.keeps(&made.tip);
        if places.iter().all(arrived) {
            made.took_ms = Some(network.now_ms - made.at_ms);
        }
    }
}

#[test]
fn entries_reach_all_devices_while_the_service_is_away() {
    let mut rng = Rng::new(10);
    let mut network = Network::new(Chronicle::base(), 5);
    let places: Vec<usize> = (0..5).map(|n| network.device(member(n), 5)).collect();
    for (one, other) in CHANNELS {
        network.join(places[one], places[other]);
    }
    for _ in 0..200 {
        hop(&mut network);
    }
    assert!(network.is_idle());
    network.set_service(false);
    let (start_ms, mut made) = (network.now_ms, Vec::new());
    while network.now_ms < start_ms + OUTAGE_MS {
        if rng.percent(3) {
            made.push(make(&mut network, &mut rng, &places));
        }
        // Channels break too, and are there again a second later.
        if rng.next().is_multiple_of(3_000) {
            network.disconnect(rng.below(CHANNELS.len()));
        }
        hop(&mut network);
        note_arrivals(&network, &places, &mut made);
    }
    for _ in 0..500 {
        hop(&mut network);
        note_arrivals(&network, &places, &mut made);
    }
    let mut took: Vec<u64> = made.iter().filter_map(|made| made.took_ms).collect();
    assert!(made.len() > 2_000);
    assert_eq!(took.len(), made.len(), "every entry reached every device");
    took.sort_unstable();
    let percentile = |percent: usize| took[(took.len() - 1) * percent / 100];
    // Three hops at most, when no channel is broken; a second more and the handshake if one is.
    assert!(percentile(50) <= 4 * HOP_MS, "p50 {} ms", percentile(50));
    assert!(percentile(99) <= 2_500, "p99 {} ms", percentile(99));
    assert!(
        took.iter().all(|ms| *ms <= 5_000),
        "max {:?} ms",
        took.last()
    );
    assert!(network.replicas[SERVICE].ever.is_empty());

    network.set_service(true);
    for _ in 0..500 {
        hop(&mut network);
    }
    assert!(network.is_idle());
    let service = &network.replicas[SERVICE];
    for made in &made {
        assert!(service.journals.keeps(&made.tip), "nothing is lost");
    }
    for place in places {
        assert_eq!(network.replicas[place].digest(), service.digest());
    }
}
