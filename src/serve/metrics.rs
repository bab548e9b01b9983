//! Statistics in the text format of Prometheus (exposition format 0.0.4).

use std::fmt::Write;

use serde_json::Value;

/// Fields whose numbers only grow; all others go up and down.
const COUNTERS: [&str; 8] =
    ["captured", "stylized", "dropped", "frames", "scale_steps", "over_budget", "placeholders", "reconnects"];

/// Every number and truth value in `status`, named by its place: `stats.latency_ms.p50` is `nijigen_stats_latency_ms_p50`.
/// Objects in a list that have a name are told apart by the label `name`. A state is a label `state` with the value 1.
pub fn text(status: &Value) -> String {
    let mut samples = Vec::new();
    collect(status, "nijigen", "", "", &mut samples);
    // All samples of a name stand together.
    samples.sort_by(|a, b| a.name.cmp(&b.name));
    let mut text = String::new();
    let mut last = "";
    for Sample { name, label, value, counts } in &samples {
        // Writing to memory cannot fail.
        if name != last {
            let _ = writeln!(text, "# TYPE {name} {}", if *counts { "counter" } else { "gauge" });
            last = name;
        }
        let _ = writeln!(text, "{name}{label} {value}");
    }
    text
}

struct Sample {
    name: String,
    label: String,
    value: f64,
    counts: bool,
}

fn collect(value: &Value, name: &str, field: &str, label: &str, samples: &mut Vec<Sample>) {
    let number = match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                collect(value, &format!("{name}_{}", plain(field)), field, label, samples);
            }
            return;
        }
        Value::Array(items) => {
            for item in items {
                if let Some(Value::String(own)) = item.get("name") {
                    collect(item, name, "", &format!("{{name=\"{}\"}}", escaped(own)), samples);
                }
            }
            return;
        }
        Value::Number(number) => number.as_f64(),
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        Value::String(state) if field == "state" => {
            let label = format!("{{state=\"{}\"}}", escaped(state));
            samples.push(Sample { name: name.to_string(), label, value: 1.0, counts: false });
            return;
        }
        Value::Null | Value::String(_) => None,
    };
    let Some(value) = number else { return };
    let counts = COUNTERS.contains(&field);
    let name = if counts { format!("{name}_total") } else { name.to_string() };
    samples.push(Sample { name, label: label.to_string(), value, counts });
}

fn plain(field: &str) -> String {
    field.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_named_by_their_place() {
        let status = json!({
            "source": "camera", "ok": true, "state": "running",
            "stats": { "captured": 7, "latency_ms": { "p50": 1.5 },
                       "sinks": [{ "name": "a\"b", "frames": 3 }, { "name": "http", "frames": 4 }] },
        });
        let expected = "\
# TYPE nijigen_ok gauge
nijigen_ok 1
# TYPE nijigen_state gauge
nijigen_state{state=\"running\"} 1
# TYPE nijigen_stats_captured_total counter
nijigen_stats_captured_total 7
# TYPE nijigen_stats_latency_ms_p50 gauge
nijigen_stats_latency_ms_p50 1.5
# TYPE nijigen_stats_sinks_frames_total counter
nijigen_stats_sinks_frames_total{name=\"a\\\"b\"} 3
nijigen_stats_sinks_frames_total{name=\"http\"} 4
";
        assert_eq!(text(&status), expected);
    }
}
