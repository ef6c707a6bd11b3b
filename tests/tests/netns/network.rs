//! Namespaces on one bridge, and what goes wrong between them.

use std::fs::File;
use std::future::Future;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// The service's place on the network; devices come after it.
pub(crate) const SERVICE: u8 = 1;

static NETWORKS: AtomicU32 = AtomicU32::new(0);

/// A bridge with places on it, gone when it is dropped.
pub(crate) struct Network {
    prefix: String,
    places: Vec<Place>,
}

/// A namespace with a thread in it that runs whatever is spawned there.
pub(crate) struct Place {
    name: String,
    number: u8,
    handle: Handle,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

fn run(program: &str, arguments: &[&str]) {
    let package = if program == "nft" {
        "nftables"
    } else {
        "iproute2"
    };
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| {
        panic!("these tests need `{program}` of the package {package}: {error}")
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {}: {said}",
        arguments.join(" ")
    );
}

fn ip(words: &str) {
    run("ip", &words.split(' ').collect::<Vec<_>>());
}

pub(crate) fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, number)
}

impl Network {
    /// A bridge with the service's place and so many of devices.
    pub(crate) fn new(devices: u8) -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "these tests make network namespaces, which needs root: run them as root"
        );
        let number = NETWORKS.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("el{}-{number}-", std::process::id());
        let hub = format!("{prefix}hub");
        ip(&format!("netns add {hub}"));
        let mut network = Self {
            prefix,
            places: Vec::new(),
        };
        ip(&format!("-n {hub} link add name bridge type bridge"));
        ip(&format!("-n {hub} link set bridge up"));
        for number in SERVICE..=SERVICE + devices {
            let place = Place::new(&network.prefix, number);
            network.places.push(place);
        }
        network
    }

    pub(crate) fn service(&self) -> &Place {
        &self.places[0]
    }

    pub(crate) fn devices(&self) -> &[Place] {
        &self.places[1..]
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.places.clear();
        let hub = format!("{}hub", self.prefix);
        let _ = Command::new("ip").args(["netns", "del", &hub]).output();
    }
}

impl Place {
    fn new(prefix: &str, number: u8) -> Self {
        let (hub, name) = (format!("{prefix}hub"), format!("{prefix}{number}"));
        ip(&format!("netns add {name}"));
        ip(&format!("-n {name} link set lo up"));
        ip(&format!(
            "-n {hub} link add port{number} type veth peer name eth0 netns {name}"
        ));
        ip(&format!("-n {hub} link set port{number} master bridge up"));
        ip(&format!(
            "-n {name} address add {}/24 dev eth0",
            address(number)
        ));
        ip(&format!("-n {name} link set eth0 up"));
        ip(&format!("-n {name} route add 224.0.0.0/4 dev eth0"));
        let (stop, entered) = (CancellationToken::new(), name.clone());
        let (tell, told) = std::sync::mpsc::channel();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            // Sockets belong to where the thread is that opens them: one thread does everything.
            let namespace = File::open(format!("/run/netns/{entered}")).unwrap();
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), network).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = runtime.unwrap();
            tell.send(runtime.handle().clone()).unwrap();
            runtime.block_on(stopped.cancelled());
        });
        Self {
            name,
            number,
            handle: told.recv().unwrap(),
            stop,
            thread: Some(thread),
        }
    }

    pub(crate) fn address(&self) -> Ipv4Addr {
        address(self.number)
    }

    /// Runs something here.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        what: impl Future<Output = T> + Send + 'static,
    ) -> T {
        self.handle.spawn(what).await.unwrap()
    }

    /// Drops part of what arrives here: an `nft` expression that says which.
    pub(crate) fn filter(&self, rule: &str) {
        let name = &self.name;
        let nft = |words: &str| {
            let words = format!("netns exec {name} nft {words}");
            ip(&words);
        };
        nft("add table inet breaks");
        nft("add chain inet breaks input { type filter hook input priority 0 ; }");
        nft(&format!("add rule inet breaks input {rule} drop"));
    }

    /// Lets everything through again.
    pub(crate) fn heal(&self) {
        ip(&format!(
            "netns exec {} nft delete table inet breaks",
            self.name
        ));
    }

    /// Takes the link down, and brings it up under another address.
    pub(crate) fn move_to(&mut self, number: u8) {
        let name = self.name.clone();
        ip(&format!("-n {name} link set eth0 down"));
        ip(&format!("-n {name} address flush dev eth0"));
        self.number = number;
        ip(&format!(
            "-n {name} address add {}/24 dev eth0",
            self.address()
        ));
        ip(&format!("-n {name} link set eth0 up"));
        ip(&format!("-n {name} route replace 224.0.0.0/4 dev eth0"));
    }
}

impl Network {
    pub(crate) fn device_mut(&mut self, index: usize) -> &mut Place {
        &mut self.places[1 + index]
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .output();
    }
}
