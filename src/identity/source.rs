//! `source-address` (PROTOCOL.certkeys): a comma separated list of addresses and CIDR blocks.

use ipnet::IpNet;
use std::net::IpAddr;

/// Bytes of the list; some 200 IPv6 blocks.
const LIST_BYTES_MAX: usize = 8 * 1024;

/// Whether `source` is in the list; why the list cannot be read.
///
/// One bad entry refuses the whole list, as in OpenSSH's `addr_match_cidr_list` (addrmatch.c): a
/// restriction that is half understood is not a restriction.
pub(super) fn contains(list: &str, source: IpAddr) -> Result<bool, &'static str> {
    if list.len() > LIST_BYTES_MAX {
        return Err("the list is longer than 8 KiB");
    }
    // An IPv4 client on a dual-stack socket shows as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2).
    let source = source.to_canonical();
    let mut found = false;
    for entry in list.split(',') {
        found |= parse(entry)?.contains(&source);
    }
    Ok(found)
}

fn parse(entry: &str) -> Result<IpNet, &'static str> {
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let net: IpNet = entry
        .parse()
        .map_err(|_| "an entry is neither an address nor a CIDR block")?;
    if net.trunc() != net {
        return Err("a block has bits set behind its mask");
    }
    Ok(net)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_understood_whole_or_not_at_all() {
        for bad in [
            "",
            ",",
            "10.0.0.0/8,",
            "10.0.0.0/33",
            "10.0.0.1/8",
            "db1",
            "10.0.0.*",
            "!10.0.0.1",
            " 10.0.0.1",
            "10.0.0.1 ",
            "10.0.0.0/-1",
            "::/129",
            "fe80::1%eth0",
            "10.0.0.1;x",
        ] {
            assert!(
                contains(bad, "10.0.0.1".parse().unwrap()).is_err(),
                "{bad:?}"
            );
            let behind = format!("10.0.0.1,{bad}");
            assert!(
                contains(&behind, "10.0.0.1".parse().unwrap()).is_err(),
                "{behind:?}"
            );
        }
        for (list, source, expected) in [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.1.2.3", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("192.0.2.0/24,2001:db8::/32", "2001:db8::7", true),
            ("192.0.2.0/24,2001:db8::/32", "2001:db9::7", false),
            ("2001:db8::7", "2001:db8::7", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "10.0.0.1", false),
        ] {
            assert_eq!(
                contains(list, source.parse().unwrap()),
                Ok(expected),
                "{list} {source}"
            );
        }
    }
}
