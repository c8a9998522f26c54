//! Who runs where, on which ports and paths: the decider of `ringmq cluster plan`.
//!
//! Owns the placing of masters, slaves and nameservers, and the reasons why a wish cannot be met. No I/O, no clock:
//! the same wishes give the same plan. Any thread.

use super::topology::Topology;

/// What the operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wishes {
    pub topology: Topology,
    /// Names or IPv4 addresses, as clients and the other hosts reach them.
    pub hosts: Vec<String>,
    /// `host` or `host:port`; empty: on the first hosts, at most three.
    pub namesrv: Vec<String>,
    /// Directory that holds each host's stores: absolute, or below `${HOME}`.
    pub store_root: String,
    /// brokerClusterName
    pub cluster: String,
    /// listenPort of the first broker on each host; the next take ten more each.
    pub listen_port: u16,
    pub namesrv_port: u16,
    /// Take a plan where one host's end takes several masters, or all copies of one broker.
    pub shared_hosts: bool,
}

/// Files for every host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub topology: Topology,
    pub cluster: String,
    /// `h1:9876;h2:9876`
    pub namesrv_addr: String,
    pub hosts: Vec<Host>,
    /// What the operator should know of this plan.
    pub notes: Vec<String>,
}

/// What one host runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub name: String,
    pub namesrv: Vec<Namesrv>,
    /// Masters first.
    pub brokers: Vec<Broker>,
}

/// One nameserver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namesrv {
    pub port: u16,
    /// Directory of its own.
    pub root: String,
    /// Name of its file.
    pub file: String,
}

/// One broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    pub name: String,
    /// 0 is the master.
    pub id: usize,
    pub listen_port: u16,
    /// storePathRootDir
    pub store_root: String,
    /// Name of its file.
    pub file: String,
}

impl Broker {
    /// Ports it takes, with what for.
    pub fn ports(&self) -> [(u16, &'static str); 3] {
        [
            (self.listen_port, "clients (listenPort)"),
            (self.listen_port.saturating_sub(2), "clients, VIP channel (listenPort - 2)"),
            (self.listen_port.saturating_add(1), "replication (listenPort + 1)"),
        ]
    }
}

impl Host {
    fn takes(&self, port: u16) -> bool {
        self.namesrv.iter().any(|namesrv| namesrv.port == port)
            || self.brokers.iter().any(|broker| broker.ports().iter().any(|(taken, _)| *taken == port))
    }

