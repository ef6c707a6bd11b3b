//! What tests look at in the commands that a server gets (S-70).

use std::fmt::Write as _;

/// The documented line that makes the limited user, as arguments of `redis-server`.
///
/// `page` is a text that holds it as `ACL SETUSER edge-ledger on >PASSWORD …`, up to a line of
/// three backticks.
pub fn acl_settings(page: &str, password: &str) -> Vec<String> {
    let rules = acl_rules(page);
    let mut user = format!("--user edge-ledger on >{password}");
    for rule in rules {
        // A text takes everything.
        let _ = write!(user, " {rule}");
    }
    user.split(' ').map(String::from).collect()
}

/// What that line allows, after the password.
pub fn acl_rules(page: &str) -> Vec<String> {
    let lines = page
        .lines()
        .map(|line| line.trim_start_matches("//!").trim())
        .skip_while(|line| !line.starts_with("ACL SETUSER"))
        .take_while(|line| *line != "```");
    let line = lines.collect::<Vec<_>>().join(" ");
    let rules = line.split(' ').skip_while(|word| *word != ">PASSWORD");
    rules.skip(1).map(String::from).collect()
}

/// Whether a line of MONITOR names keys of the right form only.
pub fn is_fit(line: &str) -> bool {
    let Some((_, command)) = line.split_once("] \"") else {
        return false;
    };
    let words: Vec<_> = command
        .trim_end_matches(['\r', '"'])
        .split("\" \"")
        .collect();
    let name = words[0].to_ascii_uppercase();
    match name.as_str() {
        "EVALSHA" => {
            let count: usize = words[2].parse().unwrap_or(0);
            let keys = words.get(3..3 + count);
            keys.is_some_and(|keys| !keys.is_empty() && keys.iter().all(|key| is_key(key)))
        }
        "INFO" | "TIME" | "CONFIG" | "SCRIPT" | "PING" | "HELLO" | "AUTH" => true,
        // All keys there are, of which only these are told: for operators.
        "SCAN" => words.get(2..4) == Some(&["MATCH", "el:log:{*}"]) || words.len() == 4,
        "PSUBSCRIBE" => words.get(1) == Some(&"el:feed:{*}"),
        // All that are used take one key, or channel, first.
        _ => words.get(1).is_some_and(|key| is_key(key)),
    }
}

/// Whether a key or channel is `^el:[a-z]+:\{(g|[0-9a-f]{64})\}(:[0-9a-z]{1,64})*$`
pub fn is_key(key: &str) -> bool {
    let Some((kind, rest)) = key
        .strip_prefix("el:")
        .and_then(|rest| rest.split_once(":{"))
    else {
        return false;
    };
    let Some((tag, rest)) = rest.split_once('}') else {
        return false;
    };
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let part = |part: &str| {
        let fits = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
        (1..=64).contains(&part.len()) && part.chars().all(fits)
    };
    !kind.is_empty()
        && kind.chars().all(|c| c.is_ascii_lowercase())
        && (tag == "g" || tag.len() == 64 && tag.chars().all(hex))
        && (rest.is_empty() || rest.starts_with(':') && rest[1..].split(':').all(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_keys_is_told() {
        let tag = "0a".repeat(32);
        for good in [format!("el:log:{{{tag}}}"), "el:x:{g}:1:zz".to_owned()] {
            assert!(is_key(&good), "{good}");
        }
        let long = "a".repeat(65);
        for bad in [
            format!("el:log:{{{tag}}}:"),
            format!("el:log:{{{tag}}}:{long}"),
            format!("el:log:{{{}}}", tag.to_uppercase()),
            format!("el::{{{tag}}}"),
            "el:log:{g}x".to_owned(),
            "log:{g}".to_owned(),
        ] {
            assert!(!is_key(&bad), "{bad}");
        }
        assert!(!is_fit("1.0 [0 lua] \"GET\" \"other\""));
    }
}
