//! `docs/cli-reference.md`: every command and option, made from what can be typed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use clap::builder::StyledStr;
use clap::{Arg, Command, CommandFactory as _};

use super::Cli;

/// With this variable in the environment the page is written instead of compared.
const WRITE: &str = "EDGE_LEDGER_WRITE_DOCS";

const HEAD: &str = "\
# Every command and option

Made from the command itself: `EDGE_LEDGER_WRITE_DOCS=1 cargo nextest run -E 'test(the_reference)'`
writes this page anew, and a test compares it. What the commands do, print and answer is in
[cli.md](cli.md).
";

/// The page.
fn page() -> String {
    let mut cli = Cli::command();
    cli.build();
    let mut page = HEAD.to_owned();
    page.push_str("\n## What all commands take\n\n");
    options(&mut page, cli.get_arguments().filter(|arg| is_told(arg)));
    let told = globals(&cli);
    for command in cli.get_subcommands_mut() {
        add(&mut page, command, "edge-ledger", &told);
    }
    page
}

/// The options of a command that those below it take too.
fn globals(command: &Command) -> BTreeSet<String> {
    let all = command.get_arguments().filter(|arg| arg.is_global_set());
    all.map(|arg| arg.get_id().to_string()).collect()
}

/// A command, and those below it, without the options that were told above.
fn add(page: &mut String, command: &mut Command, above: &str, told: &BTreeSet<String>) {
    if command.get_name() == "help" || command.is_hide_set() {
        return;
    }
    let name = format!("{above} {}", command.get_name());
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim().to_owned();
    let _ = writeln!(
        page,
        "\n## `{name}`\n\n{}.\n\n```\n{usage}\n```",
        text(command.get_about())
    );
    let is_above = |arg: &Arg| arg.is_global_set() && told.contains(arg.get_id().as_str());
    let own = |arg: &&Arg| is_told(arg) && !is_above(arg);
    if command.get_arguments().any(|arg| own(&arg)) {
        page.push('\n');
        options(page, command.get_arguments().filter(own));
    }
    let told = globals(command);
    for below in command.get_subcommands_mut() {
        add(page, below, &name, &told);
    }
}

fn is_told(arg: &Arg) -> bool {
    !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str())
}

fn options<'a>(page: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    page.push_str("| typed | meaning | default | environment |\n| --- | --- | --- | --- |\n");
    for arg in arguments {
        let defaults = arg.get_default_values().iter();
        let defaults: Vec<_> = defaults.map(|value| value.to_string_lossy()).collect();
        let choices = arg.get_possible_values();
        let takes_value = arg.get_action().takes_values();
        let choices: Vec<&str> = choices.iter().map(|choice| choice.get_name()).collect();
        let one_of = if takes_value && !choices.is_empty() && choices != ["true", "false"] {
            format!("; one of `{}`", choices.join("`, `"))
        } else {
            String::new()
        };
        let default = match defaults.as_slice() {
            [] => String::new(),
            _ if !takes_value => String::new(),
            defaults => format!("`{}`", defaults.join(" ")),
        };
        let env = arg.get_env();
        let env = env.map_or_else(String::new, |env| format!("`{}`", env.to_string_lossy()));
        let meaning = text(arg.get_help()).replace('|', "\\|");
        let _ = writeln!(
            page,
            "| `{}` | {meaning}{one_of} | {default} | {env} |",
            typed(arg)
        );
    }
}

/// How an argument is typed: `-n, --name <NAME>`.
fn typed(arg: &Arg) -> String {
    let takes_value = arg.get_action().takes_values();
    let names = arg.get_value_names().unwrap_or_default();
    let value: Vec<String> = names.iter().map(|name| format!("<{name}>")).collect();
    let value = value.join(" ");
    let Some(long) = arg.get_long() else {
        return if arg.is_required_set() {
            value
        } else {
            format!("[{}]", value.trim_matches(['<', '>']))
        };
    };
    let short = arg
        .get_short()
        .map_or_else(String::new, |short| format!("-{short}, "));
    match takes_value {
        true => format!("{short}--{long} {value}"),
        false => format!("{short}--{long}"),
    }
}

fn text(styled: Option<&StyledStr>) -> String {
    styled
        .map(ToString::to_string)
        .unwrap_or_default()
        .replace('\n', " ")
}

#[test]
fn the_reference_is_what_can_be_typed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli-reference.md");
    let page = page();
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &page).expect("the page can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let odd = page
        .lines()
        .zip(written.lines())
        .find(|(now, was)| now != was);
    assert!(
        written == page,
        "{WRITE}=1 writes it anew; the first line that differs: {odd:?}"
    );
}