    fn holds(&self, broker_name: &str) -> bool {
        self.brokers.iter().any(|broker| broker.name == broker_name)
    }
}

/// Ports between the brokers of one host.
const PORT_STEP: u16 = 10;

/// Nameservers that are planned when none are named.
const NAMESRV_DEFAULT: usize = 3;

/// The plan, or why there is none.
pub fn plan(wishes: &Wishes) -> Result<Plan, String> {
    let Topology { masters, slaves_each, .. } = wishes.topology;
    check_hosts(wishes)?;
    check_texts(wishes)?;
    let root = wishes.store_root.trim_end_matches('/');
    let mut hosts: Vec<Host> =
        wishes.hosts.iter().map(|name| Host { name: name.clone(), namesrv: Vec::new(), brokers: Vec::new() }).collect();
    let namesrv_addr = place_namesrv(wishes, root, &mut hosts)?;

    for index in 0..masters {
        let at = index % hosts.len();
        put(&mut hosts[at], broker(wishes, root, index, 0), wishes.listen_port)?;
    }
    for id in 1..=slaves_each {
        for index in 0..masters {
            let slave = broker(wishes, root, index, id);
            let count = hosts.len();
            // Crosswise: beginning behind the master's host, the one with the least to do that has no copy yet.
            let around = (1..=count).map(|step| (index + step) % count);
            let at = around.min_by_key(|at| (hosts[*at].holds(&slave.name), hosts[*at].brokers.len())).unwrap_or(0);
            put(&mut hosts[at], slave, wishes.listen_port)?;
        }
    }
    if let Some(idle) = hosts.iter().find(|host| host.brokers.is_empty() && host.namesrv.is_empty()) {
        return Err(format!(
            "nothing would run on {}: {} has {} brokers; take the host from --hosts, or give it a nameserver with \
             --namesrv",
            idle.name,
            wishes.topology,
            masters * (1 + slaves_each)
        ));
    }
    let notes = notes(wishes, &namesrv_addr, &hosts);
    let cluster = wishes.cluster.clone();
    Ok(Plan { topology: wishes.topology, cluster, namesrv_addr: namesrv_addr.join(";"), hosts, notes })
}

fn broker(wishes: &Wishes, root: &str, index: usize, id: usize) -> Broker {
    let letter = char::from(b'a' + u8::try_from(index).unwrap_or(25).min(25));
    let name = format!("broker-{letter}");
    let file = match (id, wishes.topology.slaves_each) {
        (0, _) => name.clone(),
        (_, 1) => format!("{name}-s"),
        (id, _) => format!("{name}-s{id}"),
    };
    let store_root = format!("{root}/{file}");
    Broker { name, id, listen_port: 0, store_root, file: format!("{file}.properties") }
}

/// Gives the broker the first listenPort whose three ports are free there.
fn put(host: &mut Host, mut broker: Broker, first: u16) -> Result<(), String> {
    let mut candidate = Some(first);
    while let Some(port) = candidate.filter(|port| *port > 2 && *port < u16::MAX) {
        broker.listen_port = port;
        if broker.ports().iter().all(|(port, _)| !host.takes(*port)) {
            host.brokers.push(broker);
            return Ok(());
        }
        candidate = port.checked_add(PORT_STEP);
    }
    Err(format!(
        "no ports are left on {} for {}: a broker takes listenPort - 2 to listenPort + 1, between 1 and 65535, and \
         those of one host begin {PORT_STEP} apart from {first} on; give a lower --listen-port",
        host.name, broker.file
    ))
}

fn place_namesrv(wishes: &Wishes, root: &str, hosts: &mut [Host]) -> Result<Vec<String>, String> {
    let wished: Vec<String> = match wishes.namesrv.is_empty() {
        true => wishes.hosts.iter().take(NAMESRV_DEFAULT).cloned().collect(),
        false => wishes.namesrv.clone(),
    };
    let mut addresses: Vec<String> = Vec::new();
    for text in wished {
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) => {
                let port = port.parse::<u16>().ok().filter(|port| *port > 0);
                (name, port.ok_or_else(|| format!("--namesrv {text}: the port is no number from 1 to 65535"))?)
            }
            None => (text.as_str(), wishes.namesrv_port),
        };
        check_name(name).map_err(|problem| format!("--namesrv {text}: {problem}"))?;
        if port == 0 {
            return Err("--namesrv-port 0: a nameserver needs a port that clients know".into());
        }
        let address = format!("{name}:{port}");
        if addresses.iter().any(|known| known.eq_ignore_ascii_case(&address)) {
            return Err(format!("nameserver {address} is named twice"));
        }
        addresses.push(address);
        if let Some(host) = hosts.iter_mut().find(|host| host.name.eq_ignore_ascii_case(name)) {
            // Beside another one of the same host, the port tells them apart.
            let own = if host.namesrv.is_empty() { "namesrv".to_owned() } else { format!("namesrv-{port}") };
            host.namesrv.push(Namesrv { port, root: format!("{root}/{own}"), file: format!("{own}.properties") });
        }
    }
    Ok(addresses)
}

