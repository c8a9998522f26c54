//! Which address to announce when brokerIP1 is not set: candidates, best first.
//!
//! A pure function over the list of network cards; enumerating them is the caller's. The rule: a card of the machine
//! before a tunnel, a tunnel before a bridge of containers, IPv4 before IPv6, loopback last; else in the order given.

use std::net::IpAddr;

/// One address of one network card, as getifaddrs tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    pub address: IpAddr,
    /// IFF_UP and IFF_RUNNING.
    pub up: bool,
    /// IFF_LOOPBACK.
    pub loopback: bool,
    /// IFF_POINTOPOINT.
    pub point_to_point: bool,
}

/// How likely clients reach an address; the order is the ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A card by its name: eth0, enp3s0, bond0, wlan0 …
    Card,
    /// A name that tells nothing.
    Unknown,
    /// A card's address that only works inside its own IPv6 network or needs clients that speak IPv6.
    CardIpv6,
    /// VPN and other tunnels: clients outside the tunnel do not reach it.
    Tunnel,
    /// docker0, br-…, virbr0, veth…, cni0: only containers of this host reach it.
    ContainerBridge,
    /// 169.254.x.x, fe80::: nobody configured this address.
    LinkLocal,
    Loopback,
}

impl Class {
    pub fn describe(self) -> &'static str {
        match self {
            Class::Card => "network card",
            Class::Unknown => "interface of unknown kind",
            Class::CardIpv6 => "IPv6 address",
            Class::Tunnel => "tunnel",
            Class::ContainerBridge => "container or virtual machine bridge",
            Class::LinkLocal => "link-local address",
            Class::Loopback => "loopback, this host only",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub interface: Interface,
    pub class: Class,
}

const CARD_PREFIXES: &[&str] = &["eth", "en", "em", "bond", "team", "wl", "ib", "ens", "p2p", "venet"];
const TUNNEL_PREFIXES: &[&str] = &["tun", "tap", "wg", "ppp", "utun", "tailscale", "zt", "ipsec", "gre", "sit", "vti"];
const BRIDGE_PREFIXES: &[&str] = &[
    "docker", "br-", "virbr", "veth", "cni", "flannel", "cali", "cilium", "lxc", "lxd", "vmnet", "vboxnet", "podman",
    "kube", "nerdctl", "dummy", "weave", "vnet",
];

fn classify(interface: &Interface) -> Class {
    let named = |prefixes: &[&str]| prefixes.iter().any(|prefix| interface.name.starts_with(prefix));
    let link_local = match interface.address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    if interface.loopback || interface.address.is_loopback() {
        Class::Loopback
    } else if link_local {
        Class::LinkLocal
    } else if named(BRIDGE_PREFIXES) {
        Class::ContainerBridge
    } else if interface.point_to_point || named(TUNNEL_PREFIXES) {
        Class::Tunnel
    } else if interface.address.is_ipv6() {
        Class::CardIpv6
    } else if named(CARD_PREFIXES) {
        Class::Card
    } else {
        Class::Unknown
    }
}

/// Every usable address, best first. Cards that are down and unspecified or multicast addresses are left out.
pub fn rank(interfaces: &[Interface]) -> Vec<Candidate> {
    let usable = |i: &&Interface| i.up && !i.address.is_unspecified() && !i.address.is_multicast();
    let mut candidates: Vec<Candidate> = interfaces
        .iter()
        .filter(usable)
        .map(|interface| Candidate { interface: interface.clone(), class: classify(interface) })
        .collect();
    candidates.sort_by_key(|candidate| (candidate.class, candidate.interface.address.is_ipv6()));
    candidates
}

/// The line for the operator when the choice was a guess: more than one address could have been meant, or the best one
/// is none that other hosts reach. `None` when there was nothing to choose.
pub fn warning(candidates: &[Candidate]) -> Option<String> {
    let Some(best) = candidates.first() else {
        return Some(
            "no network card is up; 127.0.0.1 is announced, clients on other hosts cannot connect: set brokerIP1"
                .into(),
        );
    };
    let is_rival = |c: &&Candidate| {
        let second_family = c.class == Class::CardIpv6 && c.interface.name == best.interface.name;
        c.class < Class::LinkLocal && !second_family
    };
    let rivals = candidates.iter().skip(1).filter(is_rival).count();
    if rivals == 0 && best.class <= Class::Unknown {
        return None;
    }
    let list: Vec<String> = candidates
        .iter()
        .map(|c| format!("{} ({}, {})", c.interface.address, c.interface.name, c.class.describe()))
        .collect();
    Some(format!(
        "{} of {} is announced to clients; candidates: {}; set brokerIP1 to the one clients can reach",
        best.interface.address,
        best.interface.name,
        list.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name address [flags]`, flags: d = down, p = point to point.
    fn interface(text: &str) -> Interface {
        let mut words = text.split(' ');
        let name = words.next().unwrap().to_owned();
        let address: IpAddr = words.next().unwrap().parse().unwrap();
        let flags = words.next().unwrap_or("");
        Interface {
            loopback: name == "lo",
            name,
            address,
            up: !flags.contains('d'),
            point_to_point: flags.contains('p'),
        }
    }

    fn check(interfaces: &[&str], order: &[&str], warns: bool) {
        let list: Vec<_> = interfaces.iter().map(|text| interface(text)).collect();
        let ranked = rank(&list);
        let found: Vec<_> = ranked.iter().map(|c| c.interface.address.to_string()).collect();
        assert_eq!(found, order, "{interfaces:?}");
        let warning = warning(&ranked);
        assert_eq!(warning.is_some(), warns, "{warning:?}");
        if let Some(text) = warning {
            assert!(text.contains("brokerIP1") && order.iter().all(|address| text.contains(address)), "{text}");
        }
    }

    #[test]
    fn cards_come_before_bridges_and_tunnels() {
        check(&["lo 127.0.0.1", "eth0 10.0.0.5"], &["10.0.0.5", "127.0.0.1"], false);
        check(
            &["lo 127.0.0.1", "docker0 172.17.0.1", "br-12ab 172.18.0.1", "eth0 192.168.1.9"],
            &["192.168.1.9", "172.17.0.1", "172.18.0.1", "127.0.0.1"],
            true,
        );
        check(&["tun0 10.8.0.2 p", "enp3s0 192.168.1.9"], &["192.168.1.9", "10.8.0.2"], true);
        check(&["eth0 10.0.0.5", "eth1 8.8.8.8"], &["10.0.0.5", "8.8.8.8"], true);
        check(&["eth0 10.0.0.5 d", "wlan0 10.0.0.6"], &["10.0.0.6"], false);
        check(&["eth0 fe80::1", "eth0 2001:db8::1", "eth0 10.0.0.5"], &["10.0.0.5", "2001:db8::1", "fe80::1"], false);
        check(&["lo 127.0.0.1"], &["127.0.0.1"], true);
        check(&["virbr0 192.168.122.1", "veth1 10.1.1.1"], &["192.168.122.1", "10.1.1.1"], true);
        check(&["uplink 10.0.0.7", "eth0 10.0.0.5"], &["10.0.0.5", "10.0.0.7"], true);
        check(&[], &[], true);
    }
}
