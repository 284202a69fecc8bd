//! What asciinema 3.2 takes for an asciicast of version 3, read off its source and tried on it: it
//! builds for longer than a test may wait, so that its rules stand here.

use serde_json::Value;

/// Fails at the first line that asciinema would refuse or fall over.
pub(crate) fn assert_is_asciicast_v3(text: &str) -> Vec<Value> {
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert!(text.ends_with('\n'), "the last line has no end");
    let (head, events) = lines.split_first().expect("no header");
    assert_eq!(head["version"], 3, "{head}");
    let size = |value: &Value| {
        let size = value.as_u64().and_then(|size| u16::try_from(size).ok());
        assert!(size.is_some_and(|size| size > 0), "no size: {value}");
    };
    size(&head["term"]["cols"]);
    size(&head["term"]["rows"]);
    assert!(head["term"]["type"].is_string(), "{head}");
    assert!(head["timestamp"].is_u64(), "{head}");
    assert!(head["title"].is_string(), "{head}");
    for event in events {
        let parts = event.as_array().expect("no array");
        let [time, code, data] = parts.as_slice() else {
            panic!("not three parts: {event}")
        };
        assert!(time.as_f64().is_some_and(|time| time >= 0.0), "{event}");
        let data = data.as_str().unwrap_or_else(|| panic!("no text: {event}"));
        match code.as_str().unwrap_or_default() {
            "o" | "i" | "m" => {}
            "r" => {
                let (cols, rows) = data.split_once('x').unwrap_or_else(|| panic!("{event}"));
                for number in [cols, rows] {
                    size(&Value::from(number.parse::<u64>().unwrap()));
                }
            }
            "x" => assert!(data.parse::<i32>().is_ok(), "{event}"),
            _ => panic!("no code of version 3: {event}"),
        }
    }
    lines
}
