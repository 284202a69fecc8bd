use crate::access::{self, Desk, Targets};
use crate::clock::Clock;
use crate::config::Config;
use crate::record::Recorder;
use crate::replay::Archive;
use crate::store::Store;
use anyhow::anyhow;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

/// What verbs need of a running house, or of a state directory without one.
#[derive(Clone)]
pub struct Parts {
    pub clock: Clock,
    pub config: Arc<Config>,
    pub desk: Desk,
    pub recorder: Recorder,
    pub store: Store,
    pub archive: Archive,
}

impl Parts {
    /// Takes the state directory: fails while another process has it.
    ///
    /// # Errors
    /// What cannot be read, and what to do.
    pub async fn open(config: Arc<Config>) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let desk = desk(&config, &clock)?;
        check_owner(&config.state)?;
        let recorder = Recorder::open(config.record.clone(), clock.clone())?;
        let store = Store::open(&config.state.join("portcullis.db")).await?;
        let archive = Archive::new(config.state.join("recordings"));
        Ok(Self {
            clock,
            config,
            desk,
            recorder,
            store,
            archive,
        })
    }

    /// Reads what recordings say that the index does not know.
    ///
    /// # Errors
    /// A database or recordings that cannot be read.
    pub async fn catch_up(&self) -> anyhow::Result<()> {
        self.store.catch_up(&self.archive).await?;
        Ok(())
    }

    /// The same for what is searched.
    ///
    /// # Errors
    /// As [`Parts::catch_up`].
    pub async fn catch_up_search(&self) -> anyhow::Result<()> {
        let screen = self.config.index_screen;
        self.store.catch_up_told(&self.archive, screen).await?;
        Ok(())
    }

    /// # Errors
    /// When what is in memory could not be written.
    pub async fn close(self) -> anyhow::Result<()> {
        let recorder = self.recorder;
        tokio::task::spawn_blocking(move || recorder.shut_down()).await??;
        self.store.close().await;
        Ok(())
    }
}

fn desk(config: &Config, clock: &Clock) -> anyhow::Result<Desk> {
    let policies = access::load_policies(&config.policies).map_err(|faults| {
        let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
        anyhow!("the policies are not good:\n{}", lines.join("\n"))
    })?;
    let targets = targets(config).map_err(|faults| anyhow!(faults.join("\n")))?;
    Ok(Desk::new(config.access, policies, targets, clock.clone()))
}

/// The targets of a configuration, with the addresses that are the bastion's own.
///
/// # Errors
/// All faults at once.
pub fn targets(config: &Config) -> Result<Targets, Vec<String>> {
    let own = config
        .proxy
        .listen
        .iter()
        .map(|address| address.ip().to_string());
    Targets::new(
        config.targets.clone(),
        config.matching.clone(),
        own.chain(config.proxy.names.iter().cloned()),
    )
}

/// Files that root leaves in the state of a bastion that runs as somebody else would keep it from
/// starting.
fn check_owner(state: &Path) -> anyhow::Result<()> {
    let me = rustix::process::geteuid().as_raw();
    match std::fs::metadata(state) {
        Ok(found) if found.uid() != me => Err(anyhow!(
            "`{}` belongs to user {}, and this is user {me}: run it as that user, `runuser -u NAME -- \
             portcullis ...`",
            state.display(),
            found.uid()
        )),
        Ok(_) | Err(_) => Ok(()),
    }
}
