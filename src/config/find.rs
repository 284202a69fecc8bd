use std::env;
use std::path::{Path, PathBuf};

const SYSTEM: &str = "/etc/portcullis/portcullis.toml";

/// `--config FILE`, else `PORTCULLIS_CONFIG`, else `./portcullis.toml`, else `/etc/portcullis/`.
///
/// # Errors
/// A sentence that says where it looked and what to do.
pub fn find(flag: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(file) = flag {
        return Ok(file.to_owned());
    }
    if let Some(file) = env::var_os("PORTCULLIS_CONFIG") {
        return Ok(file.into());
    }
    let here = Path::new("portcullis.toml");
    let found = [here, Path::new(SYSTEM)]
        .into_iter()
        .find(|file| file.is_file());
    found.map(Path::to_owned).ok_or_else(|| {
        format!(
            "no configuration: neither --config, PORTCULLIS_CONFIG, ./portcullis.toml nor {SYSTEM}\n\
             hint: `portcullis init DIR` makes an installation"
        )
    })
}

/// Where the ssh-agent of this process listens.
pub fn agent_socket() -> Option<PathBuf> {
    env::var_os("SSH_AUTH_SOCK").map(PathBuf::from)
}

/// The caller's time zone, as `ssh` would send it.
pub fn time_zone() -> Option<String> {
    env::var_os("TZ").and_then(|zone| zone.into_string().ok())
}

/// The account, for events of verbs that run without `serve`.
pub fn user_name() -> String {
    let user = rustix::process::getuid();
    if user.is_root() {
        return "root".to_owned();
    }
    user.as_raw().to_string()
}
