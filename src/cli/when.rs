//! Times for people: in their zone, with the offset; and times from people.

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, TimeZone, Utc};
use std::time::Duration;

/// Where somebody's clock is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    /// This machine's.
    Local,
    Named(chrono_tz::Tz),
}

impl Zone {
    /// By the variable `TZ` as the client sent it. What is no name of the IANA database is passed
    /// over: the offset that is printed beside each time says which zone it is.
    pub(crate) fn of(env: &[(String, String)]) -> Self {
        let sent = env.iter().find(|(name, _)| name == "TZ");
        let named = sent.and_then(|(_, zone)| zone.trim_start_matches(':').parse().ok());
        named.map_or(Self::Local, Self::Named)
    }

    pub(crate) fn show(self, time: DateTime<Utc>) -> String {
        const FORM: &str = "%Y-%m-%d %H:%M:%S %:z";
        match self {
            Self::Local => time.with_timezone(&Local).format(FORM).to_string(),
            Self::Named(zone) => time.with_timezone(&zone).format(FORM).to_string(),
        }
    }

    /// A date, a date with a time (in this zone, or with an offset), or a length of time ago.
    pub(crate) fn read(self, text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
        if let Ok(ago) = humantime::parse_duration(text) {
            let ago = chrono::Duration::from_std(ago).ok();
            return ago
                .and_then(|ago| now.checked_sub_signed(ago))
                .ok_or_else(|| "it is too long ago".to_owned());
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(time.with_timezone(&Utc));
        }
        let midnight = text
            .parse::<NaiveDate>()
            .ok()
            .and_then(|date| date.and_hms_opt(0, 0, 0));
        let there = [
            "%Y-%m-%d %H:%M:%S",
            "%Y-%m-%d %H:%M",
            "%Y-%m-%dT%H:%M:%S",
            "%Y-%m-%dT%H:%M",
        ]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .or(midnight)
        .ok_or_else(|| "write `7d`, `2026-11-24` or `2026-11-24 13:00`".to_owned())?;
        let time = match self {
            Self::Local => Local
                .from_local_datetime(&there)
                .earliest()
                .map(|time| time.to_utc()),
            Self::Named(zone) => zone
                .from_local_datetime(&there)
                .earliest()
                .map(|time| time.to_utc()),
        };
        time.ok_or_else(|| "that time did not exist in this zone".to_owned())
    }
}

/// `1h 2m 3s`, in whole seconds.
pub(crate) fn length(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    let seconds = u64::try_from((to - from).num_seconds()).unwrap_or(0);
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::of(&[("TZ".to_owned(), name.to_owned())])
    }

    #[test]
    fn times_are_shown_where_the_person_is() {
        let time = DateTime::from_timestamp(1_795_478_400, 0).unwrap();
        assert_eq!(
            zone("Europe/Berlin").show(time),
            "2026-11-24 01:00:00 +01:00"
        );
        assert_eq!(zone("UTC").show(time), "2026-11-24 00:00:00 +00:00");
        assert_eq!(zone("/etc/passwd"), Zone::Local);
        assert_eq!(zone("../../x\x1b"), Zone::Local);
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        let now = DateTime::from_timestamp(1_795_478_400, 0).unwrap();
        let read = |text| {
            zone("Europe/Berlin")
                .read(text, now)
                .map(|time| time.to_rfc3339())
        };
        assert_eq!(read("7d").unwrap(), "2026-11-17T00:00:00+00:00");
        assert_eq!(read("2026-11-24").unwrap(), "2026-11-23T23:00:00+00:00");
        assert_eq!(
            read("2026-11-24 13:00").unwrap(),
            "2026-11-24T12:00:00+00:00"
        );
        assert_eq!(
            read("2026-11-24T13:00:00Z").unwrap(),
            "2026-11-24T13:00:00+00:00"
        );
        for bad in [
            "",
            "yesterday",
            "9999999999999d",
            "2026-13-01",
            "2026-03-29 02:30",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
