//! The frames of a session.

use bytes::Bytes;
use edge_ledger_core::identity::receipt::ReceiptParts;
use edge_ledger_core::ids::Digest;
use edge_ledger_core::ledger::Run;
use edge_ledger_core::sync::{
    AckParts, Frame, GoAwayReason, Greeting, Hello, Outcome, PeerGreeting, RelayedAck, Welcome,
};

use super::identity::{certificate, certificate_parts};
use super::{ConvertError, fixed, known, present, signature};
use crate::identity::ReceiptedStatement;
use crate::ledger::{self, frame::Message};

impl From<Frame> for ledger::Frame {
    fn from(frame: Frame) -> Self {
        let message = match frame {
            Frame::Greeting(greeting) => Message::Greeting(greeting.into()),
            Frame::Hello(hello) => Message::Hello(hello.into()),
            Frame::Welcome(welcome) => Message::Welcome(welcome.into()),
            Frame::Heads(heads) => Message::Heads(heads.into()),
            Frame::LogWanted { after_position } => {
                Message::LogWanted(ledger::LogWanted { after_position })
            }
            Frame::Statements(parts) => Message::Statements(ledger::Statements {
                statements: parts.into_iter().map(ReceiptedStatement::from).collect(),
            }),
            Frame::Runs { frame_id, runs } => Message::Runs(ledger::Runs {
                frame_id,
                runs: runs.into_iter().map(ledger::Run::from).collect(),
            }),
            Frame::Taken { frame_id, outcomes } => Message::Taken(ledger::Taken {
                frame_id,
                runs: outcomes.into_iter().map(ledger::RunTaken::from).collect(),
            }),
            Frame::Acks(acks) => Message::Acks(ledger::Acks {
                acks: acks.into_iter().map(ledger::Ack::from).collect(),
            }),
            Frame::Locator(points) => Message::Locator(points.into()),
            Frame::Ping { ping_id, digest } => Message::Ping(ledger::Ping {
                ping_id,
                digest: Bytes::copy_from_slice(digest.as_bytes()),
            }),
            Frame::Pong { ping_id, digest } => Message::Pong(ledger::Pong {
                ping_id,
                digest: Bytes::copy_from_slice(digest.as_bytes()),
            }),
            Frame::GoAway {
                reason,
                retry_after_ms,
            } => Message::GoAway(ledger::GoAway {
                reason: ledger::GoAwayReason::from(reason).into(),
                retry_after_ms,
            }),
            Frame::PeerGreeting(greeting) => Message::PeerGreeting(ledger::PeerGreeting {
                body: greeting.body,
            }),
            Frame::PeerHello(hello) => Message::PeerHello(hello.into()),
            Frame::PeerWelcome(welcome) => Message::PeerWelcome(welcome.into()),
            Frame::Flow { wanted } => Message::Flow(ledger::Flow { wanted }),
            Frame::RelayedAcks(acks) => Message::RelayedAcks(ledger::RelayedAcks {
                acks: acks.into_iter().map(ledger::RelayedAck::from).collect(),
            }),
        };
        Self {
            message: Some(message),
        }
    }
}

impl TryFrom<ledger::Frame> for Frame {
    type Error = ConvertError;

