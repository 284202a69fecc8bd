//! A certificate shown at the door. Runs inside russh's callbacks: the checks are pure, the event is
//! one append.
//!
//! Clients often show the bare key first and its certificate next (OpenSSH does), so a bare key is
//! refused without an event, and told of only if the connection ends without a login.

use super::software;
use crate::access::Target;
use crate::event::{CertificateFacts, Kind, Note, Outcome, Severity, Where};
use crate::identity::{self, FromTargets, Identity};
use crate::proxy::bastion::say;
use crate::proxy::connection::{Connection, Entry, Person, Way};
use crate::proxy::entry::guard::Full;
use crate::proxy::tap::{self, Tap};
use russh::MethodKind;
use russh::MethodSet;
use russh::keys::ssh_key::{Certificate, HashAlg, PublicKey};
use russh::server::Auth;
use std::sync::{Arc, PoisonError};

/// What a refused person is told; `hint` says what to do.
struct Refused {
    code: &'static str,
    what: String,
    hint: String,
}

/// What a connection has shown so far that opened nothing.
#[derive(Default)]
pub(crate) struct Tried {
    user: Option<String>,
    keys: Vec<String>,
    /// A refusal of this connection is an event already.
    recorded: bool,
    /// Why the last certificate was refused, for the person.
    text: Option<String>,
}

impl Connection {
    /// `auth_openssh_certificate`: the signature was verified by russh, everything else is ours.
    pub(crate) async fn show_certificate(
        self: &Arc<Self>,
        user: &str,
        certificate: &Certificate,
    ) -> Auth {
        let facts = identity::facts_of(certificate);
        match self.check_certificate(user, certificate) {
            Ok((who, entry)) => {
                if let Some(target) = self.target_it_comes_from() {
                    let refused = self.alert_of_target(user, &who, &target).await;
                    return self.refuse(user, Some(facts), refused).await;
                }
                let source = self.source.ip().to_canonical();
                let (entered, current) = self.house.live.enter(Arc::new(who), source);
                let person = Person::new(current, Some(entered), user, entry);
                self.accept(user, person).await
            }
            Err(refused) => self.refuse(user, Some(facts), refused).await,
        }
    }

    /// `none`: only inside a jump that really came from `-J` or `-W`, and where policy wants no
    /// certificate of its own; then the outer person is it.
    /// At the door it is what every client asks first: what can never be answered with a login is
    /// answered here, because a client in batch mode reads nothing later.
    pub(crate) async fn show_nothing(self: &Arc<Self>, user: &str) -> Auth {
        let Way::Inner {
            outer,
            trusted_originator,
            ..
        } = &self.way
        else {
            self.tried().user = Some(user.chars().take(256).collect());
            if let Err(refused) = self.may_ask(user) {
                let text = say::one_line(&refused.what, &refused.hint, self.id);
                let auth = self.refuse(user, None, refused).await;
                self.hang_up(text);
                return auth;
            }
            return Auth::reject();
        };
        if !trusted_originator {
            return Auth::reject();
        }
        let Some(person) = outer.person().filter(|_| outer.who_now().is_ok()) else {
            return Auth::reject();
        };
        let Ok(entry) = self.entry(user, false) else {
            return Auth::reject();
        };
        if let Entry::Jump { login, target, .. } = &entry {
            let source = self.source.ip();
            let desk = &self.house.desk;
            if desk.wants_certificate_inside(&person.who(), target, login, source) {
                return Auth::reject();
            }
        }
        let person = Person::new(person.current(), None, user, entry);
        self.accept(user, person).await
    }

    pub(crate) fn refuse_offers(&self, what: &str) {
        let hint = "in your ssh_config: IdentitiesOnly yes, and IdentityFile with the key of your certificate";
        let text = say::refusal(what, Some(hint), self.id);
        self.tried().text = Some(text);
    }

    /// Whether this user name can come in at all, with whatever certificate.
    fn may_ask(&self, user: &str) -> Result<Entry, Refused> {
        if !self.house.accepts_logins() {
            return Err(Refused {
                code: "closed",
                what: "no new logins now: revocations cannot be read, or the bastion is stopping"
                    .to_owned(),
                hint: "try again in a moment; `portcullis doctor` tells the operator more"
                    .to_owned(),
            });
        }
        self.entry(user, true).map_err(|what| Refused {
            code: "bad_user_name",
            what,
            hint: "use `ssh bastion`, `ssh LOGIN@TARGET@bastion` or `ssh -J bastion LOGIN@TARGET`"
                .to_owned(),
        })
    }

