//! Relative links of Markdown files lead somewhere.

use super::Finding;
use crate::root::File;

/// `exists` is asked for paths from the root.
pub(super) fn check(file: &File, exists: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut fence = None;
    for (index, line) in file.text.lines().enumerate() {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|of| start.starts_with(of));
        match (fence, mark) {
            (None, Some(_)) => fence = mark,
            (Some(open), Some(close)) if open == close => fence = None,
            (Some(_), _) => {}
            (None, None) => {
                for target in targets(&without_code(line)) {
                    if let Some(path) = local_path(&file.path, target)
                        && !exists(&path)
                    {
                        let says = format!("the link to `{target}` leads nowhere");
                        findings.push(Finding::new(&file.path, index + 1, says));
                    }
                }
            }
        }
    }
    findings
}

/// A line with its `code` blanked.
fn without_code(line: &str) -> String {
    let mut inside = false;
    line.chars()
        .map(|of| {
            inside ^= of == '`';
            if inside || of == '`' { ' ' } else { of }
        })
        .collect()
}

/// The targets of `[text](target)`, `![text](target)` and `[name]: target`.
fn targets(line: &str) -> Vec<&str> {
    let mut found: Vec<&str> = line
        .match_indices("](")
        .filter_map(|(at, open)| {
            let rest = &line[at + open.len()..];
            rest.find(')').map(|end| &rest[..end])
        })
        .collect();
    if let Some(rest) = line.trim_start().strip_prefix('[')
        && let Some((_, target)) = rest.split_once("]: ")
    {
        found.push(target);
    }
    // A title may follow.
    found
        .into_iter()
        .filter_map(|target| target.split_whitespace().next())
        .collect()
}

/// The path from the root that a target means; none if it is elsewhere or in the file itself.
fn local_path(from: &str, target: &str) -> Option<String> {
    let target = target.trim_matches(['<', '>']);
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let target = target.split(['#', '?']).next().unwrap_or_default();
    if target.is_empty() {
        return None;
    }
    let mut parts: Vec<&str> = match target.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => from.split('/').collect(),
    };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return Some(String::from(target));
                }
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str) -> usize {
        let file = File {
            path: String::from("docs/guide/start.md"),
            text: String::from(text),
        };
        let present = ["docs/guide/next.md", "docs/map.md", "README.md", "docs"];
        check(&file, &|path| present.contains(&path)).len()
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        for good in [
            "[next](next.md) and ![map](../map.md \"Title\")",
            "[up](../../README.md#quick-start)",
            "[top](/README.md) [folder](../)",
            "[here](#section) [web](https://example.org/x.md) [mail](mailto:a@example.org)",
            "[map]: ../map.md",
            "`[code](gone.md)`",
            "```\n[fenced](gone.md)\n```",
            "- [x] done (gone.md)",
        ] {
            assert_eq!(broken(good), 0, "{good}");
        }
    }

    #[test]
    fn links_that_lead_nowhere_fail() {
        for bad in [
            "[gone](gone.md)",
            "[two](next.md) [gone](map.md#x)",
            "[outside](../../../../README.md)",
            "[gone]: gone.md",
            "```\ncode\n```\n[gone](gone.md)",
            "~~~\n```\n~~~\n[gone](gone.md)",
        ] {
            assert_eq!(broken(bad), 1, "{bad}");
        }
    }
}
