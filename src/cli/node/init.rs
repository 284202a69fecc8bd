//! `init DIR`: a working installation. Asks nothing, overwrites nothing.

use crate::ca;
use crate::clock::Clock;
use crate::config::TEMPLATE;
use crate::policy::SHIPPED;
use anyhow::{Context, bail};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

pub(crate) fn run(dir: &Path) -> anyhow::Result<()> {
    let config = dir.join("portcullis.toml");
    if config.exists() {
        bail!("{} is there already: nothing was changed", config.display());
    }
    for name in ["", "keys", "policies", "state"] {
        let dir = dir.join(name);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .with_context(|| format!("cannot make {}", dir.display()))?;
    }
    let keys = dir.join("keys");
    for (name, comment) in [
        ("user_ca", "portcullis user CA"),
        ("host_ca", "portcullis host CA"),
        ("target_ca", "portcullis target CA"),
        ("host_ed25519", "portcullis host key"),
    ] {
        ca::generate(&keys.join(name), comment)?;
    }
    write(
        &keys.join("revoked.krl"),
        &ca::new_krl(Clock::system().now())?,
    )?;
    for (name, text) in SHIPPED {
        write(&dir.join("policies").join(name), text.as_bytes())?;
    }
    write(&config, TEMPLATE.as_bytes())?;
    let config = config.display();
    writeln!(
        io::stdout(),
        "An installation is in {dir}. Next:\n\
         \n  $EDITOR {config}                            add your targets\
         \n  portcullis --config {config} serve          start the bastion\
         \n  portcullis --config {config} ca issue --identity YOU --principal LOGIN --reason WHY ~/.ssh/id_ed25519.pub",
        dir = dir.display()
    )?;
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .with_context(|| format!("cannot write {}", path.display()))
}
