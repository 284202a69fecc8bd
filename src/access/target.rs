//! Targets by name (docs/specification.md "Doors").

use super::address::is_special;
use crate::id::{TargetName, glob};
use crate::record::Durability;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

const SSH_PORT: u16 = 22;

/// A host the bastion can dial, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Canonical: what people type, or for a `match` target the name they typed.
    pub name: TargetName,
    /// Host name or address, and port, to dial.
    pub host: String,
    pub port: u16,
    /// `$identity` stands for the subject.
    pub logins: Vec<String>,
    pub labels: BTreeMap<String, String>,
    pub host_check: HostCheck,
    pub auth: TargetAuth,
    pub source_address: SourceAddress,
    pub durability: Durability,
    /// False when found by `match`.
    pub listed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostCheck {
    /// A file of CA public keys; the host certificate must name the target's name or address.
    Ca(PathBuf),
    KnownHosts(PathBuf),
    /// SHA-256 fingerprints.
    Pinned(Vec<String>),
    /// Nothing configured: every key is refused, with its fingerprint and what to write.
    Missing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetAuth {
    Certificate,
    Key(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceAddress {
    Auto,
    List(Vec<IpAddr>),
    Off,
}

/// All targets in force. Immutable; a change makes a new one.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    listed: Vec<Arc<Target>>,
    by_name: HashMap<TargetName, Arc<Target>>,
    by_address: HashMap<IpAddr, Arc<Target>>,
    matching: Vec<(String, Target)>,
    own: HashSet<IpAddr>,
    own_names: HashSet<TargetName>,
}

/// Host names of listed targets, and the addresses they lead to.
pub type Addresses = HashMap<String, Vec<IpAddr>>;

impl Targets {
    /// `matching` are pattern and template; `own` are the bastion's addresses and names.
    ///
    /// # Errors
    /// All faults at once: a name that stands twice.
    pub fn new(
        listed: Vec<Target>,
        matching: Vec<(String, Target)>,
        own: impl IntoIterator<Item = String>,
    ) -> Result<Self, Vec<String>> {
        let own_names: HashSet<TargetName> = own
            .into_iter()
            .filter_map(|name| name.parse().ok())
            .collect();
        let own_addresses = own_names
            .iter()
            .filter_map(|name| name.as_str().parse().ok());
        let mut targets = Self {
            matching,
            own: own_addresses.collect(),
            own_names,
            ..Self::default()
        };
        let mut faults = Vec::new();
        // A host that targets are listed with is theirs, whatever name they have.
        let mut hosts = Vec::new();
        for target in listed.into_iter().map(Arc::new) {
            if let Ok(ip) = target.host.parse::<IpAddr>() {
                // The first listed one has the address; its rules are the ones that hold.
                targets
                    .by_address
                    .entry(ip.to_canonical())
                    .or_insert_with(|| Arc::clone(&target));
            } else if let Ok(host) = target.host.parse::<TargetName>() {
                hosts.push((host, Arc::clone(&target)));
            }
            let before = targets
                .by_name
                .insert(target.name.clone(), Arc::clone(&target));
            if before.is_some() {
                faults.push(format!("the target `{}` is listed twice", target.name));
            }
            targets.listed.push(target);
        }
        for (host, target) in hosts {
            targets.by_name.entry(host).or_insert(target);
        }
        if faults.is_empty() {
            Ok(targets)
        } else {
            Err(faults)
        }
    }

    /// The same targets, with what their host names lead to.
    pub(super) fn at(&self, addresses: &Addresses) -> Self {
        let mut targets = self.clone();
        targets
            .by_address
            .retain(|_, target| target.host.parse::<IpAddr>().is_ok());
        for target in &self.listed {
            for ip in addresses.get(&target.host).into_iter().flatten() {
                let known = targets.by_address.entry(ip.to_canonical());
                known.or_insert_with(|| Arc::clone(target));
            }
        }
        targets
    }

    /// Host names of listed targets that have to be looked up.
    pub fn to_look_up(&self) -> Vec<String> {
        let hosts = self.listed.iter().map(|target| target.host.clone());
        hosts
            .filter(|host| host.parse::<IpAddr>().is_err())
            .collect()
    }

    /// Stands where there is none, so that looking for one takes the same work.
    pub(super) fn nowhere() -> Arc<Target> {
        Arc::new(Target {
            name: TargetName::nowhere(),
            host: String::new(),
            port: SSH_PORT,
            logins: Vec::new(),
            labels: BTreeMap::new(),
            host_check: HostCheck::Missing,
            auth: TargetAuth::Certificate,
            source_address: SourceAddress::Auto,
            durability: Durability::Batch,
            listed: false,
        })
    }

    /// Is that what this bastion itself is called?
    pub fn is_own_name(&self, asked: &str) -> bool {
        asked
            .parse()
            .is_ok_and(|name: TargetName| self.own_names.contains(&name))
    }

    /// Canonical names; listed beats `match`; an address of a listed target is that target; port 22
    /// or the target's own.
    pub fn find(&self, asked: &str, port: Option<u16>) -> Option<Arc<Target>> {
        let name: TargetName = asked.parse().ok()?;
        let target = self.by_name(&name)?;
        let port_fits = port.is_none_or(|port| port == SSH_PORT || port == target.port);
        port_fits.then_some(target)
    }

    fn by_name(&self, name: &TargetName) -> Option<Arc<Target>> {
        if let Some(target) = self.by_name.get(name) {
            return Some(Arc::clone(target));
        }
        if let Ok(ip) = name.as_str().parse::<IpAddr>() {
            if let Some(target) = self.by_address.get(&ip) {
                return Some(Arc::clone(target));
            }
            if is_special(ip) || self.own.contains(&ip) {
                return None;
            }
        }
        if self.own_names.contains(name) {
            return None;
        }
        let (_, template) = self
            .matching
            .iter()
            .find(|(pattern, _)| glob(pattern, name.as_str()))?;
        Some(Arc::new(Target {
            name: name.clone(),
            host: name.as_str().to_owned(),
            listed: false,
            ..template.clone()
        }))
    }

    /// Asked about every address that a name leads to: a name found by `match` must not be another
    /// way to a listed target, to this machine, or to a metadata service.
    pub fn permits(&self, target: &Target, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        if target.listed {
            return true;
        }
        !is_special(ip) && !self.own.contains(&ip) && !self.by_address.contains_key(&ip)
    }

    /// The listed target that a login from this address comes from. This machine is none, though it
    /// may be listed.
    pub fn that_is_at(&self, source: IpAddr) -> Option<&Arc<Target>> {
        let source = source.to_canonical();
        let here = [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            Ipv6Addr::LOCALHOST.into(),
        ];
        if here.contains(&source) || self.own.contains(&source) {
            return None;
        }
        self.by_address.get(&source)
    }

    pub fn listed(&self) -> &[Arc<Target>] {
        &self.listed
    }

    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.matching.iter().map(|(pattern, _)| pattern.as_str())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn target(name: &str, host: &str, port: u16) -> Target {
        Target {
            name: name.parse().unwrap(),
            host: host.to_owned(),
            port,
            logins: vec!["root".to_owned(), "$identity".to_owned()],
            labels: BTreeMap::new(),
            host_check: HostCheck::Missing,
            auth: TargetAuth::Certificate,
            source_address: SourceAddress::Auto,
            durability: Durability::Batch,
            listed: true,
        }
    }

    pub(crate) fn targets() -> Targets {
        let template = target("any", "", 22);
        Targets::new(
            vec![
                target("db1", "10.0.0.1", 2201),
                target("local", "127.0.0.1", 22),
            ],
            vec![
                ("*.prod.example.com".to_owned(), template.clone()),
                ("10.*".to_owned(), template.clone()),
                ("*::*".to_owned(), template.clone()),
                ("1*".to_owned(), template),
            ],
            ["10.9.9.9".to_owned(), "bastion.prod.example.com".to_owned()],
        )
        .unwrap()
    }

    #[test]
    fn names_lead_where_interface_says() {
        let targets = targets();
        let found = |asked: &str, port| {
            targets
                .find(asked, port)
                .map(|t| (t.name.to_string(), t.listed))
        };
        let db1 = Some(("db1".to_owned(), true));
        for asked in [
            "db1",
            "DB1",
            "db1.",
            "10.0.0.1",
            "::ffff:10.0.0.1",
            "[::ffff:10.0.0.1]",
        ] {
            assert_eq!(found(asked, None), db1, "{asked}");
        }
        assert_eq!(found("db1", Some(22)), db1);
        assert_eq!(found("db1", Some(2201)), db1);
        assert_eq!(found("db1", Some(80)), None, "another port");
        assert_eq!(found("db2", None), None);
        assert_eq!(
            found("A.prod.example.com.", None),
            Some(("a.prod.example.com".to_owned(), false))
        );
        assert_eq!(
            found("10.1.2.3", Some(22)),
            Some(("10.1.2.3".to_owned(), false))
        );
        assert_eq!(
            found("127.0.0.1", None),
            Some(("local".to_owned(), true)),
            "listed"
        );
        for refused in [
            "127.0.0.2",
            "169.254.169.254",
            "10.9.9.9",
            "::1",
            "fd00:ec2::254",
            "0.0.0.0",
            "bastion.prod.example.com",
            "BASTION.prod.example.com.",
        ] {
            assert_eq!(found(refused, None), None, "{refused}");
        }
    }

    #[test]
    fn a_matched_name_is_no_other_way_to_a_listed_target() {
        let targets = targets();
        let matched = targets.find("a.prod.example.com", None).unwrap();
        for refused in [
            "10.0.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "10.9.9.9",
            "::1",
        ] {
            assert!(
                !targets.permits(&matched, refused.parse().unwrap()),
                "{refused}"
            );
        }
        assert!(targets.permits(&matched, "10.1.1.1".parse().unwrap()));
    }

    #[test]
    fn a_listed_host_is_its_target_under_every_name_and_address() {
        let template = target("any", "", 22);
        let host = "db1.prod.example.com";
        let targets = Targets::new(
            vec![target("db1", host, 22)],
            vec![
                ("*.prod.example.com".to_owned(), template.clone()),
                ("10.*".to_owned(), template),
            ],
            [],
        )
        .unwrap();
        let name = |targets: &Targets, asked| targets.find(asked, None).map(|t| t.name.to_string());
        assert_eq!(name(&targets, "DB1.prod.example.com.").unwrap(), "db1");
        assert_eq!(targets.to_look_up(), [host]);

        // An alias in the DNS, and the address itself, once it is known what the name leads to.
        let ip: IpAddr = "10.0.0.7".parse().unwrap();
        let alias = targets.find("alias.prod.example.com", None).unwrap();
        assert!(targets.permits(&alias, ip));
        let known = targets.at(&Addresses::from([(host.to_owned(), vec![ip])]));
        assert!(!known.permits(&alias, ip));
        assert_eq!(name(&known, "10.0.0.7").unwrap(), "db1");
        assert_eq!(name(&known, "10.0.0.8").unwrap(), "10.0.0.8");
        let moved = known.at(&Addresses::from([(
            host.to_owned(),
            vec!["10.0.0.8".parse().unwrap()],
        )]));
        assert!(moved.permits(&alias, ip), "the name leads elsewhere now");
    }

    #[test]
    fn a_source_is_a_target_by_address_and_by_name_but_never_this_machine() {
        let listed = vec![
            target("db1", "10.0.0.1", 2201),
            target("local", "127.0.0.1", 22),
            target("six", "::1", 22),
            target("here", "10.9.9.9", 22),
            target("named", "db2.example.com", 22),
        ];
        let targets = Targets::new(listed, Vec::new(), ["10.9.9.9".to_owned()]).unwrap();
        assert_eq!(targets.to_look_up(), ["db2.example.com"]);
        let addresses = vec!["10.0.0.2".parse().unwrap(), "fd00::2".parse().unwrap()];
        let targets = targets.at(&Addresses::from([(
            "db2.example.com".to_owned(),
            addresses,
        )]));
        let from = |source: &str| {
            let target = targets.that_is_at(source.parse().unwrap());
            target.map(|target| target.name.to_string())
        };
        assert_eq!(from("10.0.0.1").unwrap(), "db1");
        assert_eq!(from("::ffff:10.0.0.1").unwrap(), "db1");
        assert_eq!(from("10.0.0.2").unwrap(), "named");
        assert_eq!(from("fd00::2").unwrap(), "named");
        for other in ["10.0.0.3", "127.0.0.1", "::1", "10.9.9.9"] {
            assert_eq!(from(other), None, "{other}");
        }
    }

    #[test]
    fn a_name_may_not_stand_twice() {
        let twice = vec![target("db1", "10.0.0.1", 22), target("db1", "10.0.0.2", 22)];
        assert!(Targets::new(twice, Vec::new(), []).is_err());
    }
}
