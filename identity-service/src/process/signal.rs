//! `[signal]`: servers that help devices to find a path to each other. None, unless an operator
//! names them: nobody beyond the services is asked by devices of themselves.

use std::path::PathBuf;

use edge_ledger_chassis::config::{Form, Reader, Setting};

use crate::limits::TURN_SECRET_BYTES_MAX;
use crate::signal::{IceConfig, TurnSecret};

const SECRET_FILE: &str = "signal.turn_secret_file";

pub(super) const STUN: Setting = Setting {
    key: "signal.stun_urls",
    form: Form::IceServers("stun"),
    default: "",
    meaning: "STUN servers, which devices ask under which address others see them",
};

pub(super) const TURN: Setting = Setting {
    key: "signal.turn_urls",
    form: Form::IceServers("turn"),
    default: "",
    meaning: "TURN servers, which relay between devices that no other path connects; over UDP",
};

pub(super) const TURN_SECRET: Setting = Setting {
    key: SECRET_FILE,
    form: Form::Path,
    default: "",
    meaning: "file whose text is the secret that is shared with the TURN servers (coturn's \
              `static-auth-secret`): devices get names and passwords made with it, for an hour",
};

/// What it says.
pub(super) struct SignalSection {
    /// Without the secret, until it was looked for.
    pub(super) ice: IceConfig,
    secret_file: Option<PathBuf>,
}

impl SignalSection {
    pub(super) fn read(reader: &mut Reader) -> Self {
        let section = Self {
            ice: IceConfig {
                stun_urls: reader.ice_servers(STUN.key),
                turn_urls: reader.ice_servers(TURN.key),
                turn_secret: None,
            },
            secret_file: reader.path(SECRET_FILE),
        };
        let has_turn = !section.ice.turn_urls.is_empty() || reader.has_problem(TURN.key);
        if has_turn && section.secret_file.is_none() && !reader.has_problem(SECRET_FILE) {
            reader.problem(
                SECRET_FILE,
                "TURN servers are named, and no device could make use of them",
                "write the path of a file with the secret that the TURN servers have, too",
            );
        }
        section
    }

    /// Reads the secret.
    pub(super) fn look(&mut self, reader: &mut Reader) {
        let Some(path) = &self.secret_file else {
            return;
        };
        let wrong = match TurnSecret::read(path) {
            Ok(Some(secret)) => {
                self.ice.turn_secret = Some(secret);
                return;
            }
            Ok(None) => format!(
                "{} is empty, or longer than {TURN_SECRET_BYTES_MAX} bytes",
                path.display()
            ),
            Err(error) => format!("cannot read {}: {error}", path.display()),
        };
        let next = "write a file that the service may read, with the secret in it";
        reader.problem(SECRET_FILE, wrong, next);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use edge_ledger_chassis::config::{FileText, Inputs, Problem};

    use super::*;

    fn read(file: &str) -> (SignalSection, Vec<Problem>) {
        let file = FileText {
            path: "identity.toml".into(),
            text: format!("[signal]\n{file}"),
        };
        let inputs = Inputs {
            file: Some(file),
            environment: Vec::new(),
        };
        let mut reader = Reader::new(vec![STUN, TURN, TURN_SECRET], &inputs).unwrap();
        let mut section = SignalSection::read(&mut reader);
        section.look(&mut reader);
        (section, reader.into_problems())
    }

    #[track_caller]
    fn wrong(file: &str, keys: &[&str]) -> String {
        let (_, problems) = read(file);
        let found: Vec<_> = problems.iter().map(|problem| &*problem.key).collect();
        assert_eq!(found, keys, "{problems:?}");
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nobody_is_named_unless_an_operator_does() {
        let (section, problems) = read("");
        assert_eq!(problems, []);
        let ice = section.ice;
        assert!(ice.stun_urls.is_empty() && ice.turn_urls.is_empty() && ice.turn_secret.is_none());
    }

    #[test]
    fn servers_are_named_and_the_secret_is_read_from_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "north\n").unwrap();
        let (section, problems) = read(&format!(
            "stun_urls = [\"stun:stun.example\", \"stun:[2001:db8::1]:3478\"]\n\
             turn_urls = \"turn:turn.example:3478?transport=udp, turn:10.0.0.1\"\n\
             turn_secret_file = {path:?}\n"
        ));
        assert_eq!(problems, []);
        let ice = section.ice;
        assert_eq!(
            ice.stun_urls,
            ["stun:stun.example", "stun:[2001:db8::1]:3478"]
        );
        let turn = ["turn:turn.example:3478?transport=udp", "turn:10.0.0.1"];
        assert_eq!(ice.turn_urls, turn);
        assert!(ice.turn_secret.is_some());
    }

    #[test]
    fn what_no_device_can_use_is_a_problem() {
        for odd in [
            "stun.example:3478",
            "turn:turn.example:3478",
            "stuns:stun.example",
            "stun:",
            "stun::3478",
            "stun:stun.example:",
            "stun:stun.example:0",
            "stun:stun.example:70000",
            "stun:stun.example:3478?transport=udp",
            "stun:stun example",
            "stun://stun.example",
            "https://stun.example",
        ] {
            let said = wrong(&format!("stun_urls = [{odd:?}]"), &["signal.stun_urls"]);
            assert!(said.contains("stun:HOST:PORT"), "{said}");
        }
        let many = vec!["stun:a"; 9];
        wrong(&format!("stun_urls = {many:?}"), &["signal.stun_urls"]);
        let long = format!("stun:{}", "a".repeat(251));
        wrong(&format!("stun_urls = [{long:?}]"), &["signal.stun_urls"]);
        let turn = &["signal.turn_urls", "signal.turn_secret_file"];
        for odd in ["turns:turn.example", "turn:turn.example?transport=tcp"] {
            wrong(&format!("turn_urls = [{odd:?}]"), turn);
        }
        let said = wrong("turn_urls = [\"turn:me:canary@turn.example\"]", turn);
        assert!(!said.contains("canary"), "{said}");
    }

    #[test]
    fn turn_servers_need_a_secret_that_can_be_read() {
        let turn = "turn_urls = [\"turn:turn.example\"]\n";
        let key = &["signal.turn_secret_file"];
        wrong(turn, key);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let named = format!("{turn}turn_secret_file = {path:?}");
        let said = wrong(&named, key);
        assert!(said.contains("cannot read"), "{said}");
        for text in [" \n".to_owned(), "x".repeat(TURN_SECRET_BYTES_MAX + 1)] {
            fs::write(&path, text).unwrap();
            wrong(&named, key);
        }
        fs::write(&path, "x".repeat(TURN_SECRET_BYTES_MAX)).unwrap();
        assert_eq!(read(&named).1, []);
    }
}
