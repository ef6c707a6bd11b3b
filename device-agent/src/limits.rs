//! Every bound of the agent. Those of the protocol are in `edge_ledger_core::limits`.

use std::time::Duration;

use edge_ledger_core::limits::DEVICES_ACTIVE_MAX;

/// Calls of the application that wait for the engine.
pub(crate) const COMMANDS_MAX: usize = 1_024;
/// Frames between the engine and its stream.
pub(crate) const OUTBOUND_FRAMES_MAX: usize = 16;
/// Frames that wait for room in the stream; above this the stream is given up.
pub(crate) const HELD_FRAMES_MAX: usize = 1_024;
/// Events that are kept for readers that are behind.
pub(crate) const EVENTS_KEPT_MAX: usize = 1_024;
/// Time to connect to a service.
pub(crate) const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Time that an address has to say that it takes work while there are others to be tried.
pub(crate) const TRY_NEXT_AFTER: Duration = Duration::from_secs(2);
/// An address that was used this long, in milliseconds, worked: when it fails, all others are worth
/// a try again, at once.
pub(crate) const SETTLED_AFTER_MS: u64 = 10_000;
/// Time to find out whether a service speaks TLS that was dialled without, or what it has against
/// this device.
pub(crate) const PROBE_WITHIN: Duration = Duration::from_secs(1);
/// Time for one call of the identity service.
pub(crate) const CALL_WITHIN: Duration = Duration::from_secs(10);
/// Time from the opening of a stream to the end of its handshake.
pub(crate) const LIVE_WITHIN: Duration = Duration::from_secs(10);
/// gRPC keepalive: a ping after this much silence ...
pub(crate) const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);
/// ... and a dead connection when it is not answered within this.
pub(crate) const KEEPALIVE_WITHIN: Duration = Duration::from_secs(10);
/// First and longest wait before a new connection; each is jittered.
pub(crate) const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// See [`BACKOFF_FIRST`].
pub(crate) const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Wait after a refusal that only a person can lift.
pub(crate) const BACKOFF_REFUSED: Duration = Duration::from_secs(60);
/// A device that another stream of it took the place of stays away for this long at least, so that
/// two copies do not take turns.
pub(crate) const SUPERSEDED_FOR: Duration = Duration::from_secs(60);
/// Wait before this device is replaced again, after that did not succeed.
pub(crate) const REPLACE_AGAIN: Duration = Duration::from_secs(5);
/// Wait before a service whose log is another one is asked for evidence again.
pub(crate) const SEEK_EVIDENCE_AGAIN: Duration = Duration::from_secs(5);
/// How often the session hears that time passed.
pub(crate) const TICK_EVERY: Duration = Duration::from_secs(1);
/// Longest life of a link session, as the service grants it.
pub(crate) const LINK_WITHIN: Duration = Duration::from_secs(120);
/// How often a person may type the number of a new device.
pub(crate) const NUMBER_TRIES_MAX: u32 = 3;
/// How often a link session is opened under another nameplate because one is in use.
pub(crate) const NAMEPLATE_TRIES_MAX: u32 = 4;
/// Connections to devices of the identity on the network that are open at once: each of two devices
/// may dial the other.
pub(crate) const NEARBY_CONNECTIONS_MAX: usize = 2 * DEVICES_ACTIVE_MAX;
/// Connections that were taken and have not proved themselves; who comes then takes the place of
/// the one that is there longest.
pub(crate) const NEARBY_UNPROVEN_MAX: usize = 16;
/// See [`NEARBY_UNPROVEN_MAX`], of one address.
pub(crate) const NEARBY_UNPROVEN_PER_ADDRESS_MAX: usize = 4;
/// Longest message before a connection is proved; two of them are read.
pub(crate) const NEARBY_UNPROVEN_BYTES_MAX: usize = 64;
/// Time for both ends to prove themselves.
pub(crate) const NEARBY_PROVE_WITHIN: Duration = Duration::from_secs(5);
/// Longest message between devices on the network, sealed.
pub(crate) const NEARBY_MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// Longest signal in one; the rest is for what is around it.
pub(crate) const NEARBY_SIGNAL_BYTES_MAX: usize = NEARBY_MESSAGE_BYTES_MAX - 32;
/// A connection on which nothing was heard for this long is closed; beacons come every 30 s.
pub(crate) const NEARBY_IDLE: Duration = Duration::from_secs(90);
/// Time to get one message written; who does not read is left.
pub(crate) const NEARBY_WRITE_WITHIN: Duration = Duration::from_secs(10);
/// Messages that are read from a connection at once ...
pub(crate) const NEARBY_BURST: u32 = 64;
/// ... and then one in this time: what comes faster waits.
pub(crate) const NEARBY_MESSAGE_EVERY: Duration = Duration::from_micros(62_500);
/// Signals that wait to be written to one connection.
pub(crate) const NEARBY_OUTGOING_MAX: usize = 32;
/// What was heard from all connections and waits for the peering.
pub(crate) const NEARBY_EVENTS_MAX: usize = 64;
/// Instances on the network that are remembered; those that were dialled in vain give way.
pub(crate) const NEARBY_INSTANCES_MAX: usize = 64;
/// Addresses of one instance that are dialled, one after the other.
pub(crate) const NEARBY_ADDRESSES_MAX: usize = 4;
/// Instances that are dialled at once.
pub(crate) const NEARBY_DIALS_MAX: usize = 8;
/// Time to connect to one address on the network.
pub(crate) const NEARBY_CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// First and longest wait before an instance is dialled again; each is jittered.
pub(crate) const NEARBY_AGAIN_FIRST: Duration = Duration::from_secs(1);
/// See [`NEARBY_AGAIN_FIRST`].
pub(crate) const NEARBY_AGAIN_MAX: Duration = Duration::from_secs(60);
/// Records of the network that are kept; when there are more, all are dropped ...
pub(crate) const NEARBY_RECORDS_MAX: i64 = 4_096;
/// ... which is looked at this often ...
pub(crate) const NEARBY_RECORDS_EVERY: Duration = Duration::from_secs(2);
/// ... and discovery starts anew after this. So it does when it failed.
pub(crate) const NEARBY_DISCOVER_AGAIN: Duration = Duration::from_secs(30);
/// How often it is looked whether the device is on other networks, in seconds.
pub(crate) const NEARBY_NETWORKS_EVERY_S: u32 = 2;
/// Wait before connections are taken again, after that did not succeed.
pub(crate) const NEARBY_ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// Time to take leave of the network.
pub(crate) const NEARBY_GOODBYE_WITHIN: Duration = Duration::from_secs(1);
/// How often a statement is made again because the log moved under it: twice as often as devices
/// can join at once.
pub(crate) const STATEMENT_RETRIES_MAX: usize = 2 * DEVICES_ACTIVE_MAX;
/// First and longest wait before a statement is made again; each is jittered, so that machines that
/// join together do not go on meeting.
pub(crate) const STATEMENT_AGAIN_FIRST: Duration = Duration::from_millis(5);
/// See [`STATEMENT_AGAIN_FIRST`].
pub(crate) const STATEMENT_AGAIN_MAX: Duration = Duration::from_millis(100);
/// Longest text of an enrolment token.
pub(crate) const TOKEN_BYTES_MAX: usize = 4_096;
/// Longest list of addresses in an enrolment token.
pub(crate) const TOKEN_URL_BYTES_MAX: usize = 2_048;
/// Nothing was heard from the service for this long: what is shown is stale.
pub(crate) const STALE_AFTER_MS: u64 = 60_000;
/// A service that has not taken a frame of entries within this is not waited for: entries flow over
/// peers until it answers.
pub(crate) const TAKEN_WITHIN_MS: u64 = 1_000;
/// Comparisons after which a service that came back counts as having everything, though others go
/// on writing.
pub(crate) const HANDOVER_ROUNDS_MAX: u32 = 8;
/// Links that were opened and wait for the engine.
pub(crate) const LINKS_WAITING_MAX: usize = 16;
/// Devices that are remembered as heard of: as many as may ever be in a log.
pub(crate) const CONTACTS_MAX: usize = 256;
/// First and longest wait before a device is called again; each is jittered up to its double.
pub(crate) const CALL_AGAIN_FIRST_MS: u64 = 250;
/// See [`CALL_AGAIN_FIRST_MS`].
pub(crate) const CALL_AGAIN_MAX_MS: u64 = 15_000;
/// A device that broke the protocol is not called, nor listened to, for this long.
pub(crate) const MISBEHAVED_FOR_MS: u64 = 600_000;
/// Nobody acts on what a device said longer ago.
pub(crate) const NONCE_LIFE_MS: u64 = 60_000;
/// Offers and answers that are followed up at once.
pub(crate) const ATTEMPTS_MAX: usize = 32;

