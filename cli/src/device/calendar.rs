//! Moments as people read them.

const DAY_MS: i64 = 86_400_000;

/// A moment in UTC, such as `2026-08-01 12:34:56`. The clocks of devices are their owners'
/// business: a year that nobody would believe is shown as it is counted.
pub(crate) fn utc(wall_ms: i64) -> String {
    let (days, ms) = (wall_ms.div_euclid(DAY_MS), wall_ms.rem_euclid(DAY_MS));
    let (year, month, day) = civil(days);
    if !(0..=9999).contains(&year) {
        return format!("{wall_ms} ms");
    }
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar. Years are counted
/// from March on, so that the leap day is the last, and in eras of 400 years.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, past_new_year) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + past_new_year, month, day)
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn moments_are_those_of_the_calendar() {
        for (ms, expected) in [
            (0, "1970-01-01 00:00:00"),
            (-1, "1969-12-31 23:59:59"),
            (951_782_399_000, "2000-02-28 23:59:59"),
            (951_782_400_000, "2000-02-29 00:00:00"),
            (951_868_800_000, "2000-03-01 00:00:00"),
            (1_735_689_599_999, "2024-12-31 23:59:59"),
            (4_107_542_400_000, "2100-03-01 00:00:00"),
            (253_402_300_799_000, "9999-12-31 23:59:59"),
            (253_402_300_800_000, "253402300800000 ms"),
            (-62_167_219_200_001, "-62167219200001 ms"),
        ] {
            assert_eq!(utc(ms), expected);
        }
        assert!(utc(i64::MIN).ends_with(" ms") && utc(i64::MAX).ends_with(" ms"));
    }
}
