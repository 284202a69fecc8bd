//! russh's callbacks of the user side. Nothing is decided here: certificates go to auth.rs, bytes
//! into their channel's queue, requests to start.rs.
//!
//! While a callback waits, russh's task for this connection does nothing else. So no callback may
//! wait for that task itself: it must never write to the user and wait for room.

use super::user::{Fault, Limit, NO_X11, UserSide};
use crate::proxy::channel::{Chan, Open, Terminal};
use crate::proxy::forward::local::Asked;
use crate::proxy::forward::{self, Bound};
use crate::proxy::pumps::queue::{Item, Queue};
use crate::proxy::start::Want;
use russh::keys::ssh_key::Certificate;
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, Pty, Sig};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// An environment variable or terminal name longer than this is refused, bytes.
const WORD_BYTES_MAX: usize = 4096;
/// This many times the allowed offers are refused; after that the connection is.
const OFFERS_PATIENCE: u64 = 4;
/// A command longer than this is refused: Linux takes no longer argument (MAX_ARG_STRLEN).
const COMMAND_BYTES_MAX: usize = 128 * 1024;

impl Handler for UserSide {
    type Error = Fault;

    async fn authentication_banner(&mut self) -> Result<Option<String>, Fault> {
        Ok(self.connection.banner())
    }