fn check_hosts(wishes: &Wishes) -> Result<(), String> {
    let Topology { masters, slaves_each, .. } = wishes.topology;
    let hosts = &wishes.hosts;
    if hosts.is_empty() {
        return Err("no hosts; name them with --hosts h1,h2".into());
    }
    for (at, host) in hosts.iter().enumerate() {
        check_name(host).map_err(|problem| format!("--hosts {host}: {problem}"))?;
        if hosts[..at].iter().any(|other| other.eq_ignore_ascii_case(host)) {
            return Err(format!("host {host} is named twice; each host once, the plan puts several brokers on it"));
        }
        let own = host.eq_ignore_ascii_case("localhost") || host.starts_with("127.") || host == "0.0.0.0";
        if own && hosts.len() > 1 {
            return Err(format!("{host} means another machine on each host; give the address the others reach it by"));
        }
    }
    if wishes.shared_hosts {
        return Ok(());
    }
    let count = hosts.len();
    if slaves_each + 1 > count {
        return Err(format!(
            "{} keeps {} copies of each broker, and {count} host(s) cannot hold them apart: one host's end would take \
             master and slave; name {} hosts, or take it with --shared-hosts",
            wishes.topology,
            slaves_each + 1,
            slaves_each + 1
        ));
    }
    if masters > count {
        return Err(format!(
            "{} has {masters} masters for {count} host(s): one host's end would take several; name {masters} hosts, or \
             take it with --shared-hosts",
            wishes.topology
        ));
    }
    Ok(())
}

/// A host's name becomes part of an address and of a path.
fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a host's name is missing".into());
    }
    if name.contains([':', '[', ']']) {
        return Err("neither a port nor an IPv6 address belongs here; give a name or an IPv4 address".into());
    }
    if let Some(c) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))) {
        return Err(format!("{c:?} is no part of a host name"));
    }
    if name.starts_with(['.', '-']) || name.len() > 253 {
        return Err("this is no host name".into());
    }
    if name.chars().all(|c| c.is_ascii_digit() || c == '.') && name.parse::<std::net::Ipv4Addr>().is_err() {
        return Err(format!("{name} is no IPv4 address"));
    }
    Ok(())
}

fn check_texts(wishes: &Wishes) -> Result<(), String> {
    let root = &wishes.store_root;
    let below = root.strip_prefix("${HOME}").unwrap_or(root);
    let parts: Vec<&str> = below.split('/').filter(|part| !part.is_empty()).collect();
    let named = |part: &&str| *part != "." && *part != "..";
    if !below.starts_with('/') || parts.is_empty() || !parts.iter().all(named) {
        return Err(format!(
            "--store-root {root}: give an absolute directory such as /data/rocketmq (or ${{HOME}}/rocketmq) without . \
             and .., so that every host finds its stores wherever it is started"
        ));
    }
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    if let Some(c) = below.chars().find(|c| !plain(*c)) {
        return Err(format!("--store-root {root}: {c:?} makes trouble in properties files and shells; leave it out"));
    }
    let cluster = &wishes.cluster;
    if cluster.is_empty() || !cluster.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
        return Err(format!("--cluster {cluster:?}: a cluster's name is of letters, digits, - and _"));
    }
    Ok(())
}

fn notes(wishes: &Wishes, namesrv: &[String], hosts: &[Host]) -> Vec<String> {
    let mut notes = Vec::new();
    for host in hosts {
        for broker in host.brokers.iter().filter(|broker| broker.id > 0) {
            let twin = host.brokers.iter().find(|other| other.name == broker.name && other.id < broker.id);
            if let Some(twin) = twin {
                notes.push(format!("{} and {} share {}: its end takes both copies", twin.file, broker.file, host.name));
            }
        }
    }
    if let [only] = namesrv {
        notes.push(format!("one nameserver, {only}: while it is away no new client starts; two or three are usual"));
    }
    for address in namesrv {
        let host = address.rsplit_once(':').map_or("", |(host, _)| host);
        if !hosts.iter().any(|planned| planned.name.eq_ignore_ascii_case(host)) {
            notes.push(format!("nameserver {address} is none of the planned hosts: it has to run already"));
        }
    }
    if wishes.topology.sync && wishes.topology.slaves_each == 1 {
        let text = "SYNC_MASTER with one slave each: while a slave is away, sends to its master are stored and answered \
                    with SLAVE_NOT_AVAILABLE";
        notes.push(text.into());
    }
    if hosts.iter().any(|host| host.name.parse::<std::net::Ipv4Addr>().is_err()) {
        notes.push(
            "brokers announce the address that their own host finds for its name (brokerIP1), slaves look up their \
             master's name (brokerIP2): no /etc/hosts may give a host 127.x for its own name, or write addresses in \
             --hosts"
                .into(),
        );
    }
    notes
}
