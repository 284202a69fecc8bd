//! Critical options and the `permit-` extensions (PROTOCOL.certkeys "Critical options",
//! "Extensions"). A critical option that is not understood refuses; an extension is ignored.

use super::{Refusal, Restrictions, source};
use russh::keys::ssh_key::Certificate;
use std::net::IpAddr;

/// Bytes of a forced command; Linux allows 128 KiB for one argument, nobody writes that by hand.
const COMMAND_BYTES_MAX: usize = 8 * 1024;

pub(super) fn check(certificate: &Certificate, from: IpAddr) -> Result<Restrictions, Refusal> {
    let mut left = permits(certificate)?;
    for (name, value) in certificate.critical_options().iter() {
        match name.as_str() {
            "force-command" => left.force_command = Some(command(name, value)?),
            "source-address" => match source::contains(value, from) {
                Ok(true) => {}
                Ok(false) => return Err(Refusal::WrongSource(from.to_canonical())),
                Err(problem) => return Err(bad(name, problem)),
            },
            // The PIN flag of a FIDO signature does not reach us, so this cannot be kept.
            "verify-required" => return Err(Refusal::VerifyRequired),
            _ => return Err(Refusal::UnknownOption(name.clone())),
        }
    }
    Ok(left)
}

fn command(name: &str, value: &str) -> Result<String, Refusal> {
    if value.is_empty() {
        return Err(bad(name, "it is empty"));
    }
    if value.len() > COMMAND_BYTES_MAX {
        return Err(bad(name, "it is longer than 8 KiB"));
    }
    if value.contains('\0') {
        return Err(bad(name, "it has a NUL"));
    }
    Ok(value.to_owned())
}

fn bad(name: &str, problem: &'static str) -> Refusal {
    Refusal::BadOption {
        name: name.to_owned(),
        problem,
    }
}

fn permits(certificate: &Certificate) -> Result<Restrictions, Refusal> {
    let mut left = Restrictions::nothing_extra();
    for (name, value) in certificate.extensions().iter() {
        let flag = match name.as_str() {
            "permit-pty" => &mut left.pty,
            "permit-port-forwarding" => &mut left.port_forwarding,
            "permit-agent-forwarding" => &mut left.agent_forwarding,
            "permit-X11-forwarding" => &mut left.x11_forwarding,
            "permit-user-rc" => &mut left.user_rc,
            _ => continue,
        };
        // A flag that carries a value says something that we do not know (OpenSSH: "extra data").
        if !value.is_empty() {
            return Err(Refusal::BadExtension {
                name: name.clone(),
                problem: "it takes no value",
            });
        }
        *flag = true;
    }
    Ok(left)
}