    async fn auth_none(&mut self, user: &str) -> Result<Auth, Fault> {
        Ok(self.connection.show_nothing(user).await)
    }

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        _offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Fault> {
        let max = self.connection.house.config.limits.offers as u64;
        let offers = self.connection.offer();
        if offers <= max {
            return Ok(Auth::Accept);
        }
        let what = format!("too many keys were offered (at most {max})");
        self.connection.refuse_offers(&what);
        self.record_limit(Limit::Offers, &what).await;
        // A client that goes on through its keys may still ask why; then it goes.
        if offers <= max.saturating_mul(OFFERS_PATIENCE) {
            return Ok(Auth::reject());
        }
        Err(Fault::Offers)
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Fault> {
        Ok(self.connection.show_plain_key(user, key.public_key))
    }

    /// Not on offer; who sends one all the same reads what is.
    async fn auth_password(&mut self, user: &str, _password: &str) -> Result<Auth, Fault> {
        Ok(self.connection.show_password(user).await)
    }

    async fn auth_openssh_certificate(
        &mut self,
        user: &str,
        certificate: &Certificate,
    ) -> Result<Auth, Fault> {
        Ok(self.connection.show_certificate(user, certificate).await)
    }

    /// Never lets anybody in: it is how a client that talks shows its person why (RFC 4256 §3.2 with
    /// no prompts).
    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Fault> {
        if response.is_some() {
            return Ok(super::auth::said_all());
        }
        Ok(Auth::Partial {
            name: "".into(),
            instructions: self.connection.refusal_text().into(),
            prompts: Vec::new().into(),
        })
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), Fault> {
        self.connection.note_client_version(session.remote_sshid());
        self.connection.note_handle(session.handle());
        let (answered, answer) = tokio::sync::oneshot::channel();
        session.send_ping(answered)?;
        self.connection.note_asked(answer);
        Ok(())
    }

    fn adjust_window(&mut self, _channel: ChannelId, current: u32) -> u32 {
        self.connection.flow.window(current)
    }

    async fn window_adjusted(
        &mut self,
        _channel: ChannelId,
        _size: u32,
        _session: &mut Session,
    ) -> Result<(), Fault> {
        self.connection.flow.note_activity();
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Fault> {
        self.connection.is_first_word();
        let Some(place) = self.connection.reserve() else {
            self.refuse_channel(reply).await;
            return Ok(());
        };
        let id = channel.id();
        let (reader, writer) = channel.split();
        // With the read half gone nothing parks russh's loop: bytes come through `data` only.
        drop(reader);
        let opened = {
            let mut table = self.connection.table();
            let queue = Queue::new(Arc::clone(&self.connection.flow));
            let chan = Chan::new(table.number(), queue, writer);
            table.insert(id, Open::Session(chan))
        };
        drop(place);
        if opened {
            reply.accept().await;
        }
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        originator: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Fault> {
        let wanted = super::jump::Wanted {
            host: host.to_owned(),
            port,
            originator: originator.to_owned(),
            originator_port,
        };
        self.open_forward(channel, Asked::Tcp(wanted), reply).await;
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Fault> {
        let asked = Asked::Socket(path.to_owned());
        self.open_forward(channel, asked, reply).await;
        Ok(())
    }

    /// Of a channel that we opened.
    async fn channel_open_confirmation(
        &mut self,
        id: ChannelId,
        _max_packet_size: u32,
        _window_size: u32,
        _session: &mut Session,
    ) -> Result<(), Fault> {
        self.connection.confirm(id);
        Ok(())
    }

    async fn data(&mut self, id: ChannelId, data: &[u8], _: &mut Session) -> Result<(), Fault> {
        if !self.take_data(id, data)? {
            self.record_limit(Limit::Protocol, "data after the end of data")
                .await;
        }
        Ok(())
    }

    /// No client has a standard error: an sshd that got such data would break the connection off.
    async fn extended_data(
        &mut self,
        _id: ChannelId,
        _code: u32,
        _data: &[u8],
        _session: &mut Session,
    ) -> Result<(), Fault> {
        self.connection.flow.note_data();
        self.record_limit(Limit::Protocol, "standard error from a client")
            .await;
        Ok(())
    }

    async fn channel_eof(&mut self, id: ChannelId, _session: &mut Session) -> Result<(), Fault> {
        match self.connection.open(id) {
            Some(Open::Session(chan)) => {
                chan.user_eof.store(true, Ordering::SeqCst);
                chan.up.push(Item::Eof);
            }
            Some(open @ (Open::Jump(..) | Open::Forward(_))) => open.queue().push(Item::Eof),
            None => {}
        }
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _session: &mut Session) -> Result<(), Fault> {
        self.last = None;
        self.connection.table().close(id);
        Ok(())
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        term: &str,
        cols: u32,
        rows: u32,
        _width: u32,
        _height: u32,
        modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Fault> {
        self.connection.flow.note_activity();
        let allowed = self
            .connection
            .person()
            .is_some_and(|person| person.who().restrictions().pty);
        let chan = self.chan(id).filter(|chan| {
            let setup = chan.setup();
            allowed && !setup.started && setup.terminal.is_none() && term.len() <= WORD_BYTES_MAX
        });
        let Some(chan) = chan else {
            return Ok(session.channel_failure(id)?);
        };
        chan.size.send_replace((cols, rows));
        chan.setup().terminal = Some(Terminal {
            term: term.to_owned(),
            cols,
            rows,
            modes: modes.to_vec(),
        });
        Ok(session.channel_success(id)?)
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Fault> {
        self.connection.flow.note_activity();
        let limit = self.connection.house.config.limits.env;
        let kept = self.chan(id).is_some_and(|chan| {
            let mut setup = chan.setup();
            let fits = setup.env.len() < limit
                && name.len() <= WORD_BYTES_MAX
                && value.len() <= WORD_BYTES_MAX
                && !setup.started;
            if fits {
                setup.env.push((name.to_owned(), value.to_owned()));
            }
            fits
        });
        if kept {
            session.channel_success(id)?;
        } else {
            let what = format!("more than {limit} environment variables, or too long ones");
            self.record_limit(Limit::Env, &what).await;
            session.channel_failure(id)?;
        }
        Ok(())
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), Fault> {
        self.request(id, Want::Shell, session).await
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Fault> {
        if command.len() > COMMAND_BYTES_MAX {
            return Ok(session.channel_failure(id)?);
        }
        self.request(id, Want::Exec(command.to_vec()), session)
            .await
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Fault> {
        if name.len() > WORD_BYTES_MAX {
            return Ok(session.channel_failure(id)?);
        }
        self.request(id, Want::Subsystem(name.to_owned()), session)
            .await
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        cols: u32,
        rows: u32,
        _width: u32,
        _height: u32,
        _session: &mut Session,
    ) -> Result<(), Fault> {
        self.connection.flow.note_activity();
        if let Some(chan) = self.chan(id) {
            chan.size.send_replace((cols, rows));
        }
        Ok(())
    }

    async fn signal(
        &mut self,
        id: ChannelId,
        signal: Sig,
        _session: &mut Session,
    ) -> Result<(), Fault> {
        self.connection.flow.note_activity();
        if let Some(chan) = self.chan(id)
            && let Some(control) = chan.control().as_ref()
        {
            control.signal(crate::proxy::pumps::relay::bounded_signal(signal));
        }
        Ok(())
    }

    async fn agent_request(
        &mut self,
        id: ChannelId,
        _session: &mut Session,
    ) -> Result<bool, Fault> {
        // Policy is asked when the session opens: a reason may come yet.
        let chan = self.chan(id).filter(|chan| !chan.setup().started);
        if let Some(chan) = &chan {
            chan.setup().agent = true;
        }
        let person = self.connection.person();
        let permitted = person.is_some_and(|person| person.who().restrictions().agent_forwarding);
        Ok(permitted && chan.is_some())
    }

    async fn x11_request(
        &mut self,
        id: ChannelId,
        _single: bool,
        _protocol: &str,
        _cookie: &str,
        _screen: u32,
        session: &mut Session,
    ) -> Result<(), Fault> {
        self.refuse_later(id, NO_X11).await;
        Ok(session.channel_failure(id)?)
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        _session: &mut Session,
    ) -> Result<bool, Fault> {
        let bound = Bound::Tcp {
            address: address.to_owned(),
            port: *port,
        };
        let chosen = self.listen(bound).await;
        *port = chosen.unwrap_or(*port);
        Ok(chosen.is_some())
    }

    async fn cancel_tcpip_forward(
        &mut self,
        address: &str,
        port: u32,
        _session: &mut Session,
    ) -> Result<bool, Fault> {
        let address = address.to_owned();
        let bound = Bound::Tcp { address, port };
        Ok(forward::cancel(&self.connection, &bound))
    }

    async fn streamlocal_forward(
        &mut self,
        path: &str,
        _session: &mut Session,
    ) -> Result<bool, Fault> {
        Ok(self.listen(Bound::Socket(path.to_owned())).await.is_some())
    }

    async fn cancel_streamlocal_forward(
        &mut self,
        path: &str,
        _session: &mut Session,
    ) -> Result<bool, Fault> {
        let bound = Bound::Socket(path.to_owned());
        Ok(forward::cancel(&self.connection, &bound))
    }
}