    fn try_from(frame: ledger::Frame) -> Result<Self, ConvertError> {
        Ok(match present("frame.message", frame.message)? {
            Message::Greeting(greeting) => Self::Greeting(greeting.try_into()?),
            Message::Hello(hello) => Self::Hello(hello.try_into()?),
            Message::Welcome(welcome) => Self::Welcome(welcome.try_into()?),
            Message::Heads(heads) => Self::Heads(heads.try_into()?),
            Message::LogWanted(wanted) => Self::LogWanted {
                after_position: wanted.after_position,
            },
            Message::Statements(statements) => {
                Self::Statements(all::<_, ReceiptParts>(statements.statements)?)
            }
            Message::Runs(runs) => Self::Runs {
                frame_id: runs.frame_id,
                runs: all::<_, Run>(runs.runs)?,
            },
            Message::Taken(taken) => Self::Taken {
                frame_id: taken.frame_id,
                outcomes: all::<_, Outcome>(taken.runs)?,
            },
            Message::Acks(acks) => Self::Acks(all::<_, AckParts>(acks.acks)?),
            Message::Locator(locator) => Self::Locator(locator.try_into()?),
            Message::Ping(ping) => Self::Ping {
                ping_id: ping.ping_id,
                digest: Digest::from_bytes(fixed("ping.digest", &ping.digest)?),
            },
            Message::Pong(pong) => Self::Pong {
                ping_id: pong.ping_id,
                digest: Digest::from_bytes(fixed("pong.digest", &pong.digest)?),
            },
            Message::GoAway(go_away) => Self::GoAway {
                reason: known::<ledger::GoAwayReason>("go_away.reason", go_away.reason)?
                    .try_into()?,
                retry_after_ms: go_away.retry_after_ms,
            },
            Message::PeerGreeting(greeting) => Self::PeerGreeting(PeerGreeting {
                body: greeting.body,
            }),
            Message::PeerHello(hello) => Self::PeerHello(hello.try_into()?),
            Message::PeerWelcome(welcome) => Self::PeerWelcome(welcome.try_into()?),
            Message::Flow(ledger::Flow { wanted }) => Self::Flow { wanted },
            Message::RelayedAcks(acks) => Self::RelayedAcks(all::<_, RelayedAck>(acks.acks)?),
        })
    }
}

fn all<W, D: TryFrom<W>>(wire: Vec<W>) -> Result<Vec<D>, D::Error> {
    wire.into_iter().map(D::try_from).collect()
}

impl From<Greeting> for ledger::Greeting {
    fn from(greeting: Greeting) -> Self {
        Self {
            body: greeting.body,
            certificate: Some(certificate(
                greeting.certificate_body,
                &greeting.certificate_signature,
            )),
            signature: Bytes::copy_from_slice(greeting.signature.as_bytes()),
        }
    }
}

impl TryFrom<ledger::Greeting> for Greeting {
    type Error = ConvertError;

    fn try_from(greeting: ledger::Greeting) -> Result<Self, ConvertError> {
        let (certificate_body, certificate_signature) =
            certificate_parts("greeting.certificate", greeting.certificate)?;
        Ok(Self {
            body: greeting.body,
            certificate_body,
            certificate_signature,
            signature: signature("greeting.signature", &greeting.signature)?,
        })
    }
}

impl From<Hello> for ledger::Hello {
    fn from(hello: Hello) -> Self {
        Self {
            body: hello.body,
            proof: Bytes::copy_from_slice(hello.proof.as_bytes()),
        }
    }
}

impl TryFrom<ledger::Hello> for Hello {
    type Error = ConvertError;

    fn try_from(hello: ledger::Hello) -> Result<Self, ConvertError> {
        Ok(Self {
            body: hello.body,
            proof: signature("hello.proof", &hello.proof)?,
        })
    }
}

impl From<Welcome> for ledger::Welcome {
    fn from(welcome: Welcome) -> Self {
        Self {
            body: welcome.body,
            signature: Bytes::copy_from_slice(welcome.signature.as_bytes()),
        }
    }
}

impl TryFrom<ledger::Welcome> for Welcome {
    type Error = ConvertError;

    fn try_from(welcome: ledger::Welcome) -> Result<Self, ConvertError> {
        Ok(Self {
            body: welcome.body,
            signature: signature("welcome.signature", &welcome.signature)?,
        })
    }
}

impl From<GoAwayReason> for ledger::GoAwayReason {
    fn from(reason: GoAwayReason) -> Self {
        match reason {
            GoAwayReason::Draining => Self::Draining,
            GoAwayReason::Superseded => Self::Superseded,
            GoAwayReason::DeviceRevoked => Self::DeviceRevoked,
        }
    }
}

impl TryFrom<ledger::GoAwayReason> for GoAwayReason {
    type Error = ConvertError;

    fn try_from(reason: ledger::GoAwayReason) -> Result<Self, ConvertError> {
        match reason {
            ledger::GoAwayReason::Unspecified => Err(ConvertError::range("go_away.reason")),
            ledger::GoAwayReason::Draining => Ok(Self::Draining),
            ledger::GoAwayReason::Superseded => Ok(Self::Superseded),
            ledger::GoAwayReason::DeviceRevoked => Ok(Self::DeviceRevoked),
        }
    }
}
