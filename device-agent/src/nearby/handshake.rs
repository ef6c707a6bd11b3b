//! How the two ends of a connection find out that they are devices of one identity, and how a
//! stranger finds out nothing: neither who is here, nor why it was left.

use std::io;

use bytes::Bytes;
use curve25519_dalek::MontgomeryPoint;
use edge_ledger_core::tags::Tag;
use edge_ledger_proto::signal as pb;
use prost::Message as _;
use subtle::ConstantTimeEq as _;
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use super::sealed::{Opener, Sealer};
use super::wire::{read_message, write_message};
use crate::limits::NEARBY_UNPROVEN_BYTES_MAX;

/// Which end of a connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It dialled.
    Dialler,
    /// It was dialled.
    Listener,
}

impl Role {
    fn byte(self) -> u8 {
        match self {
            Self::Dialler => 1,
            Self::Listener => 2,
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Listener,
            Self::Listener => Self::Dialler,
        }
    }
}

/// The other end broke off, said something else, or knows another rendezvous: nobody needs to know
/// which.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other end did not prove itself")]
pub(super) struct Unproven;

impl From<io::Error> for Unproven {
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// What both ends have told each other, and the rendezvous that they may have in common.
struct Talk<'a> {
    rendezvous: &'a [u8; 32],
    dialler: [u8; 32],
    listener: [u8; 32],
}

impl Talk<'_> {
    /// That an end knows the rendezvous, in this talk.
    fn proof(&self, of: Role) -> [u8; 32] {
        let parts: [&[u8]; 4] = [self.rendezvous, &[of.byte()], &self.dialler, &self.listener];
        Tag::NearbyProof.hash_unbound(&parts)
    }

    /// The key of what an end sends.
    fn key(&self, of: Role, shared: &[u8; 32]) -> Zeroizing<[u8; 32]> {
        let parts: [&[u8]; 5] = [
            self.rendezvous,
            shared,
            &[of.byte()],
            &self.dialler,
            &self.listener,
        ];
        Zeroizing::new(Tag::NearbyKey.hash_unbound(&parts))
    }
}

/// Proves to the other end that this one knows the rendezvous, and has it do the same. The dialler
/// goes first: who only listens tells nobody anything but a key that is made for this connection.
///
/// The caller sets the deadline.
pub(super) async fn prove<S>(
    stream: &mut S,
    role: Role,
    rendezvous: &[u8; 32],
) -> Result<(Sealer, Opener), Unproven>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let secret: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
    let ours = MontgomeryPoint::mul_base_clamped(*secret);
    let greeting = pb::NearbyGreeting {
        key: Bytes::copy_from_slice(ours.as_bytes()),
    };
    write_message(stream, &greeting.encode_to_vec()).await?;
    let theirs = read_message(stream, NEARBY_UNPROVEN_BYTES_MAX).await?;
    let theirs = pb::NearbyGreeting::decode(theirs).map_err(|_| Unproven)?;
    let theirs: [u8; 32] = theirs.key[..].try_into().map_err(|_| Unproven)?;
    let (dialler, listener) = match role {
        Role::Dialler => (ours.to_bytes(), theirs),
        Role::Listener => (theirs, ours.to_bytes()),
    };
    let talk = Talk {
        rendezvous,
        dialler,
        listener,
    };
    match role {
        Role::Dialler => {
            tell(stream, talk.proof(role)).await?;
            hear(stream, talk.proof(role.other())).await?;
        }
        Role::Listener => {
            hear(stream, talk.proof(role.other())).await?;
            tell(stream, talk.proof(role)).await?;
        }
    }
    let shared = MontgomeryPoint(theirs).mul_clamped(*secret);
    let shared = Zeroizing::new(shared.to_bytes());
    Ok((
        Sealer::new(&talk.key(role, &shared)),
        Opener::new(&talk.key(role.other(), &shared)),
    ))
}

async fn tell<S: AsyncWrite + Unpin>(stream: &mut S, proof: [u8; 32]) -> Result<(), Unproven> {
    let message = pb::NearbyProof {
        proof: Bytes::copy_from_slice(&proof),
    };
    Ok(write_message(stream, &message.encode_to_vec()).await?)
}

async fn hear<S: AsyncRead + Unpin>(stream: &mut S, expected: [u8; 32]) -> Result<(), Unproven> {
    let message = read_message(stream, NEARBY_UNPROVEN_BYTES_MAX).await?;
    let message = pb::NearbyProof::decode(message).map_err(|_| Unproven)?;
    let right = message.proof.ct_eq(&expected);
    if bool::from(right) {
        Ok(())
    } else {
        Err(Unproven)
    }
}

#[cfg(test)]
mod tests;
