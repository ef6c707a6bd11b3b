//! mDNS: says on the network that somebody is here, under names that mean nothing, and hears who
//! else is.

use mdns_sd::{IfKind, Receiver, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo};
use tokio::time::timeout;

use crate::limits::{NEARBY_GOODBYE_WITHIN, NEARBY_NETWORKS_EVERY_S, NEARBY_RECORDS_MAX};

/// What everybody looks for who runs this.
const SERVICE: &str = "_edge-ledger._tcp.local.";

/// The name of one start of one device: random, and its whole description.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Instance([u8; 16]);

impl Instance {
    pub(super) fn random() -> Self {
        Self(rand::random())
    }

    #[cfg(test)]
    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(super) fn label(self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }

    /// The instance of a name on the network; `None` for a name that nobody here makes.
    fn read(name: &str) -> Option<Self> {
        let label = name.strip_suffix(SERVICE)?.strip_suffix('.')?;
        let bytes = data_encoding::HEXLOWER.decode(label.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.label())
    }
}

/// What was heard.
#[derive(Debug)]
pub(super) enum Sighting {
    Found {
        instance: Instance,
        addresses: Vec<ScopedIp>,
        port: u16,
    },
    Lost(Instance),
}

/// A running mDNS responder and browser.
pub(super) struct Discovery {
    daemon: ServiceDaemon,
    events: Receiver<ServiceEvent>,
    own: Instance,
}

impl Discovery {
    /// Announces an instance, whose listener has a port, and looks for others.
    pub(super) fn start(
        own: Instance,
        host: Instance,
        port: u16,
        loopback_only: bool,
    ) -> mdns_sd::Result<Self> {
        let host = format!("{}.local.", host.label());
        let nothing: &[(&str, &str)] = &[];
        let info = ServiceInfo::new(SERVICE, &own.label(), &host, (), port, nothing)?;
        let mut info = info.enable_addr_auto();
        // Nobody else has a random name of 128 bits.
        info.set_requires_probe(false);
        let daemon = ServiceDaemon::new()?;
        let started = begin(&daemon, info, loopback_only);
        let events = started.inspect_err(|_| drop(daemon.shutdown()))?;
        Ok(Self {
            daemon,
            events,
            own,
        })
    }

    /// The next that was heard of others; `None` when nothing more will be heard.
    pub(super) async fn next(&self) -> Option<Sighting> {
        loop {
            let sighting = match self.events.recv_async().await.ok()? {
                ServiceEvent::ServiceResolved(service) => Instance::read(service.get_fullname())
                    .map(|instance| Sighting::Found {
                        instance,
                        addresses: service.get_addresses().iter().cloned().collect(),
                        port: service.get_port(),
                    }),
                ServiceEvent::ServiceRemoved(_, name) => Instance::read(&name).map(Sighting::Lost),
                // The library may come to tell more.
                ServiceEvent::SearchStarted(_)
                | ServiceEvent::ServiceFound(..)
                | ServiceEvent::SearchStopped(_)
                | _ => None,
            };
            match sighting {
                Some(Sighting::Found { instance, .. } | Sighting::Lost(instance))
                    if instance == self.own => {}
                Some(sighting) => return Some(sighting),
                None => {}
            }
        }
    }

    /// Whether the network has told more than is worth keeping. The library keeps all of it.
    pub(super) async fn is_flooded(&self) -> bool {
        let Ok(metrics) = self.daemon.get_metrics() else {
            return true;
        };
        let Ok(Ok(metrics)) = timeout(NEARBY_GOODBYE_WITHIN, metrics.recv_async()).await else {
            return true;
        };
        let cached = metrics
            .iter()
            .filter(|(name, _)| name.starts_with("cached-"));
        cached.map(|(_, count)| count).sum::<i64>() > NEARBY_RECORDS_MAX
    }

    /// Says goodbye, and returns when the thread of the library ends.
    pub(super) async fn stop(self) {
        const TRIES: u32 = 10;
        for _ in 0..TRIES {
            match self.daemon.shutdown() {
                Ok(done) => {
                    let _ = timeout(NEARBY_GOODBYE_WITHIN, done.recv_async()).await;
                    return;
                }
                // Its commands wait.
                Err(mdns_sd::Error::Again) => {
                    tokio::time::sleep(NEARBY_GOODBYE_WITHIN / TRIES).await;
                }
                Err(_) => return,
            }
        }
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        // Its thread would go on without anybody. That it has ended is no matter.
        let _ = self.daemon.shutdown();
    }
}

fn begin(
    daemon: &ServiceDaemon,
    info: ServiceInfo,
    loopback_only: bool,
) -> mdns_sd::Result<Receiver<ServiceEvent>> {
    if loopback_only {
        daemon.disable_interface(IfKind::All)?;
        daemon.enable_interface(IfKind::LoopbackV4)?;
    } else {
        daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
    }
    daemon.set_ip_check_interval(NEARBY_NETWORKS_EVERY_S)?;
    daemon.register(info)?;
    daemon.browse(SERVICE)
}
