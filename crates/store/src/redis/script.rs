//! The scripts: one per kind of write, and those that read several values of one moment.

use redis::{Cmd, Pipeline};

/// What a script says before everything else: it is refused as a whole when memory is full.
const WRITES: &str = "#!lua\n";
/// It frees memory, or takes no more of it.
const FREES: &str = "#!lua flags=allow-oom\n";
/// It is carried out also when memory is full, which a transaction (`MULTI`) is not.
const READS: &str = "#!lua flags=no-writes\n";
const ROWS: &str = include_str!("rows.lua");

/// A script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    Read,
    Endings,
    Log,
    Append,
    Statement,
    Adopt,
    Redeem,
    OpenSession,
    OpenLink,
    JoinLink,
    PostLink,
    CloseLink,
    Fence,
    Terms,
}

impl Script {
    const ALL: [Self; 14] = [
        Self::Read,
        Self::Endings,
        Self::Log,
        Self::Append,
        Self::Statement,
        Self::Adopt,
        Self::Redeem,
        Self::OpenSession,
        Self::OpenLink,
        Self::JoinLink,
        Self::PostLink,
        Self::CloseLink,
        Self::Fence,
        Self::Terms,
    ];

    /// What it says.
    pub(super) fn source(self) -> String {
        let parts = match self {
            Self::Read => [READS, ROWS, include_str!("read.lua")],
            Self::Endings => [READS, "", include_str!("endings.lua")],
            Self::Log => [READS, "", include_str!("log.lua")],
            Self::Append => [WRITES, ROWS, include_str!("append.lua")],
            Self::Adopt => [WRITES, ROWS, include_str!("adopt.lua")],
            Self::Statement => [WRITES, "", include_str!("statement.lua")],
            Self::Redeem => [WRITES, "", include_str!("redeem.lua")],
            Self::OpenSession => [WRITES, "", include_str!("open_session.lua")],
            Self::OpenLink => [WRITES, "", include_str!("open_link.lua")],
            Self::JoinLink => [WRITES, "", include_str!("join_link.lua")],
            Self::PostLink => [WRITES, "", include_str!("post_link.lua")],
            Self::CloseLink => [FREES, "", include_str!("close_link.lua")],
            Self::Fence => [FREES, "", include_str!("fence.lua")],
            Self::Terms => [FREES, "", include_str!("terms.lua")],
        };
        parts.concat()
    }

    /// What all of them say.
    #[cfg(test)]
    pub(super) fn sources() -> impl Iterator<Item = String> {
        Self::ALL.into_iter().map(Self::source)
    }
}

/// What the server calls the scripts.
#[derive(Debug, Clone)]
pub(super) struct Loaded(Vec<String>);

impl Loaded {
    /// Loads all scripts.
    pub(super) async fn into_server(
        connection: &mut redis::aio::MultiplexedConnection,
    ) -> redis::RedisResult<Self> {
        let mut pipeline = Pipeline::new();
        for script in Script::ALL {
            pipeline.cmd("SCRIPT").arg("LOAD").arg(script.source());
        }
        Ok(Self(pipeline.query_async(connection).await?))
    }
}

/// A call of a script.
#[derive(Debug, Clone)]
pub(super) struct Call {
    script: Script,
    keys: Vec<String>,
    args: Vec<Vec<u8>>,
}

impl Call {
    pub(super) fn new(script: Script, keys: impl IntoIterator<Item = String>) -> Self {
        Self {
            script,
            keys: keys.into_iter().collect(),
            args: Vec::new(),
        }
    }

    pub(super) fn arg(mut self, arg: impl Into<Vec<u8>>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// A number, as text.
    pub(super) fn number(self, number: impl ToString) -> Self {
        self.arg(number.to_string())
    }

    /// About what it weighs.
    pub(super) fn bytes(&self) -> usize {
        self.args.iter().map(|arg| arg.len() + 16).sum()
    }

    /// The command of a call that reads.
    pub(super) fn command(&self, loaded: &Loaded) -> Cmd {
        self.begin(loaded, None)
    }

    /// The command of a call that writes. All of these have as their first argument whether they
    /// were sent before, so that the script looks for what it did then.
    pub(super) fn sent(&self, loaded: &Loaded, again: bool) -> Cmd {
        self.begin(loaded, Some(if again { "1" } else { "0" }))
    }

    fn begin(&self, loaded: &Loaded, again: Option<&str>) -> Cmd {
        let size = self.bytes() + self.keys.iter().map(|key| key.len() + 16).sum::<usize>();
        let mut command = Cmd::with_capacity(self.keys.len() + self.args.len() + 4, size + 128);
        command.arg("EVALSHA");
        command.arg(&loaded.0[self.script as usize]);
        command.arg(self.keys.len()).arg(&self.keys);
        if let Some(again) = again {
            command.arg(again);
        }
        for arg in &self.args {
            command.arg(&arg[..]);
        }
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_found_at_their_place() {
        for (place, script) in Script::ALL.into_iter().enumerate() {
            assert_eq!(script as usize, place);
        }
    }
}
