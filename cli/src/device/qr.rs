//! QR codes for terminals.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// Black on white: most scanners take nothing else, and most terminals are dark.
const COLOURS: &str = "\x1b[38;5;16;48;5;231m";
const RESET: &str = "\x1b[0m";

/// Draws a text as a QR code with its quiet zone, both colours set unless none are wanted; none
/// if it is too long for one. Without colours light is drawn and dark is left, as a dark terminal
/// wants it.
pub(super) fn draw(text: &str, colours: bool) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let mut renderer = code.render::<Dense1x2>();
    if colours {
        renderer
            .dark_color(Dense1x2::Dark)
            .light_color(Dense1x2::Light);
    } else {
        renderer
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark);
    }
    let drawn = renderer.quiet_zone(true).build();
    if !colours {
        return Some(drawn);
    }
    let lines: Vec<String> = drawn
        .lines()
        .map(|line| format!("{COLOURS}{line}{RESET}"))
        .collect();
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_sets_both_colours_and_has_a_quiet_zone() {
        let drawn = draw("edge-ledger:link/1/x", true).unwrap();
        let lines: Vec<&str> = drawn.lines().collect();
        assert!(
            lines
                .iter()
                .all(|line| line.starts_with(COLOURS) && line.ends_with(RESET))
        );
        let bare = |line: &str| line.replace(COLOURS, "").replace(RESET, "");
        for line in &lines[..2] {
            assert!(bare(line).chars().all(|c| c == ' '), "{line:?}");
        }
        assert!(lines.iter().all(|line| bare(line).starts_with("    ")));
        assert!(
            !draw("edge-ledger:link/1/x", false)
                .unwrap()
                .contains('\x1b')
        );
        assert!(draw(&"x".repeat(5_000), true).is_none());
    }
}
