//! How long a call may take, as people write it.

/// The units, the longest ending first where one ends with another.
const UNITS: [(&str, f64); 4] = [("ms", 1.0), ("s", 1_000.0), ("m", 60_000.0), ("h", 3_600_000.0)];

/// Milliseconds from `500ms`, `5s`, `2m`, `1h`, or a plain number of seconds.
pub(super) fn parse(text: &str) -> Result<u32, String> {
    let (number, millis) = UNITS
        .into_iter()
        .find_map(|(unit, millis)| Some((text.strip_suffix(unit)?, millis)))
        .unwrap_or((text, 1_000.0));
    let digits = number.starts_with(|c: char| c.is_ascii_digit()) && number.ends_with(|c: char| c.is_ascii_digit());
    let number: f64 = number
        .parse()
        .ok()
        .filter(|_| digits)
        .ok_or("a time is a number of seconds, or a number with ms, s, m or h, such as 500ms")?;
    let millis = (number * millis).round();
    // GraphQL's Int ends there.
    if (1.0..=f64::from(i32::MAX)).contains(&millis) {
        Ok(millis as u32)
    } else {
        Err("a time is between 1ms and 24 days".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_is_in_seconds() {
        for (text, millis) in [
            ("5s", 5_000),
            ("500ms", 500),
            ("5", 5_000),
            ("1.5", 1_500),
            ("0.25s", 250),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(parse(text), Ok(millis), "{text}");
        }
        for wrong in ["", "0", "s", "5 s", "-1", "inf", "NaN", "5x", "0.1ms", "25d", "600h", "1e300h", ".5", "5.s"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
