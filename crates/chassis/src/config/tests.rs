//! Layers, validation, and what is shown.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt as _;

use super::*;
use crate::limits::GRACE_MAX;

/// A configuration that a service starts with.
const SOUND: &str = r#"
[keys]
dir = "/keys"
[store]
kind = "redis"
url = "redis://127.0.0.1:6379"
"#;

fn inputs(file: &str, environment: &[(&str, &str)]) -> Inputs {
    let variables = environment.iter();
    Inputs {
        file: Some(FileText {
            path: "service.toml".into(),
            text: file.to_owned(),
        }),
        environment: variables
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
    }
}

fn reader(inputs: &Inputs) -> Result<Reader, Problem> {
    Reader::new(common_settings("127.0.0.1:7000"), inputs)
}

fn read(inputs: &Inputs) -> (Common, Vec<Problem>) {
    let mut reader = reader(inputs).unwrap();
    let common = Common::read(&mut reader);
    (common, reader.into_problems())
}

#[track_caller]
fn sound(inputs: &Inputs) -> Common {
    let (common, problems) = read(inputs);
    assert_eq!(problems, []);
    common
}

#[track_caller]
fn wrong(file: &str, environment: &[(&str, &str)], key: &str) -> Problem {
    let file = format!("{SOUND}{file}");
    let (_, problems) = read(&inputs(&file, environment));
    assert_eq!(problems.len(), 1, "{problems:?}");
    let problem = problems.into_iter().next().unwrap();
    assert_eq!(problem.key, key, "{problem}");
    assert!(!problem.next.is_empty() && !problem.wrong.is_empty());
    problem
}

fn effective(inputs: &Inputs) -> Vec<Effective> {
    reader(inputs).unwrap().effective()
}

fn shown<'a>(effective: &'a [Effective], key: &str) -> &'a Effective {
    effective
        .iter()
        .find(|effective| effective.setting.key == key)
        .unwrap()
}

#[test]
fn defaults_are_below_the_file_and_the_file_below_the_environment() {
    let file = format!("{SOUND}[limits]\nconnections_max = 7\nfirst_request = \"2s\"\n");
    let inputs = inputs(
        &file,
        &[
            ("EDGE_LEDGER__LIMITS__FIRST_REQUEST", "750ms"),
            ("EDGE_LEDGER_HOME", "passed over"),
            ("PATH", "passed over"),
        ],
    );
    let common = sound(&inputs);
    assert_eq!(
        common.server.listen,
        "127.0.0.1:7000".parse::<SocketAddr>().unwrap()
    );
    assert_eq!(common.limits.connections_max, 7);
    assert_eq!(common.limits.first_request, Duration::from_millis(750));
    let standard = Limits::default();
    assert_eq!(
        common.limits.keepalive_interval,
        standard.keepalive_interval
    );
    assert_eq!(common.drain_grace, Duration::from_secs(4));
    let effective = effective(&inputs);
    for (key, source) in [
        ("server.listen", "default"),
        ("limits.connections_max", "service.toml"),
        ("limits.first_request", "EDGE_LEDGER__LIMITS__FIRST_REQUEST"),
    ] {
        assert_eq!(shown(&effective, key).source, source);
    }
}

#[test]
fn what_nobody_set_is_what_the_code_has() {
    let limits = sound(&inputs(SOUND, &[])).limits;
    assert_eq!(format!("{limits:?}"), format!("{:?}", Limits::default()));
}

