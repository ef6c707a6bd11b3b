//! What ends by itself is let go by the server too.

use bytes::Bytes;
use edge_ledger_core::ids::IdentityId;
use edge_ledger_store::conformance::fixtures::{Device, NOW_MS, fresh_bytes, fresh_identity};
use edge_ledger_store::identity::{LinkSide, StoredSession};
use edge_ledger_store::redis::RedisConfig;
use edge_ledger_store::redis::server::Server;

use super::conforming::stores;

/// For how long the server keeps a key, in milliseconds.
fn kept_ms(server: &Server, key: &str) -> i64 {
    let answer = server.command(&format!("PTTL {key}"));
    answer.trim().trim_start_matches(':').parse().unwrap()
}

#[tokio::test]
async fn it_is_kept_a_minute_longer_and_no_more() {
    let server = Server::start();
    let stores = stores(RedisConfig::new(server.url()), ()).await;
    let identity = fresh_identity();
    let (nonce, token, link) = (fresh_bytes(), fresh_bytes(), fresh_bytes());
    let hex = |bytes| IdentityId::from_bytes(bytes).to_string();
    let expires_ms = NOW_MS + 30_000;
    let session = StoredSession {
        device: Device::new(identity).id,
        expires_ms,
    };
    let store = &stores.identity;
    assert!(
        store
            .redeem_challenge(identity, nonce, expires_ms, NOW_MS)
            .await
            .unwrap()
    );
    store
        .open_session(identity, token, session, NOW_MS)
        .await
        .unwrap();
    store.open_link(link, expires_ms, NOW_MS).await.unwrap();
    store.join_link(link, NOW_MS).await.unwrap();
    let message = Bytes::from_static(b"hello");
    store
        .post_link(link, LinkSide::Joiner, message, NOW_MS)
        .await
        .unwrap();
    for key in [
        format!("el:nonce:{{{identity}}}:{}", hex(nonce)),
        format!("el:session:{{{identity}}}:{}", hex(token)),
        format!("el:link:{{{}}}", hex(link)),
    ] {
        let kept_ms = kept_ms(&server, &key);
        assert!((70_000..=90_000).contains(&kept_ms), "{key}: {kept_ms}");
    }
    assert_eq!(server.command("DBSIZE").trim(), ":3");
    // Times that no clock shows are no reason to fail.
    let far = StoredSession {
        expires_ms: i64::MAX,
        ..session
    };
    store
        .open_session(identity, fresh_bytes(), far, NOW_MS)
        .await
        .unwrap();
    store
        .open_link(fresh_bytes(), i64::MAX, i64::MIN)
        .await
        .unwrap();
}
