//! Link sessions.

use bytes::Bytes;

use super::Stores;
use super::fixtures::{NOW_MS, fresh_bytes};
use crate::identity::{LINK_MESSAGES_MAX, LinkInbox, LinkOutcome, LinkSide};

const EXPIRES_MS: i64 = NOW_MS + 120_000;

async fn open(stores: &Stores) -> [u8; 32] {
    let session = fresh_bytes();
    let outcome = stores
        .identity
        .open_link(session, EXPIRES_MS, NOW_MS)
        .await
        .unwrap();
    assert_eq!(outcome, LinkOutcome::Done);
    session
}

async fn post(stores: &Stores, session: [u8; 32], from: LinkSide, text: &str) -> LinkOutcome {
    let message = Bytes::copy_from_slice(text.as_bytes());
    stores
        .identity
        .post_link(session, from, message, NOW_MS)
        .await
        .unwrap()
}

async fn inbox(stores: &Stores, session: [u8; 32], side: LinkSide, after: usize) -> LinkInbox {
    stores
        .identity
        .link_inbox(session, side, after, NOW_MS)
        .await
        .unwrap()
        .unwrap()
}

/// A message that is left again, because the answer was lost, is there once.
pub async fn messages_reach_the_other_side_in_order(stores: &Stores) {
    let session = open(stores).await;
    stores.identity.join_link(session, NOW_MS).await.unwrap();
    for text in ["one", "one", "two", "two", "one"] {
        assert_eq!(
            post(stores, session, LinkSide::Opener, text).await,
            LinkOutcome::Done
        );
    }
    post(stores, session, LinkSide::Joiner, "answer").await;
    let all = inbox(stores, session, LinkSide::Joiner, 0).await;
    assert_eq!(all.messages, ["one", "two", "one"]);
    assert_eq!(
        inbox(stores, session, LinkSide::Joiner, 2).await.messages,
        ["one"]
    );
    for after in [3, 4, usize::MAX] {
        let none = inbox(stores, session, LinkSide::Joiner, after)
            .await
            .messages;
        assert!(none.is_empty());
    }
    assert_eq!(
        inbox(stores, session, LinkSide::Opener, 0).await.messages,
        ["answer"]
    );
}

/// Also when many try at once.
pub async fn a_link_session_is_joined_once(stores: &Stores) {
    let session = open(stores).await;
    assert!(!inbox(stores, session, LinkSide::Opener, 0).await.joined);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let identities = stores.identity.clone();
        tasks.spawn(async move { identities.join_link(session, NOW_MS).await.unwrap() });
    }
    let outcomes = tasks.join_all().await;
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| **outcome == LinkOutcome::Done)
            .count(),
        1
    );
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| **outcome == LinkOutcome::Taken)
            .count(),
        15
    );
    assert!(inbox(stores, session, LinkSide::Opener, 0).await.joined);
    let nobody = stores
        .identity
        .join_link(fresh_bytes(), NOW_MS)
        .await
        .unwrap();
    assert_eq!(nobody, LinkOutcome::Gone);
}

/// By its time, or when it is closed; closing twice is no error.
pub async fn a_link_session_ends(stores: &Stores) {
    let (late, closed) = (open(stores).await, open(stores).await);
    for _ in 0..2 {
        stores.identity.close_link(closed).await.unwrap();
    }
    for (session, now_ms) in [(late, EXPIRES_MS), (closed, NOW_MS)] {
        let message = Bytes::from_static(b"late");
        let posted = stores
            .identity
            .post_link(session, LinkSide::Opener, message, now_ms)
            .await;
        assert_eq!(posted.unwrap(), LinkOutcome::Gone);
        let joined = stores.identity.join_link(session, now_ms).await.unwrap();
        assert_eq!(joined, LinkOutcome::Gone);
        let inbox = stores
            .identity
            .link_inbox(session, LinkSide::Joiner, 0, now_ms)
            .await;
        assert_eq!(inbox.unwrap(), None);
    }
    let before = stores
        .identity
        .link_inbox(late, LinkSide::Joiner, 0, EXPIRES_MS - 1)
        .await;
    assert!(before.unwrap().is_some());
}

/// The other side's count is its own.
pub async fn a_side_leaves_only_so_many_messages(stores: &Stores) {
    let session = open(stores).await;
    for index in 0..LINK_MESSAGES_MAX {
        let outcome = post(stores, session, LinkSide::Opener, &index.to_string()).await;
        assert_eq!(outcome, LinkOutcome::Done);
    }
    assert_eq!(
        post(stores, session, LinkSide::Opener, "more").await,
        LinkOutcome::Taken
    );
    assert_eq!(
        post(stores, session, LinkSide::Joiner, "mine").await,
        LinkOutcome::Done
    );
    let messages = inbox(stores, session, LinkSide::Joiner, 0).await.messages;
    assert_eq!(messages.len(), LINK_MESSAGES_MAX);
}

/// Before it ended; afterwards it starts anew.
pub async fn a_name_in_use_is_not_opened_again(stores: &Stores) {
    let session = open(stores).await;
    post(stores, session, LinkSide::Opener, "first").await;
    let again = stores
        .identity
        .open_link(session, EXPIRES_MS + 9, NOW_MS)
        .await
        .unwrap();
    assert_eq!(again, LinkOutcome::Taken);
    assert_eq!(
        inbox(stores, session, LinkSide::Joiner, 0).await.messages,
        ["first"]
    );
    stores.identity.close_link(session).await.unwrap();
    let anew = stores
        .identity
        .open_link(session, EXPIRES_MS, NOW_MS)
        .await
        .unwrap();
    assert_eq!(anew, LinkOutcome::Done);
    let nothing = LinkInbox {
        joined: false,
        messages: Vec::new(),
    };
    assert_eq!(inbox(stores, session, LinkSide::Joiner, 0).await, nothing);
}