#[test]
fn every_default_can_be_read() {
    for setting in common_settings("127.0.0.1:7000") {
        if setting.default.is_empty() || setting.key == "store.kind" {
            continue;
        }
        let environment = [(setting.variable(), setting.default)];
        let environment = environment
            .each_ref()
            .map(|(name, value)| (name.as_str(), *value));
        sound(&inputs(SOUND, &environment));
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let file = r#"
[server]
listen = "here"
colour = "blue"
[limits]
first_request = 5
connections_max = 0
[extra]
a = 1
"#;
    let (_, problems) = read(&inputs(
        file,
        &[
            ("EDGE_LEDGER__LOG__FORMAT", "xml"),
            ("EDGE_LEDGER__STORE__PASSWORD", "hunter2"),
            ("EDGE_LEDGER__server__listen", "x"),
        ],
    ));
    let keys: Vec<&str> = problems
        .iter()
        .map(|problem| problem.key.as_str())
        .collect();
    for key in [
        "server.listen",
        "server.colour",
        "limits.first_request",
        "limits.connections_max",
        "extra.a",
        "log.format",
        "keys.dir",
        "store.kind",
        "EDGE_LEDGER__STORE__PASSWORD",
        "EDGE_LEDGER__server__listen",
    ] {
        assert!(keys.contains(&key), "{key} is not in {keys:?}");
    }
    assert_eq!(keys.len(), 10, "{problems:?}");
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(!said.concat().contains("hunter2"), "{said:?}");
}

#[test]
fn a_problem_names_its_source_and_what_to_write() {
    // The process is to be gone within 5 s, what it does after the grace included.
    let problem = wrong(
        "",
        &[("EDGE_LEDGER__SHUTDOWN__GRACE", "5s")],
        "shutdown.grace",
    );
    assert_eq!(problem.source, "EDGE_LEDGER__SHUTDOWN__GRACE");
    assert!(problem.next.contains("`0s` to `4s 500ms`"), "{problem}");
    let longest = [("EDGE_LEDGER__SHUTDOWN__GRACE", "4500ms")];
    let longest = sound(&inputs(SOUND, &longest)).drain_grace;
    assert_eq!(longest, GRACE_MAX);
    let problem = wrong("[shutdown]\ngrace = \"soon\"", &[], "shutdown.grace");
    assert_eq!(problem.source, "service.toml");
    assert!(problem.wrong.contains("soon"), "{problem}");
    for level in [
        "a=b=c",
        "warning",
        "loud",
        "info,foo",
        "info,identity_service=verbose",
        "3",
        "info,",
    ] {
        let text = format!("[log]\nlevel = \"{level}\"");
        let problem = wrong(&text, &[], "log.level");
        assert!(problem.next.contains("`info`"), "{problem}");
    }
    for level in [
        "off",
        "WARN",
        "info,identity_service=debug",
        "edge_ledger_store::redis=trace",
    ] {
        let inputs = inputs(SOUND, &[("EDGE_LEDGER__LOG__LEVEL", level)]);
        assert_eq!(sound(&inputs).log.level, level);
    }
}

#[test]
fn names_that_are_close_are_answered_with_those_of_the_section() {
    let problem = wrong("[server]\nport = 7", &[], "server.port");
    assert!(problem.next.contains("listen, audiences"), "{problem}");
    let problem = wrong("[servers]\nlisten = 7", &[], "servers.listen");
    assert!(problem.next.contains("server, keys, store"), "{problem}");
    let (_, problems) = read(&inputs("server = 7", &[]));
    assert!(problems.iter().any(|problem| problem.key == "server"));
}

#[test]
fn a_file_that_is_no_toml_is_not_quoted() {
    let file = "[store]\nurl = \"redis://:hunter2@host\nkind = 1";
    let problem = reader(&inputs(file, &[])).err().unwrap();
    let said = problem.to_string();
    assert!(
        said.contains("service.toml") && said.contains("line 2"),
        "{said}"
    );
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn texts_that_are_empty_or_no_text() {
    // As a deployment writes what it wants to leave alone.
    let common = sound(&inputs(
        SOUND,
        &[
            ("EDGE_LEDGER__SHUTDOWN__GRACE", ""),
            ("EDGE_LEDGER__TLS__KEY_FILE", " "),
        ],
    ));
    assert_eq!(common.drain_grace, Duration::from_secs(4));
    let mut inputs = inputs(SOUND, &[]);
    let garbage = OsString::from_vec(vec![0xff, 0xfe]);
    let name = OsString::from("EDGE_LEDGER__LOG__LEVEL");
    inputs.environment.push((name, garbage));
    let (_, problems) = read(&inputs);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].key, "EDGE_LEDGER__LOG__LEVEL");
}

#[test]
fn beyond_loopback_a_service_needs_a_name_and_a_port() {
    let accepts = "[tls]\naccept_plaintext = true\n";
    let problem = wrong(
        &format!("{accepts}[server]\nlisten = \"0.0.0.0:7410\""),
        &[],
        "server.audiences",
    );
    assert!(problem.next.contains("ledger.example:443"), "{problem}");
    let names = "[server]\naudiences = [\"id.example\", \"10.0.0.7:7410\"]\n";
    let names = &format!("{accepts}{names}");
    let problem = wrong(
        &format!("{names}listen = \"0.0.0.0:0\""),
        &[],
        "server.listen",
    );
    assert!(problem.wrong.contains("port"), "{problem}");
    let file = format!("{SOUND}{names}listen = \"[::]:7410\"");
    let common = sound(&inputs(&file, &[]));
    assert_eq!(common.server.audiences, ["id.example", "10.0.0.7:7410"]);
    let environment = [("EDGE_LEDGER__SERVER__AUDIENCES", "a:1, b:2,")];
    let common = sound(&inputs(SOUND, &environment));
    assert_eq!(common.server.audiences, ["a:1", "b:2"]);
    for name in [
        "http://id.example",
        "a b",
        "me@id.example",
        "id.example/path",
    ] {
        let environment = [("EDGE_LEDGER__SERVER__AUDIENCES", name)];
        wrong("", &environment, "server.audiences");
    }
}

