//! Clients that cannot use an OpenSSH certificate whatever their person does: for them it is not the
//! key that is wrong.

/// Bytes of an identification line that are looked at (RFC 4253 §4.2).
const LINE_BYTES_MAX: usize = 255;
/// The first PuTTY that takes certificates.
const PUTTY: u32 = 78;

/// Its name, from the identification line. What is not known here may well be able to.
pub(crate) fn without_certificates(line: &[u8]) -> Option<&'static str> {
    let line = line.get(..LINE_BYTES_MAX).unwrap_or(line);
    let software = std::str::from_utf8(line).ok()?.strip_prefix("SSH-2.0-")?;
    if software.starts_with("dropbear") {
        return Some("Dropbear");
    }
    let version = software.strip_prefix("PuTTY_Release_0.")?;
    let digits = version
        .split(|letter: char| !letter.is_ascii_digit())
        .next()?;
    let version: u32 = digits.parse().ok()?;
    (version < PUTTY).then_some("PuTTY before 0.78")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_that_are_known_not_to_can_not() {
        for (line, name) in [
            ("SSH-2.0-dropbear_2022.83\r", Some("Dropbear")),
            ("SSH-2.0-PuTTY_Release_0.70\r", Some("PuTTY before 0.78")),
            ("SSH-2.0-PuTTY_Release_0.78\r", None),
            ("SSH-2.0-PuTTY_Release_0.83", None),
            ("SSH-2.0-PuTTY_Release_0.", None),
            ("SSH-2.0-PuTTY_Release_0.99999999999999999999", None),
            ("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10\r", None),
            ("dropbear", None),
            ("", None),
        ] {
            assert_eq!(without_certificates(line.as_bytes()), name, "{line}");
        }
        assert_eq!(without_certificates(b"SSH-2.0-\xff"), None);
        assert_eq!(without_certificates(&[b'S'; 100_000]), None);
    }
}
