//! Who may use the device: its user, and nobody else, not even root.
//!
//! The modes of folder and socket keep others away already. This holds also where somebody changed
//! them, or handed the socket on.

use std::io;

use tokio::net::{UnixListener, UnixStream};

/// A socket that lets in one user.
#[derive(Debug)]
pub(super) struct Door {
    listener: UnixListener,
    owner: u32,
}

impl Door {
    /// Lets in the user with this id.
    pub(super) fn new(listener: UnixListener, owner: u32) -> Self {
        Self { listener, owner }
    }

    /// The next who comes; none if it was somebody else, who is gone already and was told nothing.
    pub(super) async fn next(&self) -> io::Result<Option<UnixStream>> {
        let (stream, _) = self.listener.accept().await?;
        let who = stream.peer_cred().map(|who| who.uid());
        Ok(may_ask(who.as_ref().ok().copied(), self.owner).then_some(stream))
    }
}

/// Whether somebody may use the device; one of whom the system does not say who it is may not.
fn may_ask(who: Option<u32>, owner: u32) -> bool {
    who == Some(owner)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn only_the_owner_may_ask() {
        for (who, owner, may) in [
            (Some(1_000), 1_000, true),
            (Some(1_001), 1_000, false),
            (Some(0), 1_000, false),
            (Some(1_000), 0, false),
            (None, 0, false),
        ] {
            assert_eq!(may_ask(who, owner), may, "{who:?} at {owner}");
        }
    }

    /// This process is another user to a door of somebody else.
    #[tokio::test]
    async fn another_user_is_turned_away_without_a_word() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("agent.sock");
        let bind = || UnixListener::bind(&path).expect("a socket");
        let listener = bind();
        let me = fs::metadata(&path).expect("it is there").uid();

        let mine = Door::new(listener, me);
        let mut asker = UnixStream::connect(&path).await.expect("it listens");
        let mut let_in = mine.next().await.expect("a connection").expect("let in");
        let_in.write_all(b"taken").await.expect("it reads");
        drop(let_in);
        let mut said = String::new();
        asker.read_to_string(&mut said).await.expect("an answer");
        assert_eq!(said, "taken");

        fs::remove_file(&path).expect("the socket of before");
        let others = Door::new(bind(), me.wrapping_add(1));
        let mut asker = UnixStream::connect(&path).await.expect("it listens");
        assert!(others.next().await.expect("a connection").is_none());
        let mut said = Vec::new();
        let end = timeout(PATIENCE, asker.read_to_end(&mut said)).await;
        assert!(end.is_ok(), "it is still open");
        assert_eq!(said, b"");
    }
}
