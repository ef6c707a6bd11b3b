//! Frames as messages of the data channel.
//!
//! A message is one byte that tells what it is, and at most [`PIECE_BYTES_MAX`] bytes. A frame is
//! cut into pieces; other messages may come between them, pieces of another frame may not.

use bytes::{Bytes, BytesMut};
use edge_ledger_core::limits::FRAME_BYTES_MAX;

use crate::limits::LINK_MESSAGE_BYTES_MAX;

/// Longest content of one message.
pub(super) const PIECE_BYTES_MAX: usize = LINK_MESSAGE_BYTES_MAX - 1;

/// A piece of a frame that goes on.
const MORE: u8 = 0;
/// The last piece of a frame.
const LAST: u8 = 1;
/// A sign of life, without content.
const PING: u8 = 2;
/// A word between the two links themselves.
const CONTROL: u8 = 3;

/// What is wrong with a message, or with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FramingError {
    /// A message without a byte in it.
    #[error("an empty message")]
    Empty,
    /// A message above the limit.
    #[error("a message of {0} bytes")]
    MessageTooLong(usize),
    /// A message of an unknown kind.
    #[error("a message of kind {0}")]
    Kind(u8),
    /// A piece that brings nothing, or a ping that brings something.
    #[error("a message with the wrong content")]
    Content,
    /// Pieces that add up to more than a frame may have.
    #[error("a frame that is longer than {FRAME_BYTES_MAX} bytes")]
    FrameTooLong,
    /// Text, where only bytes are spoken.
    #[error("a message of text")]
    Text,
}

/// What a message, or the last of several, turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// A whole frame, encoded.
    Frame(Bytes),
    Ping,
    Control(Bytes),
}

/// Joins pieces to frames.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    held: BytesMut,
}

impl Joiner {
    /// Takes the next message; `None` when it was a piece and more of them are to come.
    pub(super) fn take(&mut self, message: &[u8]) -> Result<Option<Message>, FramingError> {
        if message.len() > LINK_MESSAGE_BYTES_MAX {
            return Err(FramingError::MessageTooLong(message.len()));
        }
        let (&kind, content) = message.split_first().ok_or(FramingError::Empty)?;
        match kind {
            MORE if content.is_empty() => Err(FramingError::Content),
            MORE => {
                self.join(content)?;
                Ok(None)
            }
            LAST => {
                self.join(content)?;
                Ok(Some(Message::Frame(self.held.split().freeze())))
            }
            PING if content.is_empty() => Ok(Some(Message::Ping)),
            PING => Err(FramingError::Content),
            CONTROL => Ok(Some(Message::Control(Bytes::copy_from_slice(content)))),
            kind => Err(FramingError::Kind(kind)),
        }
    }

    fn join(&mut self, content: &[u8]) -> Result<(), FramingError> {
        if self.held.len() + content.len() > FRAME_BYTES_MAX {
            return Err(FramingError::FrameTooLong);
        }
        self.held.extend_from_slice(content);
        Ok(())
    }
}

/// A frame that is being cut: its messages, one after the other.
#[derive(Debug)]
pub(super) struct Pieces {
    rest: Option<Bytes>,
}

impl Pieces {
    pub(super) fn of(frame: Bytes) -> Result<Self, FramingError> {
        if frame.len() > FRAME_BYTES_MAX {
            return Err(FramingError::FrameTooLong);
        }
        Ok(Self { rest: Some(frame) })
    }

    /// Whether all pieces were taken.
    pub(super) fn is_done(&self) -> bool {
        self.rest.is_none()
    }
}

impl Iterator for Pieces {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut rest = self.rest.take()?;
        if rest.len() <= PIECE_BYTES_MAX {
            return Some(message(LAST, &rest));
        }
        let piece = rest.split_to(PIECE_BYTES_MAX);
        self.rest = Some(rest);
        Some(message(MORE, &piece))
    }
}

/// A ping.
pub(super) fn ping() -> Vec<u8> {
    message(PING, &[])
}

/// A control message; `None` when it does not fit into one.
pub(super) fn control(content: &[u8]) -> Option<Vec<u8>> {
    (content.len() <= PIECE_BYTES_MAX).then(|| message(CONTROL, content))
}

fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(1 + content.len());
    message.push(kind);
    message.extend_from_slice(content);
    message
}

#[cfg(test)]
mod tests;
