//! What is said on the network, as it is read there.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

use super::*;

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: u16 = 5353;

/// Hears all mDNS on the loopback interface.
fn listener() -> tokio::net::UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("shared");
    #[cfg(unix)]
    socket.set_reuse_port(true).expect("shared");
    let all = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    socket.bind(&all.into()).expect("the port of mDNS");
    socket
        .join_multicast_v4(&GROUP, &Ipv4Addr::LOCALHOST)
        .expect("multicast on the loopback interface");
    socket.set_nonblocking(true).expect("not waited for");
    tokio::net::UdpSocket::from_std(socket.into()).expect("a socket")
}

/// The names and data of a message of DNS.
#[derive(Default)]
struct Said {
    names: BTreeSet<String>,
    texts: Vec<Vec<u8>>,
    addresses: BTreeSet<Ipv4Addr>,
    lives: BTreeSet<u32>,
    others: BTreeSet<u16>,
}

struct Reader<'a> {
    packet: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn number(&mut self) -> u16 {
        let bytes = [self.packet[self.at], self.packet[self.at + 1]];
        self.at += 2;
        u16::from_be_bytes(bytes)
    }

    fn name(&mut self) -> String {
        let (mut labels, mut at, mut end) = (Vec::new(), self.at, None);
        loop {
            let length = usize::from(self.packet[at]);
            if length >= 0xc0 {
                end = end.or(Some(at + 2));
                at = (length & 0x3f) << 8 | usize::from(self.packet[at + 1]);
            } else if length == 0 {
                self.at = end.unwrap_or(at + 1);
                return labels.join(".");
            } else {
                let label = &self.packet[at + 1..][..length];
                labels.push(String::from_utf8_lossy(label).into_owned());
                at += 1 + length;
            }
        }
    }
}

fn read(packet: &[u8]) -> Said {
    let mut said = Said::default();
    let mut reader = Reader { packet, at: 4 };
    let questions = reader.number();
    let records: u16 = (0..3).map(|_| reader.number()).sum();
    for _ in 0..questions {
        said.names.insert(reader.name());
        reader.at += 4;
    }
    for _ in 0..records {
        said.names.insert(reader.name());
        let kind = reader.number();
        reader.number();
        let life = u32::from(reader.number()) << 16 | u32::from(reader.number());
        said.lives.insert(life);
        let length = usize::from(reader.number());
        let data = &packet[reader.at..][..length];
        let end = reader.at + length;
        match kind {
            1 => {
                let octets: [u8; 4] = data.try_into().expect("an address");
                said.addresses.insert(octets.into());
            }
            12 => {
                said.names.insert(reader.name());
            }
            16 => said.texts.push(data.to_vec()),
            33 => {
                reader.at += 6;
                said.names.insert(reader.name());
            }
            other => {
                said.others.insert(other);
            }
        }
        reader.at = end;
    }
    said
}

async fn response(heard: &tokio::net::UdpSocket, label: &str) -> Said {
    let mut packet = [0; 9_000];
    loop {
        let reading = tokio::time::timeout(SOON, heard.recv(&mut packet)).await;
        let length = reading.expect("a packet in time").expect("a packet");
        let is_response = packet[2] & 0x80 != 0;
        let packet = &packet[..length];
        let named = packet
            .windows(label.len())
            .any(|bytes| bytes == label.as_bytes());
        if is_response && named {
            return read(packet);
        }
    }
}

/// Two random names, an address and a port: nothing of device, identity, machine or program.
#[tokio::test]
async fn names_mean_nothing_and_goodbye_is_said() {
    let heard = listener();
    let announced = Announced::at(7_411, true);
    let (instance, host) = (announced.instance.label(), announced.host.label());
    assert!(instance != host && instance != Announced::at(7_411, true).instance.label());
    let (events, _events) = mpsc::channel(1);
    let conversations = Arc::new(Conversations::new(rand::random(), device(1), events));
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let seeker = Seeker::start(announced).expect("mDNS");
    tasks.spawn(seeker.run(conversations, stop.clone()));
    tasks.close();
    let service = "_edge-ledger._tcp.local";
    let names = [
        service.to_owned(),
        format!("{instance}.{service}"),
        format!("{host}.local"),
    ];
    let mut described = false;
    while !described {
        let said = response(&heard, &instance).await;
        for name in said.names {
            assert!(names.contains(&name), "{name}");
        }
        assert!(said.addresses.is_subset(&[Ipv4Addr::LOCALHOST].into()));
        assert_eq!(said.others, BTreeSet::new());
        described = !said.texts.is_empty();
        assert!(
            said.texts.iter().all(|text| text == &[0]),
            "{:?}",
            said.texts
        );
    }
    stop.cancel();
    while !response(&heard, &instance).await.lives.contains(&0) {}
    tasks.wait().await;
}
