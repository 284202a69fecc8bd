//! Addresses that nobody means when they name a target.

use std::net::IpAddr;

/// Loopback, link-local (and with it the metadata services of clouds), unspecified, multicast,
/// broadcast: refused unless listed.
pub(crate) fn is_special(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.octets().first() == Some(&0)
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_unicast_link_local()
                || ip.segments().first() == Some(&0xfd00) && ip.segments().get(1) == Some(&0x0ec2)
        }
    }
}
