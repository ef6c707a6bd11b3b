use super::*;

use proptest::prelude::*;

fn frame(length: usize) -> Bytes {
    (0..length).map(|at| (at % 251) as u8).collect()
}

fn joined(joiner: &mut Joiner, messages: impl IntoIterator<Item = Vec<u8>>) -> Vec<Message> {
    let taken = messages
        .into_iter()
        .map(|message| joiner.take(&message).expect("a good message"));
    taken.flatten().collect()
}

#[test]
fn frames_at_every_edge_come_out_as_they_went_in() {
    let lengths = [
        0,
        1,
        PIECE_BYTES_MAX - 1,
        PIECE_BYTES_MAX,
        PIECE_BYTES_MAX + 1,
        2 * PIECE_BYTES_MAX,
        2 * PIECE_BYTES_MAX + 1,
        FRAME_BYTES_MAX - 1,
        FRAME_BYTES_MAX,
    ];
    let mut joiner = Joiner::default();
    for length in lengths {
        let pieces: Vec<_> = Pieces::of(frame(length)).expect("it fits").collect();
        assert_eq!(pieces.len(), length.div_ceil(PIECE_BYTES_MAX).max(1));
        assert!(pieces.iter().all(|p| p.len() <= LINK_MESSAGE_BYTES_MAX));
        let whole = joined(&mut joiner, pieces);
        assert!(whole == [Message::Frame(frame(length))], "{length} bytes");
    }
}

#[test]
fn a_frame_above_the_limit_is_neither_cut_nor_joined() {
    let cut = Pieces::of(frame(FRAME_BYTES_MAX + 1));
    assert_eq!(cut.err(), Some(FramingError::FrameTooLong));

    for last in [MORE, LAST] {
        let mut joiner = Joiner::default();
        let full = message(MORE, &frame(PIECE_BYTES_MAX));
        for _ in 0..FRAME_BYTES_MAX / PIECE_BYTES_MAX {
            assert_eq!(joiner.take(&full), Ok(None));
        }
        let left = FRAME_BYTES_MAX % PIECE_BYTES_MAX;
        let over = message(last, &frame(left + 1));
        assert_eq!(joiner.take(&over), Err(FramingError::FrameTooLong));
        // What was refused is not kept, and what fits still does.
        assert_eq!(joiner.held.len(), FRAME_BYTES_MAX - left);
        let fits = joiner.take(&message(LAST, &frame(left)));
        assert!(matches!(fits, Ok(Some(Message::Frame(whole))) if whole.len() == FRAME_BYTES_MAX));
    }
}

#[test]
fn a_message_above_the_limit_is_refused() {
    let mut joiner = Joiner::default();
    let longest = message(LAST, &frame(PIECE_BYTES_MAX));
    assert!(matches!(joiner.take(&longest), Ok(Some(_))));
    for kind in [MORE, LAST, PING, CONTROL, 200] {
        let longer = message(kind, &frame(PIECE_BYTES_MAX + 1));
        let refused = Err(FramingError::MessageTooLong(LINK_MESSAGE_BYTES_MAX + 1));
        assert_eq!(joiner.take(&longer), refused);
    }
    assert!(control(&frame(PIECE_BYTES_MAX)).is_some());
    assert_eq!(control(&frame(PIECE_BYTES_MAX + 1)), None);
}

#[test]
fn what_is_no_message_is_refused() {
    let mut joiner = Joiner::default();
    assert_eq!(joiner.take(&[]), Err(FramingError::Empty));
    assert_eq!(joiner.take(&[MORE]), Err(FramingError::Content));
    assert_eq!(joiner.take(&[PING, 0]), Err(FramingError::Content));
    for kind in 4..=u8::MAX {
        assert_eq!(joiner.take(&[kind]), Err(FramingError::Kind(kind)));
    }
}

#[test]
fn pings_and_control_messages_come_between_pieces() {
    let mut joiner = Joiner::default();
    let mut messages: Vec<_> = Pieces::of(frame(2 * PIECE_BYTES_MAX)).unwrap().collect();
    messages.insert(1, ping());
    messages.insert(1, control(b"word").unwrap());
    let expected = [
        Message::Control(Bytes::from_static(b"word")),
        Message::Ping,
        Message::Frame(frame(2 * PIECE_BYTES_MAX)),
    ];
    assert_eq!(joined(&mut joiner, messages), expected);
}

proptest! {
    /// However a sender cuts its frames, they are the same when they are joined.
    #[test]
    fn any_cut_joins_to_the_same(
        frames in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any::<u8>(), 1..400), 1..8),
            1..8,
        ),
    ) {
        let mut joiner = Joiner::default();
        for pieces in frames {
            let whole: Bytes = pieces.concat().into();
            let last = pieces.len() - 1;
            let messages = pieces
                .iter()
                .enumerate()
                .map(|(at, piece)| message(if at == last { LAST } else { MORE }, piece));
            prop_assert_eq!(joined(&mut joiner, messages), vec![Message::Frame(whole)]);
        }
    }

    #[test]
    fn our_own_cut_joins_to_the_same(length in 0..FRAME_BYTES_MAX) {
        let pieces = Pieces::of(frame(length)).expect("it fits");
        let whole = joined(&mut Joiner::default(), pieces);
        prop_assert!(whole == vec![Message::Frame(frame(length))]);
    }

    /// Nothing that arrives makes it panic, and it never holds more than a frame.
    #[test]
    fn nonsense_is_bounded(
        messages in prop::collection::vec(
            (0_u8..6, prop::collection::vec(any::<u8>(), 0..LINK_MESSAGE_BYTES_MAX + 2)),
            0..100,
        ),
    ) {
        let mut joiner = Joiner::default();
        for (kind, content) in messages {
            let _ = joiner.take(&message(kind, &content));
            prop_assert!(joiner.held.len() <= FRAME_BYTES_MAX);
        }
    }
}