#[test]
fn beyond_loopback_a_service_without_tls_is_accepted_by_name_alone() {
    let beyond = "[server]\naudiences = [\"id.example\"]\nlisten = \"10.0.0.7:7410\"\n";
    let problem = wrong(beyond, &[], "tls.certificate_file");
    assert!(problem.wrong.contains("10.0.0.7:7410"), "{problem}");
    for word in ["tls.key_file", "tls.accept_plaintext = true", "gateway"] {
        assert!(problem.next.contains(word), "{problem}");
    }
    let inputs_with = |more: &str| inputs(&format!("{SOUND}{beyond}[tls]\n{more}"), &[]);
    assert_eq!(sound(&inputs_with("accept_plaintext = true")).tls, None);
    let pair = "certificate_file = \"/c\"\nkey_file = \"/k\"\n";
    assert!(sound(&inputs_with(pair)).tls.is_some());
    // Half of a certificate is one problem, and so is a word that is none.
    wrong(
        &format!("{beyond}[tls]\nkey_file = \"/k\""),
        &[],
        "tls.certificate_file",
    );
    let said = format!("{beyond}[tls]\naccept_plaintext = \"perhaps\"");
    wrong(&said, &[], "tls.accept_plaintext");
    for loopback in ["127.0.0.1:7410", "[::1]:7410"] {
        let environment = [("EDGE_LEDGER__SERVER__LISTEN", loopback)];
        assert_eq!(sound(&inputs(SOUND, &environment)).tls, None);
    }
}

#[test]
fn names_of_clients_are_whole_uris_and_need_an_authority() {
    let pair = "[tls]\ncertificate_file = \"/c\"\nkey_file = \"/k\"\n";
    let ca = format!("{pair}client_ca_file = \"/ca\"\n");
    let key = "EDGE_LEDGER__TLS__CLIENT_NAMES";
    let names = "spiffe://a.example/kiosk, spiffe://a.example/gate";
    let read = sound(&inputs(&format!("{SOUND}{ca}"), &[(key, names)])).tls;
    let names: Vec<&str> = names.split(", ").collect();
    assert_eq!(read.unwrap().client_names, names);
    assert_eq!(
        sound(&inputs(&format!("{SOUND}{ca}"), &[]))
            .tls
            .unwrap()
            .client_names
            .len(),
        0
    );
    for name in ["kiosk", "/kiosk", "spiffe://a.example/*", "spiffe://a b/"] {
        let problem = wrong(&ca, &[(key, name)], "tls.client_names");
        assert!(problem.next.contains("URI"), "{problem}");
    }
    wrong(pair, &[(key, names[0])], "tls.client_ca_file");
}

#[test]
fn networks_are_written_in_full_or_as_an_address() {
    let proxies = |text: &str| {
        let environment = [("EDGE_LEDGER__LIMITS__TRUSTED_PROXIES", text)];
        let limits = sound(&inputs(SOUND, &environment)).limits;
        let networks = limits.trusted_proxies.iter();
        networks.map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(proxies("10.0.0.0/8, ::1"), ["10.0.0.0/8", "::1/128"]);
    assert_eq!(proxies(""), ["127.0.0.0/8", "::1/128"]);
    let file = format!("{SOUND}[limits]\ntrusted_proxies = []");
    assert_eq!(sound(&inputs(&file, &[])).limits.trusted_proxies, []);
    let file = "[limits]\ntrusted_proxies = [\"10.0.0.0/99\"]";
    let problem = wrong(file, &[], "limits.trusted_proxies");
    assert!(problem.wrong.contains("10.0.0.0/99"), "{problem}");
}

#[test]
fn the_certificate_is_whole_or_not_there() {
    assert_eq!(sound(&inputs(SOUND, &[])).tls, None);
    wrong("[tls]\ncertificate_file = \"a\"", &[], "tls.key_file");
    wrong("[tls]\nkey_file = \"a\"", &[], "tls.certificate_file");
    wrong("[tls]\nclient_ca_file = \"a\"", &[], "tls.certificate_file");
    let file = format!("{SOUND}[tls]\ncertificate_file = \"a\"\nkey_file = \"b\"\n");
    let tls = sound(&inputs(&file, &[])).tls.unwrap();
    assert_eq!(
        (tls.certificate, tls.key, tls.client_ca),
        ("a".into(), "b".into(), None)
    );
}

/// The address of the store, and what is wrong once its file was read.
fn address(inputs: &Inputs) -> (Option<String>, Vec<Problem>) {
    let mut reader = reader(inputs).unwrap();
    let common = Common::read(&mut reader);
    let url = common.store.url(&mut reader);
    let url = url.map(|url| common.store.redis(&url).url);
    (url, reader.into_problems())
}

#[test]
fn the_address_of_redis_comes_from_one_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("redis-url");
    let url = "redis://user:hunter2@redis.example:6379/1";
    std::fs::write(&file, format!("{url}\n")).unwrap();
    let file = file.to_str().unwrap();
    let keys_and_kind = "[keys]\ndir = \"/keys\"\n[store]\nkind = \"redis\"\n";
    let variable = [("EDGE_LEDGER__STORE__URL_FILE", file)];
    let from_file = address(&inputs(keys_and_kind, &variable));
    assert_eq!(from_file, (Some(url.to_owned()), vec![]));

    let (_, problems) = read(&inputs(keys_and_kind, &[]));
    assert_eq!(problems[0].key, "store.url");
    wrong("", &variable, "store.url_file");
    std::fs::write(file, "redis://user:hunt/er2@host").unwrap();
    let (none, problems) = address(&inputs(keys_and_kind, &variable));
    assert_eq!((none, problems.len()), (None, 1));
    assert_eq!(problems[0].key, "store.url_file");
    assert!(!problems[0].to_string().contains("er2"), "{problems:?}");

    // Who asks for the settings alone gets them without the file.
    let gone = folder.path().join("gone");
    let variable = [("EDGE_LEDGER__STORE__URL_FILE", gone.to_str().unwrap())];
    let without = inputs(keys_and_kind, &variable);
    sound(&without);
    let (_, problems) = address(&without);
    assert!(problems[0].wrong.contains("gone"), "{problems:?}");
}

