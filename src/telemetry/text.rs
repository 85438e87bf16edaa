//! The two text forms of metrics: OpenMetrics, and the older one of Prometheus, which every scraper reads.
//!
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>,
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Prometheus,
}

impl Format {
    /// The form that an Accept header asks for; Prometheus' where it leaves the choice, since that is read by all.
    pub fn accepted(accept: Option<&str>) -> Self {
        let mut best = (Format::Prometheus, 0.0);
        for range in accept.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next() {
                Some("application/openmetrics-text") => Format::OpenMetrics,
                Some("text/plain" | "text/*" | "*/*") => Format::Prometheus,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
            if quality > best.1 {
                best = (format, quality);
            }
        }
        best.0
    }

    /// The Content-Type.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// In this form what is written as OpenMetrics. The older form names a counter as its samples are named, knows no
    /// info and no unit, and has no end.
    pub(super) fn of_open_metrics(self, text: String) -> String {
        if self == Format::OpenMetrics {
            return text;
        }
        let mut older = String::with_capacity(text.len());
        let mut help = None;
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                help = rest.split_once(' ');
            } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
                let (suffix, kind) = match kind {
                    "counter" => ("_total", kind),
                    "info" => ("_info", "gauge"),
                    _ => ("", kind),
                };
                if let Some((_, help)) = help.take() {
                    older.push_str(&format!("# HELP {name}{suffix} {help}\n"));
                }
                older.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
            } else if !line.starts_with('#') {
                older.push_str(line);
                older.push('\n');
            }
        }
        older
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_that_is_asked_for_is_given() {
        for (accept, format) in [
            (None, Format::Prometheus),
            (Some("*/*"), Format::Prometheus),
            (Some("text/html"), Format::Prometheus),
            (Some("application/openmetrics-text; version=1.0.0"), Format::OpenMetrics),
            (
                Some("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"),
                Format::OpenMetrics,
            ),
            (Some("application/openmetrics-text;q=0.1, text/plain;q=0.9"), Format::Prometheus),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept:?}");
        }
    }

    #[test]
    fn the_older_form_names_counters_as_their_samples() {
        let text = "# HELP a Help.\n# TYPE a counter\n# UNIT a x\na_total 1\n# HELP b Of.\n# TYPE b info\n\
                    b_info{c=\"1\"} 1\n# HELP d It.\n# TYPE d gauge\nd 2\n# EOF\n";
        let older = "# HELP a_total Help.\n# TYPE a_total counter\na_total 1\n# HELP b_info Of.\n\
                     # TYPE b_info gauge\nb_info{c=\"1\"} 1\n# HELP d It.\n# TYPE d gauge\nd 2\n";
        assert_eq!(Format::Prometheus.of_open_metrics(text.to_owned()), older);
        assert_eq!(Format::OpenMetrics.of_open_metrics(text.to_owned()), text);
    }
}
