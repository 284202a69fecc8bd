//! A client that does what no `ssh` does: russh, driven by the test.

use crate::world::World;
use russh::client::{self, Handle, Handler, Msg};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::{Certificate, PrivateKey};
use russh::{Channel, ChannelMsg};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Whoever answers is the bastion.
pub(crate) struct Anyone;

impl Handler for Anyone {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

pub(crate) struct Raw {
    pub(crate) runtime: Runtime,
    pub(crate) handle: Handle<Anyone>,
}

impl World {
    /// Connected, not logged in.
    pub(crate) fn raw(&self, config: client::Config) -> Raw {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let address = (Ipv4Addr::LOCALHOST, self.port);
        let connected = client::connect(Arc::new(config), address, Anyone);
        let handle = runtime.block_on(connected).unwrap();
        Raw { runtime, handle }
    }

    /// Logged in as this user, at the name door of db1.
    pub(crate) fn raw_at_db1(&self, user: &str, config: client::Config) -> Raw {
        let mut raw = self.raw(config);
        let name = format!("{}@db1", self.login);
        assert!(raw.log_in(&self.path(user), &name), "no login");
        raw
    }
}

impl Raw {
    pub(crate) fn log_in(&mut self, home: &Path, name: &str) -> bool {
        let key = PrivateKey::read_openssh_file(home.join("id")).unwrap();
        let certificate = std::fs::read_to_string(home.join("id-cert.pub")).unwrap();
        let certificate = Certificate::from_openssh(&certificate).unwrap();
        let asked = self
            .handle
            .authenticate_openssh_cert(name, Arc::new(key), certificate);
        self.runtime
            .block_on(asked)
            .is_ok_and(|answer| answer.success())
    }

    pub(crate) fn channel(&self) -> Option<Channel<Msg>> {
        self.runtime
            .block_on(self.handle.channel_open_session())
            .ok()
    }

    /// Everything up to the channel's end.
    pub(crate) fn hear(&self, mut channel: Channel<Msg>) -> Said {
        self.runtime.block_on(async {
            let mut said = Said::default();
            while let Some(message) = channel.wait().await {
                if let ChannelMsg::Data { data } = message {
                    said.out.extend_from_slice(&data);
                } else if let ChannelMsg::ExtendedData { data, .. } = message {
                    said.err.extend_from_slice(&data);
                } else if let ChannelMsg::ExitStatus { exit_status } = message {
                    said.status = Some(exit_status);
                } else if matches!(message, ChannelMsg::Failure) {
                    said.no += 1;
                }
            }
            said
        })
    }
}

/// What came out of a channel.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) out: Vec<u8>,
    pub(crate) err: Vec<u8>,
    pub(crate) status: Option<u32>,
    pub(crate) no: usize,
}