    pub(crate) fn show_plain_key(&self, user: &str, key: &PublicKey) -> Auth {
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let known = self.house.known.of(&fingerprint);
        let now = self.house.clock.now_utc();
        let what = match known.filter(|facts| facts.not_after <= now) {
            Some(facts) => format!("the certificate of this key expired at {}", facts.not_after),
            None => format!(
                "the key {fingerprint} does not open this bastion, a certificate does; if you have \
                 one beside it, it is expired, not yet valid or damaged: `ssh-keygen -L -f` shows it"
            ),
        };
        let text = self.wants_certificate(&what);
        let mut tried = self.tried();
        tried.user = Some(user.chars().take(256).collect());
        tried.text = Some(text);
        if !tried.keys.contains(&fingerprint) && tried.keys.len() < self.house.config.limits.offers
        {
            tried.keys.push(fingerprint);
        }
        Auth::reject()
    }

    pub(crate) async fn show_password(&self, user: &str) -> Auth {
        let refused = Refused {
            code: "password",
            what: "a password does not open this bastion, a certificate does".to_owned(),
            hint: self.house.config.certificate_hint.clone(),
        };
        self.refuse(user, None, refused).await
    }

    /// The text for a client that tries to talk: why it was refused, or how to get in at all.
    pub(crate) fn refusal_text(&self) -> String {
        let said = self.tried().text.clone();
        said.unwrap_or_else(|| {
            self.wants_certificate("this bastion is opened by a certificate only")
        })
    }

    /// With how to get one, or, for a client that could not use it, with that.
    fn wants_certificate(&self, what: &str) -> String {
        let line = self.overheard.client.get();
        match line.and_then(|line| software::without_certificates(line)) {
            Some(name) => {
                let what = format!(
                    "your client ({name}) cannot use a certificate, and nothing else opens this bastion"
                );
                let hint = "come with OpenSSH, or with PuTTY 0.78 or later";
                say::refusal(&what, Some(hint), self.id)
            }
            None => say::refusal(what, Some(&self.house.config.certificate_hint), self.id),
        }
    }

    /// The connection ends and nobody logged in: one event that says what was shown. False if nobody
    /// showed anything.
    pub(crate) async fn note_no_login(&self) -> bool {
        let (user, keys) = {
            let mut tried = self.tried();
            if tried.user.is_some() {
                self.house.limiter.note_lost(self.source.ip());
            }
            match tried.user.clone() {
                _ if tried.recorded => return true,
                Some(user) if !tried.keys.is_empty() => (user, std::mem::take(&mut tried.keys)),
                Some(_) | None => return false,
            }
        };
        let known = keys.iter().find_map(|key| self.house.known.of(key));
        let now = self.house.clock.now_utc();
        let expired = known.as_ref().is_some_and(|facts| facts.not_after <= now);
        let (code, message) = match expired {
            true => ("expired", "the key was shown, its certificate has expired"),
            false => (
                "no_certificate",
                "no certificate was shown that is valid now and rightly signed",
            ),
        };
        let mut note = tap::note(code, message, self.id);
        note.keys = keys;
        self.house.limiter.note_refused();
        self.record_failure(&user, known, note).await;
        true
    }

    /// The user name that was asked for, if it came to that.
    pub(crate) fn user_asked(&self) -> String {
        self.tried().user.clone().unwrap_or_default()
    }

    fn check_certificate(
        &self,
        user: &str,
        certificate: &Certificate,
    ) -> Result<(Identity, Entry), Refused> {
        let entry = self.may_ask(user)?;
        let trust = self.house.trust_now();
        let source = self.source.ip().to_canonical();
        let who = identity::check(certificate, &trust, source, self.house.clock.now()).map_err(
            |refusal| Refused {
                code: refusal.code(),
                what: refusal.to_string(),
                hint: refusal.hint().to_owned(),
            },
        )?;
        if let Way::Inner { outer, .. } = &self.way
            && outer
                .person()
                .is_none_or(|person| person.who().subject() != who.subject())
        {
            return Err(Refused {
                code: "another_identity",
                what: "this certificate is of another identity than the connection it came through"
                    .to_owned(),
                hint: "connect to the bastion with your own certificate".to_owned(),
            });
        }
        self.take_place(&who).map_err(|full| Refused {
            code: "full",
            what: match full {
                Full::Bastion => "as many connections are open on this bastion as may be",
                Full::Person => "you have as many connections open on this bastion as one may have",
            }
            .to_owned(),
            hint: "close one of yours, or try again in a moment".to_owned(),
        })?;
        Ok((who, entry))
    }

