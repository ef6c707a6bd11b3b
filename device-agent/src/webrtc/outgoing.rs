//! What goes out, message by message: the channel takes one or refuses it, and then it is offered
//! again.

use std::collections::VecDeque;

use super::framing::{self, Pieces};

#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// The message that is offered next.
    next: Option<Vec<u8>>,
    /// Messages that go before the rest of the frame.
    first: VecDeque<Vec<u8>>,
    pieces: Option<Pieces>,
    /// Whether the channel refused the next one, and nothing has happened since.
    refused: bool,
}

impl Outgoing {
    /// Whether the next frame may come.
    pub(super) fn is_empty(&self) -> bool {
        self.next.is_none() && self.first.is_empty() && self.pieces.is_none()
    }

    pub(super) fn frame(&mut self, pieces: Pieces) {
        self.pieces = Some(pieces);
        self.advance();
    }

    /// A message that does not wait for the end of a frame. There are few of them: one ping when
    /// nothing else goes out, and what a restart says.
    pub(super) fn before_the_rest(&mut self, message: Vec<u8>) {
        self.first.push_back(message);
        self.advance();
    }

    pub(super) fn ping(&mut self) {
        self.before_the_rest(framing::ping());
    }

    /// The message to offer, unless it was refused just now.
    pub(super) fn offer(&self) -> Option<&[u8]> {
        if self.refused {
            return None;
        }
        self.next.as_deref()
    }

    pub(super) fn taken(&mut self) {
        self.next = None;
        self.advance();
    }

    pub(super) fn was_refused(&mut self) {
        self.refused = true;
    }

    /// Something happened that may have made room.
    pub(super) fn try_again(&mut self) {
        self.refused = false;
    }

    fn advance(&mut self) {
        if self.next.is_none() {
            self.next = self.first.pop_front();
        }
        if self.next.is_none()
            && let Some(pieces) = &mut self.pieces
        {
            self.next = pieces.next();
        }
        if self.pieces.as_ref().is_some_and(Pieces::is_done) {
            self.pieces = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::framing::PIECE_BYTES_MAX;

    fn sent(outgoing: &mut Outgoing) -> Vec<usize> {
        let mut lengths = Vec::new();
        while let Some(message) = outgoing.offer() {
            lengths.push(message.len());
            outgoing.taken();
        }
        lengths
    }

    #[test]
    fn pieces_go_out_in_turn_and_pings_between_them() {
        let mut outgoing = Outgoing::default();
        assert!(outgoing.is_empty());
        let frame = vec![7; PIECE_BYTES_MAX + 10].into();
        outgoing.frame(Pieces::of(frame).expect("it fits"));
        outgoing.ping();
        assert!(!outgoing.is_empty());
        assert_eq!(sent(&mut outgoing), [PIECE_BYTES_MAX + 1, 1, 11]);
        assert!(outgoing.is_empty());
    }

    #[test]
    fn a_refused_message_is_offered_again() {
        let mut outgoing = Outgoing::default();
        outgoing.ping();
        outgoing.was_refused();
        assert_eq!(outgoing.offer(), None);
        assert!(!outgoing.is_empty());
        outgoing.try_again();
        assert_eq!(sent(&mut outgoing), [1]);
    }
}
