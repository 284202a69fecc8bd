//! What happened to files, one line each.

use crate::event::{FileClosed, FileContent, FileUse, Kind, Scope, ScpFile, SftpFile, TextOrBytes};

/// `None` for what is not about files.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the other kinds are not about files"
)]
pub fn told(kind: &Kind) -> Option<String> {
    let line = match kind {
        Kind::SftpFile(file) => sftp(file),
        Kind::ScpFile(file) => scp(file),
        Kind::ScpDirectory(made) => {
            let (path, result) = (text(&made.path), &made.result);
            format!("{} directory {path}: {result}", word(made.operation))
        }
        Kind::SftpOperation(done) => {
            let mut line = done.operation.clone();
            if let Some(path) = &done.path {
                line += &format!(" {}", text(path));
            }
            if let Some(to) = &done.to {
                line += &format!(" -> {}", text(to));
            }
            if let Some(mode) = done.attributes.as_ref().and_then(|set| set.mode.as_ref()) {
                line += &format!(" mode {mode}");
            }
            format!("{line}: {}", done.result)
        }
        Kind::SftpList(list) => {
            format!("list {}: {} entries", text(&list.path), list.entries)
        }
        Kind::SftpError(error) | Kind::ScpError(error) => {
            let said = error.said.as_ref().map(|said| format!(": {}", text(said)));
            format!(
                "NOT FOLLOWED ({}) {}{}",
                error.code,
                error.message,
                said.unwrap_or_default()
            )
        }
        Kind::Rsync(rsync) => {
            let paths: Vec<String> = rsync.paths.iter().map(text).collect();
            format!("rsync {} {}", word(rsync.operation), paths.join(" "))
        }
        Kind::Git(git) => format!("{} {}", git.service, text(&git.repository)),
        _ => return None,
    };
    Some(line)
}

fn sftp(file: &SftpFile) -> String {
    let mut line = format!("{} {}", word(file.operation), text(&file.path));
    for (name, content) in [("read", &file.read), ("written", &file.written)] {
        if let Some(content) = content {
            line += &format!(", {name} {}", passed(content));
        }
    }
    match file.closed {
        FileClosed::Client | FileClosed::NotOpened => {}
        FileClosed::Channel => line += ", never closed",
        FileClosed::Lost | FileClosed::NotFollowed => line += ", not followed to its close",
    }
    format!("{line}: {}", file.result)
}

fn scp(file: &ScpFile) -> String {
    let (path, content) = (text(&file.path), passed(&file.content));
    format!(
        "{} {path}, {content}: {}",
        word(file.operation),
        file.result
    )
}

fn passed(content: &FileContent) -> String {
    let hash = content.sha256.as_deref().unwrap_or("none");
    let covers = match content.scope {
        Scope::Whole => "the whole file".to_owned(),
        Scope::Range => format!("bytes {} to {}", content.from, content.to),
        Scope::Partial => format!("bytes {} to {}, and more passed", content.from, content.to),
        Scope::None => return format!("{} bytes, no sha256", content.bytes),
    };
    format!("{} bytes, sha256 {hash} of {covers}", content.bytes)
}

fn word(operation: FileUse) -> &'static str {
    match operation {
        FileUse::Open => "open",
        FileUse::Read => "read",
        FileUse::Write => "write",
        FileUse::Both => "read and write",
    }
}

fn text(text: &TextOrBytes) -> String {
    match (&text.data, &text.base64) {
        (Some(data), _) => format!("`{data}`"),
        (None, Some(base64)) => format!("(no text, base64 {base64})"),
        (None, None) => "``".to_owned(),
    }
}