#[test]
fn an_address_that_the_store_cannot_read_is_said_without_its_secret() {
    for (url, says) in [
        ("rediss://:hunter2@host", "TLS"),
        ("hunter2", "no address"),
        ("redis://:hunter2@host/abc", "cannot be read"),
        ("redis://:hunt/er2@host", "cannot be read"),
        ("redis://user:1234#er2@host", "cannot be read"),
        ("redis://:hunter2@host:99999", "cannot be read"),
        ("redis://", "cannot be read"),
    ] {
        let problem = wrong("", &[("EDGE_LEDGER__STORE__URL", url)], "store.url");
        assert!(problem.wrong.contains(says), "{problem}");
        assert!(!problem.to_string().contains("er2"), "{problem}");
    }
    for url in [
        "redis://:hunt%2Fer2@host",
        "redis://user:hunt%23er2@[::1]:6380/3",
        "redis+unix:///run/redis.sock",
    ] {
        let (read, problems) = address(&inputs(SOUND, &[("EDGE_LEDGER__STORE__URL", url)]));
        assert_eq!((read.as_deref(), problems), (Some(url), vec![]));
    }
}

#[test]
fn secrets_are_hidden_where_they_are_shown() {
    for (url, expected) in [
        (
            "redis://user:hunter2@host:6379/0",
            "redis://***@host:6379/0",
        ),
        ("redis://:hunt@er2@host", "redis://***@host"),
        (
            "redis+unix:///run/redis?pass=hunter2",
            "redis+unix:///run/redis?***",
        ),
        ("redis://host:6379#hunter2", "redis://host:6379#***"),
        ("redis://host:6379", "redis://host:6379"),
        ("hunter2", "***"),
    ] {
        let inputs = inputs("", &[("EDGE_LEDGER__STORE__URL", url)]);
        let effective = effective(&inputs);
        let line = shown(&effective, "store.url").to_string();
        assert_eq!(
            line,
            format!("url = \"{expected}\"  # EDGE_LEDGER__STORE__URL")
        );
    }
}

#[test]
fn what_is_printed_can_be_read_again() {
    let file = format!(
        "{SOUND}[server]\naudiences = [\"a:1\"]\nreflection = false\n[log]\nlevel = \"info,a::b=debug\"\n"
    );
    let first = effective(&inputs(&file, &[]));
    let mut printed = String::new();
    let mut section = "";
    for line in &first {
        if line.setting.parts().0 != section {
            section = line.setting.parts().0;
            printed.push_str(&format!("[{section}]\n"));
        }
        printed.push_str(&format!("{line}\n"));
    }
    let again = inputs(&printed, &[]);
    sound(&again);
    let values = |lines: Vec<Effective>| {
        let lines = lines.into_iter();
        lines
            .map(|line| (line.setting.key, line.value))
            .collect::<Vec<_>>()
    };
    assert_eq!(values(effective(&again)), values(first), "{printed}");
}
