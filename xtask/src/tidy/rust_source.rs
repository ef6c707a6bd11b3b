//! Enough of Rust's lexis to tell code from comments and texts, and tests from the rest.

use std::ops::Range;

use crate::root::File;

/// A Rust file, and its code alone with every line and column in place.
#[derive(Debug)]
pub(super) struct RustSource<'a> {
    pub(super) path: &'a str,
    /// As written.
    pub(super) text: &'a str,
    /// With comments and literals blanked.
    pub(super) code: String,
    /// With what only tests see blanked as well.
    pub(super) shipped: String,
}

impl<'a> RustSource<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        let code = blank_texts(&file.text);
        let shipped = blank_tests(&code);
        Self {
            path: &file.path,
            text: &file.text,
            code,
            shipped,
        }
    }

    /// Whether all of the file is for tests.
    pub(super) fn is_test(&self) -> bool {
        let path = self.path;
        path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
    }
}

/// The number of the line that holds a byte, from 1.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    let before = text.as_bytes().iter().take(at);
    before.filter(|byte| **byte == b'\n').count() + 1
}

/// Where a word stands by itself; an end that is no letter, as in `dbg!`, borders on anything.
pub(super) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            let before = code[..*at].chars().next_back();
            let after = code[*at + word.len()..].chars().next();
            let goes_back = word.starts_with(is_name) && before.is_some_and(is_name);
            let goes_on = word.ends_with(is_name) && after.is_some_and(is_name);
            !goes_back && !goes_on
        })
}

pub(super) fn is_name(of: char) -> bool {
    of.is_alphanumeric() || of == '_'
}

/// The end of the item whose head goes on at `from`: its closing brace, or a `;` before any. Braces within `(...)` and `[...]` end nothing.
pub(super) fn item_end(code: &str, from: usize) -> Option<usize> {
    let (mut braces, mut others) = (0_usize, 0_usize);
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => others += 1,
            b')' | b']' => others = others.saturating_sub(1),
            b'{' => braces += 1,
            b'}' if braces == 1 && others == 0 => return Some(at),
            b'}' => braces = braces.saturating_sub(1),
            b';' if braces == 0 && others == 0 => return Some(at),
            _ => {}
        }
    }
    None
}

fn blank_tests(code: &str) -> String {
    const ATTRIBUTE: &str = "#[cfg(test)]";
    let mut shipped = code.as_bytes().to_vec();
    for (at, _) in code.match_indices(ATTRIBUTE) {
        let end = item_end(code, at + ATTRIBUTE.len()).unwrap_or(code.len() - 1);
        blank(&mut shipped, at..end + 1);
    }
    String::from_utf8_lossy(&shipped).into_owned()
}

fn blank_texts(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        match text_end(bytes, at) {
            Some(end) => {
                let end = end.min(bytes.len());
                blank(&mut code, at..end);
                at = end;
            }
            None => at += 1,
        }
    }
    String::from_utf8_lossy(&code).into_owned()
}

fn blank(code: &mut [u8], range: Range<usize>) {
    for byte in &mut code[range] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

/// The end of the comment or literal that starts here, if one does.
fn text_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    match rest {
        [b'/', b'/', ..] => Some(at + find(rest, b"\n").unwrap_or(rest.len())),
        [b'/', b'*', ..] => Some(at + block_comment(rest)),
        [b'"', ..] => Some(at + quoted(rest, b'"')),
        [b'r', b'"' | b'#', ..] if !in_name(bytes, at) => raw_string(rest).map(|end| at + end),
        [b'\'', b'\\', ..] => Some(at + quoted(rest, b'\'')),
        // A letter in quotes, else the start of a lifetime.
        [b'\'', first, ..] => {
            let length = match first {
                ..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                0xf0.. => 4,
            };
            (rest.get(1 + length) == Some(&b'\'')).then_some(at + length + 2)
        }
        _ => None,
    }
}

/// Whether the byte goes on a name; the `b` and `c` of literals are none.
fn in_name(bytes: &[u8], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).map(|index| char::from(bytes[index]));
    match before(1) {
        Some('b' | 'c') => before(2).is_some_and(is_name),
        other => other.is_some_and(is_name),
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    let open = 1 + hashes;
    if rest.get(open) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let inner = &rest[open + 1..];
    let end = find(inner, &close).map_or(inner.len(), |at| at + close.len());
    Some(open + 1 + end)
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests;
