//! Text that people write and other people see: names, platforms, units, memos.
//!
//! What is signed and kept must be judged the same everywhere and for ever, so the characters are
//! listed here, and do not follow a version of Unicode.

/// Whether text is plain: nothing in it controls a terminal, breaks the line, hides, or changes
/// the order in which the rest is shown.
pub fn is_plain(text: &str) -> bool {
    !text.chars().any(misleads)
}

/// Whether there is nothing to be seen in a plain text.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_invisible)
}

/// The text with a mark in the place of each character that is not plain, but for line breaks: for
/// what others say and no format bounds.
pub fn shown(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' => c,
        c if misleads(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(shown).collect()
}

/// Controls, soft hyphen, marks and overrides of direction, separators of lines and paragraphs,
/// what has no width (but joiners, which emoji and scripts need), annotations, tags.
fn misleads(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'
        | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

/// Spaces, joiners, fillers, selectors of variants.
fn is_invisible(c: char) -> bool {
    matches!(c,
        ' '
        | '\u{a0}'
        | '\u{34f}'
        | '\u{115f}'..='\u{1160}'
        | '\u{1680}'
        | '\u{2000}'..='\u{200a}'
        | '\u{200c}'..='\u{200d}'
        | '\u{202f}'
        | '\u{205f}'
        | '\u{2800}'
        | '\u{3000}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{ffa0}'
        | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_any_script_is_plain() {
        for text in [
            "",
            "a phone",
            "π",
            "телефон",
            "טלפון",
            "هاتف",
            "می\u{200c}خواهم",
            "👩\u{200d}💻 laptop",
            "☎\u{fe0f}",
            "葛\u{e0100}",
        ] {
            assert!(is_plain(text), "{text:?}");
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn what_misleads_is_not_plain() {
        for c in [
            '\0',
            '\t',
            '\n',
            '\r',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{ad}',
            '\u{61c}',
            '\u{200b}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{feff}',
            '\u{e0041}',
        ] {
            let text = format!("a{c}b");
            assert!(!is_plain(&text), "{c:?}");
            let expected = if c == '\n' {
                text
            } else {
                "a\u{fffd}b".to_owned()
            };
            assert_eq!(shown(&format!("a{c}b")), expected);
        }
    }

    #[test]
    fn every_control_character_misleads() {
        for c in (0..=0xff)
            .filter_map(char::from_u32)
            .filter(|c| c.is_control())
        {
            assert!(misleads(c), "{c:?}");
        }
    }

    #[test]
    fn spaces_and_fillers_show_nothing() {
        for text in [
            "",
            " ",
            "\u{3000}\u{a0}",
            "\u{200d}",
            "\u{3164}",
            "\u{2800}",
        ] {
            assert!(is_blank(text), "{text:?}");
        }
        assert!(!is_blank(" a "));
    }
}