    /// Where `[identity] from_targets` refuses that.
    fn target_it_comes_from(&self) -> Option<Arc<Target>> {
        match self.house.trust_now().from_targets {
            FromTargets::Allow => None,
            FromTargets::Refuse => {
                let targets = self.house.desk.targets();
                targets.that_is_at(self.source.ip()).map(Arc::clone)
            }
        }
    }

    /// Somebody has the key and is on a target: its person, or who is root there and has the agent
    /// that was forwarded. The person does not learn whose address it is, the operator does.
    async fn alert_of_target(&self, user: &str, who: &Identity, target: &Target) -> Refused {
        let ip = self.source.ip().to_canonical();
        let text = format!(
            "a login from {ip}, the address of the target `{}`, was refused: a key that is used from \
             there may be in other hands",
            target.name
        );
        let place = Where {
            target: Some(target.name.clone()),
            ..tap::nowhere(&self.house.config.node).as_ref().clone()
        };
        let tap = Tap {
            who: tap::who(who, user, self.source),
            place: Arc::new(place),
            why: None,
        };
        let kind = Kind::Alert {
            severity: Severity::High,
            note: tap::note("login_from_target", text, self.id),
        };
        let alert = tap.audit(kind, Outcome::Denied);
        if let Err(error) = self.house.recorder.append_node(alert).await {
            tracing::error!(%error, "an alert could not be recorded");
        }
        Refused {
            code: "from_target",
            what: format!("logins from {ip} are refused, because it is the address of a target"),
            hint:
                "connect from your own machine (ssh -J BASTION LOGIN@TARGET); the operator decides \
                   with `from_targets` in `[identity]`"
                    .to_owned(),
        }
    }

    async fn accept(self: &Arc<Self>, user: &str, person: Person) -> Auth {
        let who = person.who();
        let tap = Tap {
            who: tap::who(&who, user, self.source),
            place: tap::nowhere(&self.house.config.node),
            why: None,
        };
        let note = tap::note("accepted", "the certificate was accepted", self.id);
        let event = tap.audit(Kind::AuthAccept(note), Outcome::Success);
        // Fail closed: who cannot be recorded does not come in.
        if let Err(error) = self.house.recorder.append_node(event).await {
            tracing::error!(%error, "a login could not be recorded and was refused");
            return Auth::reject();
        }
        self.house.known.note(who.facts());
        let trust = self.house.trust_now();
        self.house.live.renew(&who, &trust, self.house.clock.now());
        self.know(person);
        Auth::Accept
    }

    async fn refuse(
        &self,
        user: &str,
        claimed: Option<CertificateFacts>,
        refused: Refused,
    ) -> Auth {
        let mut note = tap::note(refused.code, refused.what.as_str(), self.id);
        note.certificate = claimed.clone().map(Box::new);
        self.record_failure(user, claimed, note).await;
        let text = say::refusal(&refused.what, Some(&refused.hint), self.id);
        self.tried().text = Some(text);
        self.house.limiter.note_refused();
        Auth::reject()
    }

    async fn record_failure(&self, user: &str, claimed: Option<CertificateFacts>, note: Note) {
        let tap = Tap {
            who: tap::stranger(user, claimed, self.source),
            place: tap::nowhere(&self.house.config.node),
            why: None,
        };
        self.tried().recorded = true;
        let event = tap.audit(Kind::AuthFail(note), Outcome::Failure);
        if let Err(error) = self.house.recorder.append_node(event).await {
            tracing::error!(%error, "a refused login could not be recorded");
        }
    }

    fn tried(&self) -> std::sync::MutexGuard<'_, Tried> {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says why in the SSH disconnect message, which `ssh` prints in every mode. After the callback
    /// that calls this: the connection's own task must be free to send it.
    fn hang_up(self: &Arc<Self>, text: String) {
        let connection = Arc::clone(self);
        self.tasks
            .spawn(async move { connection.disconnect(text).await });
    }
}

/// Said once: `ssh` asks keyboard-interactive three times, but not when it is not on offer.
pub(crate) fn said_all() -> Auth {
    Auth::Reject {
        proceed_with_methods: Some(MethodSet::from([MethodKind::PublicKey].as_slice())),
        partial_success: false,
    }
}
