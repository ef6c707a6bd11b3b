//! `[operator]`: where the commands of whoever runs the service are answered.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::reader::Reader;
use super::setting::{Form, Setting};

const LISTEN: &str = "operator.listen";
const TOKEN_FILE: &str = "operator.token_file";

pub(super) const SETTINGS: [Setting; 2] = [
    Setting {
        key: LISTEN,
        form: Form::Address,
        default: "",
        meaning: "where `edge-ledger admin` is answered; if nobody says, nowhere. Port 0 is any \
                  that is free, on loopback alone",
    },
    Setting {
        key: TOKEN_FILE,
        form: Form::Path,
        default: "",
        meaning: "file with the token that opens it, as `edge-ledger keys operator-token` makes it",
    },
];

/// Where operators are answered, and what lets them in.
#[derive(Debug, Clone)]
pub struct OperatorSection {
    /// Address and port.
    pub listen: SocketAddr,
    /// File of the token.
    pub token_file: PathBuf,
}

/// What else is set that it must fit.
pub(super) struct Beside {
    pub(super) listen: SocketAddr,
    pub(super) has_tls: bool,
    pub(super) accepts_plaintext: bool,
}

pub(super) fn read(reader: &mut Reader, beside: &Beside) -> Option<OperatorSection> {
    let listen = reader.address(LISTEN);
    let token_file = reader.path(TOKEN_FILE);
    let listen = listen?;
    if listen == beside.listen && listen.port() != 0 {
        reader.problem(
            LISTEN,
            "server.listen is that address already",
            "write another port",
        );
    }
    if !listen.ip().is_loopback() && listen.port() == 0 {
        reader.problem(
            LISTEN,
            "beyond loopback it needs a port, since operators must know it",
            "write a port other than 0",
        );
    }
    let is_plain = !beside.has_tls && !reader.has_problem("tls.certificate_file");
    if !listen.ip().is_loopback() && is_plain && !beside.accepts_plaintext {
        reader.problem(
            LISTEN,
            format!("{listen} is beyond loopback, and the token would be sent without TLS"),
            "write an address of loopback; or tls.certificate_file and tls.key_file; or, where \
             nobody else reads that network, tls.accept_plaintext = true",
        );
    }
    if token_file.is_none() && !reader.has_problem(TOKEN_FILE) {
        reader.problem(
            TOKEN_FILE,
            "it is not set, and operator.listen is: nothing would keep others out",
            "make one with `edge-ledger keys operator-token --out FILE`, and write that file",
        );
    }
    Some(OperatorSection {
        listen,
        token_file: token_file?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Common, FileText, Inputs, Problem, common_settings};
    use super::*;

    /// What is wrong with a service that listens so, and with `[operator]` so.
    fn problems(server: &str, operator: &str) -> Vec<Problem> {
        let text = format!(
            "[keys]\ndir = \"/keys\"\n[store]\nkind = \"redis\"\nurl = \"redis://h\"\n\
             [server]\n{server}\n[operator]\n{operator}\n"
        );
        let inputs = Inputs {
            file: Some(FileText {
                path: "service.toml".into(),
                text,
            }),
            environment: Vec::new(),
        };
        let mut reader = Reader::new(common_settings("127.0.0.1:7000"), &inputs).unwrap();
        let common = Common::read(&mut reader);
        let problems = reader.into_problems();
        let is_sound = problems.is_empty() && !operator.is_empty();
        assert!(!is_sound || common.operator.is_some(), "{operator}");
        problems
    }

    #[test]
    fn a_listener_of_operators_has_a_place_of_its_own_and_a_token() {
        let token = "token_file = \"/token\"";
        assert_eq!(problems("", ""), []);
        let listens = |at: &str| format!("listen = \"{at}\"\n{token}");
        assert_eq!(problems("", &listens("127.0.0.1:7001")), []);
        assert_eq!(problems("", &listens("127.0.0.1:0")), []);
        for (operator, key, says) in [
            (listens("127.0.0.1:7000"), LISTEN, "already"),
            (listens("10.0.0.7:7001"), LISTEN, "without TLS"),
            (listens("nonsense"), LISTEN, "no IP address"),
            (
                "listen = \"127.0.0.1:7001\"".to_owned(),
                TOKEN_FILE,
                "not set",
            ),
        ] {
            let found = problems("", &operator);
            assert_eq!(found.len(), 1, "{operator}: {found:?}");
            assert_eq!(found[0].key, key, "{operator}");
            assert!(found[0].wrong.contains(says), "{}", found[0]);
        }
    }
}
