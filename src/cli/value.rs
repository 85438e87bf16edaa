//! Reading the registry's JSON for people: what is absent is shown as a dash.
//!
//! The command line keeps answers as JSON instead of types of its own, since `--format json` hands them on as they
//! came.

use serde_json::{Map, Value};

use super::output::clean;

/// What stands for nothing.
pub(super) const NOTHING: &str = "-";

/// The text at a JSON pointer, for a table's cell.
pub(super) fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).map_or_else(|| NOTHING.to_owned(), plain)
}

/// The instant at a JSON pointer, to the second.
pub(super) fn time(value: &Value, pointer: &str) -> String {
    to_the_second(&text(value, pointer))
}

/// The texts of the list at a JSON pointer.
pub(super) fn texts(value: &Value, pointer: &str) -> Vec<String> {
    list(value, pointer).iter().map(plain).collect()
}

/// One member of each object of the list at a JSON pointer.
pub(super) fn texts_of(value: &Value, pointer: &str, member: &str) -> Vec<String> {
    list(value, pointer).iter().map(|item| text(item, member)).collect()
}

/// The list at a JSON pointer; empty where there is none.
pub(super) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A number of milliseconds at a JSON pointer, in the unit that makes it short.
pub(super) fn duration(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer).and_then(Value::as_f64) {
        None => NOTHING.to_owned(),
        Some(millis) if millis < 10.0 => format!("{millis:.2} ms"),
        Some(millis) if millis < 1_000.0 => format!("{millis:.0} ms"),
        Some(millis) => format!("{:.1} s", millis / 1_000.0),
    }
}

/// An object's members that say something: what was not typed is not sent, so that the registry's defaults hold.
pub(super) fn given(object: Value) -> Value {
    match object {
        Value::Object(members) => {
            members.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

/// Texts in one line.
pub(super) fn joined(texts: &[String]) -> String {
    if texts.is_empty() { NOTHING.to_owned() } else { texts.join(", ") }
}

/// Any value in one line.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => NOTHING.to_owned(),
        Value::Bool(yes) => (if *yes { "yes" } else { "no" }).to_owned(),
        Value::String(text) if text.trim().is_empty() => NOTHING.to_owned(),
        Value::String(text) => clean(text),
        Value::Array(items) => joined(&items.iter().map(plain).collect::<Vec<_>>()),
        Value::Object(members) if members.is_empty() => NOTHING.to_owned(),
        Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

/// Cuts the fraction off an RFC 3339 instant in UTC; anything else stays as it is.
fn to_the_second(instant: &str) -> String {
    match instant.get(..19) {
        Some(head) if instant[19..].starts_with('.') && instant.ends_with('Z') => format!("{head}Z"),
        _ => instant.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_instant_is_shown_to_the_second() {
        assert_eq!(to_the_second("2026-11-22T12:57:44.123456Z"), "2026-11-22T12:57:44Z");
        for whole in ["2026-11-22T12:57:44Z", NOTHING, "", "2026-11-22T12:57:44.1+01:00", "ääääääääääääää"]
        {
            assert_eq!(to_the_second(whole), whole);
        }
    }

    #[test]
    fn what_was_not_typed_is_not_sent() {
        let none: Option<u16> = None;
        assert_eq!(given(json!({"a": none, "b": 0, "c": false, "d": ""})), json!({"b": 0, "c": false, "d": ""}));
    }

    #[test]
    fn a_duration_is_short() {
        let shown = |millis: Value| duration(&json!({"ms": millis}), "/ms");
        assert_eq!(shown(json!(0.4167)), "0.42 ms");
        assert_eq!(shown(json!(12.6)), "13 ms");
        assert_eq!(shown(json!(61_240)), "61.2 s");
        assert_eq!(shown(Value::Null), NOTHING);
    }

    #[test]
    fn what_is_absent_is_a_dash() {
        let value = json!({"a": null, "b": {"c": "x"}, "d": [], "e": ["p", "q"], "f": "", "g": false, "h": 3});
        let shown: Vec<String> =
            ["/a", "/none/c", "/b/c", "/d", "/e", "/f", "/g", "/h"].iter().map(|at| text(&value, at)).collect();
        assert_eq!(shown, ["-", "-", "x", "-", "p, q", "-", "no", "3"]);
    }
}
