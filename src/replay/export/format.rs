use std::str::FromStr;

/// What a recording can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The recorded lines, byte for byte.
    Jsonl,
    /// A row for each audit event (RFC 4180).
    Csv,
    /// asciinema's players, all of them.
    AsciicastV2,
    /// asciinema 3 and later.
    AsciicastV3,
    /// What was on the screen, as a page that loads nothing.
    Html,
    /// OCSF 1.7, JSON Lines.
    Ocsf,
    /// Elastic Common Schema 9, JSON Lines.
    Ecs,
}

const NAMES: [(&str, Format); 7] = [
    ("jsonl", Format::Jsonl),
    ("csv", Format::Csv),
    ("asciicast-v2", Format::AsciicastV2),
    ("asciicast-v3", Format::AsciicastV3),
    ("html", Format::Html),
    ("ocsf", Format::Ocsf),
    ("ecs", Format::Ecs),
];

impl Format {
    pub fn name(self) -> &'static str {
        let found = NAMES.iter().find(|(_, format)| *format == self);
        found.map_or("jsonl", |(name, _)| name)
    }

    /// A file holds one session, not several.
    pub fn is_of_one_session(self) -> bool {
        match self {
            Self::AsciicastV2 | Self::AsciicastV3 | Self::Html => true,
            Self::Jsonl | Self::Csv | Self::Ocsf | Self::Ecs => false,
        }
    }

    /// Among several files each session has its own; tables and events for a SIEM are one file.
    pub fn has_a_file_each(self) -> bool {
        match self {
            Self::Jsonl | Self::AsciicastV2 | Self::AsciicastV3 | Self::Html => true,
            Self::Csv | Self::Ocsf | Self::Ecs => false,
        }
    }

    /// How a file of this format ends its name.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::AsciicastV2 | Self::AsciicastV3 => "cast",
            Self::Html => "html",
            Self::Ocsf => "ocsf.jsonl",
            Self::Ecs => "ecs.jsonl",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, format)| *format).ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            format!("`{text}` is no format, there are: {}", names.join(", "))
        })
    }
}
