//! `export` and `report` on the node: the words without the place to write to go to the bastion, and
//! what it answers is written here.

use super::local;
use crate::cli::files::{Folder, Place};
use crate::cli::tree::{ExportToArgs, ReportToArgs};
use crate::config::Config;
use crate::replay::ReportFormat;
use anyhow::anyhow;
use std::path::Path;

/// # Errors
/// What keeps it from being asked for, a place that is not ours among it.
pub(crate) async fn export(args: &ExportToArgs, config: &Config) -> anyhow::Result<u8> {
    let words = without_output(local::own_words());
    // Behind the verb.
    let filter = words.get(1..).unwrap_or_default().join(" ");
    let output = &args.output;
    let place = match (is_standard(output), &args.export.id) {
        (true, _) => Ok(Place::Standard),
        (false, None) => {
            Folder::take(output, &filter).map(|folder| Place::Folder(Box::new(folder)))
        }
        (false, Some(_)) => Place::one(output.clone()),
    };
    let place = place.map_err(|text| anyhow!(text))?;
    local::run_to(&words, place, config).await
}

/// # Errors
/// As [`export`].
pub(crate) async fn report(args: &ReportToArgs, config: &Config) -> anyhow::Result<u8> {
    let mut words = without_output(local::own_words());
    let output = &args.output;
    if is_standard(output) {
        return local::run_to(&words, Place::Standard, config).await;
    }
    if args.report.format.is_none() {
        let end = output.extension().unwrap_or_default().to_string_lossy();
        let format: ReportFormat = end.parse().map_err(|error: String| {
            anyhow!("{error}: end the name of the file so, or say `--format`")
        })?;
        words.push(format!("--format {}", format.name()));
    }
    let place = Place::one(output.clone()).map_err(|text| anyhow!(text))?;
    local::run_to(&words, place, config).await
}

fn is_standard(output: &Path) -> bool {
    output == Path::new("-")
}

/// Without `-o PLACE` in each of its spellings.
fn without_output(words: Vec<String>) -> Vec<String> {
    let mut left = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-o" | "--output" => drop(words.next()),
            word if word.starts_with("--output=") => {}
            word if word.starts_with("-o") => {}
            _ => left.push(word),
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_stays_here_and_all_else_goes() {
        for line in [
            "export -o /tmp/x --since 7d",
            "export -o=/tmp/x --since 7d",
            "export -o/tmp/x --since 7d",
            "export --since 7d --output /tmp/x",
            "export --output=/tmp/x --since 7d",
        ] {
            let words = line.split(' ').map(str::to_owned).collect();
            assert_eq!(without_output(words), ["export", "--since", "7d"], "{line}");
        }
    }
}
