//! Reads a whole file before anything of it is imported.

use std::io::{BufRead, Read as _};

use super::{Counts, FORMAT, Line, Tally, damaged};
use crate::explain::Failure;
use crate::limits::ARCHIVE_LINE_BYTES_MAX;

/// A file that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admin) struct Checked {
    pub(in crate::admin) lines: u64,
    pub(in crate::admin) counts: Counts,
}

/// Reads the next line, with its end; none at the end of the file.
pub(in crate::admin) fn next_line(
    file: &mut impl BufRead,
    number: u64,
) -> Result<Option<String>, Failure> {
    let mut text = String::new();
    let read = file.take(ARCHIVE_LINE_BYTES_MAX).read_line(&mut text);
    match read {
        Ok(0) => Ok(None),
        Ok(_) if text.ends_with('\n') => Ok(Some(text)),
        Ok(read) if read as u64 == ARCHIVE_LINE_BYTES_MAX => {
            Err(damaged(number, "it is longer than a line can be"))
        }
        Ok(_) => Err(damaged(number, "the file ends within it")),
        Err(error) => Err(damaged(number, &format!("it cannot be read: {error}"))),
    }
}

/// Reads what a line says.
pub(in crate::admin) fn parse(text: &str, number: u64) -> Result<Line, Failure> {
    serde_json::from_str(text)
        .map_err(|error| damaged(number, &format!("it is no line of an archive: {error}")))
}

/// Checks the form of a file, its counts and its hash.
pub(in crate::admin) fn check(file: &mut impl BufRead) -> Result<Checked, Failure> {
    let mut tally = Tally::default();
    loop {
        let number = tally.lines + 1;
        let Some(text) = next_line(file, number)? else {
            let what = match tally.lines {
                0 => "the file is empty",
                _ => "the file ends before its last line, `end`",
            };
            return Err(damaged(number, what));
        };
        let line = parse(&text, number)?;
        match (&line, number) {
            (Line::Archive { format, .. }, 1) if *format == FORMAT => {}
            (Line::Archive { format, .. }, 1) => {
                let message = format!("line 1: the archive has format {format}");
                return Err(Failure::refused("ARCHIVE_NEWER", message)
                    .next("run the version that wrote it"));
            }
            (_, 1) => return Err(damaged(1, "it is no archive")),
            (Line::Archive { .. }, _) => return Err(damaged(number, "a second archive begins")),
            (Line::End { .. }, _) => return end(&tally, &line, file, number),
            _ => {}
        }
        tally.add(&line, &text);
    }
}

fn end(
    tally: &Tally,
    line: &Line,
    file: &mut impl BufRead,
    number: u64,
) -> Result<Checked, Failure> {
    if tally.end() != *line {
        let what = "the lines before it are not those that were exported";
        return Err(damaged(number, what));
    }
    if next_line(file, number + 1)?.is_some() {
        return Err(damaged(number + 1, "something comes after the end"));
    }
    Ok(Checked {
        lines: tally.lines,
        counts: tally.counts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> String {
        let lines = [
            r#"{"kind":"archive","format":1,"genesis":"aa","made_ms":1}"#,
            r#"{"kind":"identity","identity":"01","store_epoch":"02","block":null,"entries_max":null}"#,
            r#"{"kind":"run","device":"03","first_seq":1,"first_prev":"00","formats":[1],"payloads":["0a0b"],"signature":"05"}"#,
            r#"{"kind":"whole","identity":"01","log_position":1,"log_hash":"06","tips":[]}"#,
        ];
        let mut tally = Tally::default();
        let mut file = String::new();
        for line in lines {
            let text = format!("{line}\n");
            tally.add(&parse(&text, 1).unwrap(), &text);
            file.push_str(&text);
        }
        file + &serde_json::to_string(&tally.end()).unwrap() + "\n"
    }

    fn refused(file: &str) -> (String, u64) {
        let failure = check(&mut file.as_bytes()).unwrap_err();
        let line = failure
            .details
            .get("line")
            .and_then(serde_json::Value::as_u64);
        (failure.reason.clone(), line.unwrap_or(0))
    }

    #[test]
    fn a_file_is_whole_as_it_was_written() {
        let checked = check(&mut written().as_bytes()).unwrap();
        let counts = Counts {
            identities: 1,
            statements: 0,
            entries: 1,
        };
        assert_eq!(checked, Checked { lines: 4, counts });
    }

    /// Wherever it is cut, and whichever digit or line is another: it is refused, by its line.
    #[test]
    fn a_file_that_is_cut_short_or_altered_is_refused() {
        let file = written();
        for cut in 0..file.len() {
            let (reason, line) = refused(&file[..cut]);
            assert_eq!(reason, "ARCHIVE_DAMAGED", "{cut}");
            let whole_lines = file[..cut].lines().count() as u64;
            assert!(
                (whole_lines..=whole_lines + 1).contains(&line),
                "{cut}: {line}"
            );
        }
        for (index, _) in file.match_indices(|c: char| c.is_ascii_digit()) {
            let mut bytes = file.clone().into_bytes();
            bytes[index] = if bytes[index] == b'7' { b'8' } else { b'7' };
            let altered = String::from_utf8(bytes).unwrap();
            assert!(check(&mut altered.as_bytes()).is_err(), "{altered}");
        }
        let lines: Vec<&str> = file.split_inclusive('\n').collect();
        for left_out in 0..lines.len() {
            let mut lines = lines.clone();
            lines.remove(left_out);
            assert!(check(&mut lines.concat().as_bytes()).is_err(), "{left_out}");
        }
        let (reason, line) = refused(&(file.clone() + "{}\n"));
        assert_eq!((reason.as_str(), line), ("ARCHIVE_DAMAGED", 6));
        let newer = file.replace("\"format\":1", "\"format\":2");
        assert_eq!(refused(&newer).0, "ARCHIVE_NEWER");
        assert_eq!(refused("nonsense\n"), ("ARCHIVE_DAMAGED".to_owned(), 1));
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let endless = std::io::BufReader::new(std::io::repeat(b'x'));
        let failure = check(&mut { endless }).unwrap_err();
        assert!(failure.message.contains("longer"), "{failure:?}");
    }
}
