//! The walk of the README, line for line as a newcomer types it.

use std::path::Path;
use std::process::Command;

use super::process::{Ran, Running, Up, edge_ledger};
use super::terminal::Terminal;

const README: &str = include_str!("../../../README.md");

/// What is typed at the question for a password.
const PASSWORD: &str = "eleven horses on a roof";

/// The commands under a heading, without what is a comment.
fn commands(heading: &str) -> Vec<Vec<String>> {
    let (_, below) = README.split_once(heading).unwrap();
    let (_, block) = below.split_once("```sh\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let words = |line: &str| {
        let line = line.split('#').next().unwrap();
        let typed = line.strip_prefix("cargo run -- ").unwrap();
        let mut words = Vec::new();
        for (index, part) in typed.split('"').enumerate() {
            match index % 2 {
                0 => words.extend(part.split_whitespace().map(str::to_owned)),
                _ => words.push(part.to_owned()),
            }
        }
        words
    };
    block.lines().map(words).collect()
}

/// A newcomer, with a folder instead of `/tmp`.
struct Newcomer<'a> {
    folder: &'a Path,
    up: Up,
}

impl Newcomer<'_> {
    fn command(&self, words: &[String]) -> Command {
        let mut command = edge_ledger(self.folder);
        let folder = format!("{}/", self.folder.display());
        command.args(words.iter().map(|word| word.replace("/tmp/", &folder)));
        command.env("EDGE_LEDGER_IDENTITY_URL", self.up.url("identity"));
        command
    }

    /// A terminal of its own, which is asked for passwords too.
    fn at_terminal(&self, words: &[String]) -> Terminal {
        let command = self.command(words);
        let mut own = Command::new("setsid");
        own.args(["--ctty", "--wait"]).arg(command.get_program());
        own.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => own.env(name, value),
                None => own.env_remove(name),
            };
        }
        Terminal::start(&mut own)
    }

    /// What a command said that ended well.
    #[track_caller]
    fn says(&self, words: &[String]) -> String {
        let (code, shown) = self.at_terminal(words).end();
        assert_eq!(code, Some(0), "{words:?}: {shown}");
        shown
    }

    /// `link` at one terminal, `join` at another, and the number carried from here to there.
    fn links(&self, link: &[String], join: &[String]) {
        let mut linking = self.at_terminal(link);
        let shown = linking.shows("good for one try").to_owned();
        assert!(
            shown.contains('█') || shown.contains('▀'),
            "no QR code: {shown}"
        );
        let line = shown
            .lines()
            .find_map(|line| line.trim().strip_prefix("code "));
        let code = line.unwrap().trim().to_owned();
        let typed: Vec<String> = join
            .iter()
            .map(|word| word.replace("CODE", &code))
            .collect();
        assert_ne!(typed, join, "`join` has no CODE");
        let mut joining = self.at_terminal(&typed);
        let shown = joining.shows("Waits until that is done there").to_owned();
        let number = shown.lines().map(str::trim).find(|line| {
            let digits = line.chars().filter(char::is_ascii_digit).count();
            line.len() == 7 && digits == 6
        });
        linking.shows("number: ");
        linking.types(number.unwrap());
        let (code, shown) = joining.end();
        assert_eq!(code, Some(0), "{shown}");
        let (code, shown) = linking.end();
        assert_eq!(code, Some(0), "{shown}");
        assert!(shown.contains("Linked."), "{shown}");
    }
}

#[test]
fn the_five_minutes_of_the_readme_are_as_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let walk = commands("## Five minutes");
    let (up, walk) = walk.split_first().unwrap();
    assert_eq!(up, &["up"]);
    let newcomer = Newcomer {
        folder: folder.path(),
        up: Up::start(folder.path()),
    };
    let named = |words: &[String], name: &str| words.iter().any(|word| word == name);
    let mut said = Vec::new();
    let mut walk = walk.iter();
    while let Some(words) = walk.next() {
        if named(words, "link") {
            newcomer.links(words, walk.next().unwrap());
        } else if named(words, "init") {
            let mut asked = newcomer.at_terminal(words);
            let shown = asked.shows("Trust it? ");
            assert!(shown.contains(newcomer.up.ledger_id()), "{shown}");
            asked.types("y");
            let (code, shown) = asked.end();
            assert_eq!(code, Some(0), "{shown}");
        } else if named(words, "backup") {
            let mut asked = newcomer.at_terminal(words);
            asked.shows("assword");
            asked.types(PASSWORD);
            asked.shows("Again: ");
            asked.types(PASSWORD);
            let (code, shown) = asked.end();
            assert_eq!(code, Some(0), "{shown}");
        } else if named(words, "agent") {
            let mut agent = Running::start(newcomer.command(words).arg("--json"));
            assert_eq!(agent.line()["event"], "up");
            agent.signal("INT");
            let Ran { code, stderr, .. } = agent.end();
            assert_eq!(code, Some(0), "{stderr}");
        } else {
            said.push((words.join(" "), newcomer.says(words)));
        }
    }
    let balances: Vec<&str> = said
        .iter()
        .filter(|(words, _)| words.ends_with("balance"))
        .map(|(_, shown)| shown.as_str())
        .collect();
    assert_eq!(balances.len(), 2, "{said:?}");
    assert!(balances[0].contains("100"), "{balances:?}");
    assert!(balances[1].contains("70"), "{balances:?}");
    let devices = said.iter().find(|(words, _)| words.ends_with("devices"));
    let (_, devices) = devices.unwrap();
    assert!(
        devices.contains("phone") && devices.contains("laptop"),
        "{devices}"
    );
}
