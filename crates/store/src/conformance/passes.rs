//! Nonces and sessions.

use super::Stores;
use super::fixtures::{Device, NOW_MS, fresh_bytes, fresh_identity};
use crate::identity::StoredSession;

const LIFE_MS: i64 = 60_000;

/// Another nonce, and the same nonce of another identity, are others.
pub async fn a_nonce_is_redeemed_once(stores: &Stores) {
    let (identity, other) = (fresh_identity(), fresh_identity());
    let (nonce, expires_ms) = (fresh_bytes(), NOW_MS + LIFE_MS);
    let redeem = |identity, nonce, now_ms| {
        stores
            .identity
            .redeem_challenge(identity, nonce, expires_ms, now_ms)
    };
    assert!(redeem(identity, nonce, NOW_MS).await.unwrap());
    for now_ms in [NOW_MS, NOW_MS + 1, expires_ms] {
        assert!(!redeem(identity, nonce, now_ms).await.unwrap());
    }
    assert!(redeem(identity, fresh_bytes(), NOW_MS).await.unwrap());
    assert!(redeem(other, nonce, NOW_MS).await.unwrap());
}

/// It is worthless after its time, used or not.
pub async fn an_expired_nonce_is_not_redeemed(stores: &Stores) {
    let identity = fresh_identity();
    let (nonce, expires_ms) = (fresh_bytes(), NOW_MS + LIFE_MS);
    let redeem = |now_ms| {
        stores
            .identity
            .redeem_challenge(identity, nonce, expires_ms, now_ms)
    };
    assert!(!redeem(expires_ms + 1).await.unwrap());
    assert!(redeem(NOW_MS).await.unwrap());
    assert!(!redeem(expires_ms + 1).await.unwrap());
}

/// However many try.
pub async fn of_concurrent_redemptions_one_succeeds(stores: &Stores) {
    for _ in 0..10 {
        let (identity, nonce) = (fresh_identity(), fresh_bytes());
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let identities = stores.identity.clone();
            tasks.spawn(async move {
                let expires_ms = NOW_MS + LIFE_MS;
                identities
                    .redeem_challenge(identity, nonce, expires_ms, NOW_MS)
                    .await
                    .unwrap()
            });
        }
        let redeemed = tasks.join_all().await;
        assert_eq!(redeemed.into_iter().filter(|redeemed| *redeemed).count(), 1);
    }
}

/// By the time that the caller names; opening it again moves its end.
pub async fn a_session_is_there_until_it_ends(stores: &Stores) {
    let (identity, token) = (fresh_identity(), fresh_bytes());
    let device = Device::new(identity).id;
    let session = |now_ms| stores.identity.session(identity, token, now_ms);
    assert_eq!(session(NOW_MS).await.unwrap(), None);
    for life_ms in [LIFE_MS, LIFE_MS, 2 * LIFE_MS] {
        let stored = StoredSession {
            device,
            expires_ms: NOW_MS + life_ms,
        };
        stores
            .identity
            .open_session(identity, token, stored, NOW_MS)
            .await
            .unwrap();
        for now_ms in [NOW_MS, NOW_MS + life_ms - 1] {
            assert_eq!(session(now_ms).await.unwrap(), Some(stored));
        }
        for now_ms in [NOW_MS + life_ms, NOW_MS + life_ms + 1] {
            assert_eq!(session(now_ms).await.unwrap(), None);
        }
    }
    let elsewhere = stores
        .identity
        .session(fresh_identity(), token, NOW_MS)
        .await
        .unwrap();
    assert_eq!(elsewhere, None);
    assert_eq!(
        stores
            .identity
            .session(identity, fresh_bytes(), NOW_MS)
            .await
            .unwrap(),
        None
    );
}