/// Longest message on the data channel of two devices, with the byte that tells what it is.
pub(crate) const LINK_MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// Longest description of a session that is read or made.
pub(crate) const LINK_SDP_BYTES_MAX: usize = 12 * 1024;
/// Most candidates of the other end that are tried; the rest is not looked at.
pub(crate) const LINK_CANDIDATES_MAX: usize = 32;
/// Most addresses of this machine that a link listens on.
pub(crate) const LINK_ADDRESSES_MAX: usize = 8;
/// Most servers of each kind that a link asks.
pub(crate) const ICE_SERVERS_MAX: usize = 4;
/// Time to ask STUN and TURN servers; who has not answered then is left out.
pub(crate) const GATHER_WITHIN: Duration = Duration::from_secs(2);
/// Time between two questions to the same STUN server.
pub(crate) const STUN_AGAIN: Duration = Duration::from_millis(300);
/// Time from both descriptions to an open data channel.
pub(crate) const LINK_OPEN_WITHIN: Duration = Duration::from_secs(10);
/// Frames of the other device that wait for the engine; while they do, nothing is read.
pub(crate) const LINK_INBOUND_FRAMES_MAX: usize = 4;
/// What SCTP may hold that was not taken by the other device.
pub(crate) const LINK_UNSENT_BYTES_MAX: usize = 1024 * 1024;
/// A ping goes out when nothing else did for this long.
pub(crate) const LINK_PING_EVERY: Duration = Duration::from_secs(1);
/// A link is dead when no datagram came for this long.
pub(crate) const LINK_DEAD_AFTER: Duration = Duration::from_secs(6);
/// The driver of a link turns at least once a second: a longer gap is a machine that slept.
pub(crate) const LINK_SLEPT_AFTER: Duration = Duration::from_secs(3);
/// After sleep, what had been waiting at the sockets is no sign of life for this long ...
pub(crate) const LINK_SETTLES_AFTER: Duration = Duration::from_millis(100);
/// ... and a link is dead when nothing new has come by then.
pub(crate) const LINK_WAKES_WITHIN: Duration = Duration::from_secs(1);
/// Time for what was given to a link to go out when its engine is done with it.
pub(crate) const LINK_FINISH_WITHIN: Duration = Duration::from_secs(2);
/// After a restart, the sockets of before are heard for this long.
pub(crate) const LINK_OLD_SOCKETS_FOR: Duration = Duration::from_secs(2);
/// Time for a restart, from its offer to a path.
pub(crate) const LINK_RESTART_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked whether the network or the identity log has changed, or time was slept
/// through.
pub(crate) const PEERS_LOOK_EVERY: Duration = Duration::from_secs(1);
/// A gap of this length between two looks is sleep.
pub(crate) const SLEPT_MS: u64 = 3_000;
/// Time from an offer to its answer.
pub(crate) const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// Time for people to carry an offer, and its answer.
pub(crate) const BY_HAND_WITHIN: Duration = Duration::from_secs(600);
/// Longest text of an offer or answer that is carried by hand.
pub(crate) const PEER_CODE_CHARS_MAX: usize = 32_768;
/// A device says so often that it is there; each time with a new nonce, and the one before stays
/// good: a call is at most twice as old.
pub(crate) const BEACON_EVERY: Duration = Duration::from_secs(30);
/// Signals that wait to be sent.
pub(crate) const OUTBOUND_SIGNALS_MAX: usize = 64;
/// Time for a signal to get away.
pub(crate) const SIGNAL_SENT_WITHIN: Duration = Duration::from_secs(10);
/// The local network is looked at when no service has taken entries for this long.
pub(crate) const NEARBY_AFTER_MS: u64 = 2_000;
