//! The addresses of this host's network cards, for choosing the one that is announced to clients.
//!
//! Owns nothing; reads the kernel's list once. Any thread.

use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One address of one card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// As the kernel calls the card: eth0, docker0.
    pub name: String,
    /// The address.
    pub address: IpAddr,
    /// The card is up and has a carrier.
    pub up: bool,
    /// This host only.
    pub loopback: bool,
    /// A tunnel.
    pub point_to_point: bool,
}

/// All addresses, in the kernel's order.
pub fn interface_addresses() -> std::io::Result<Vec<InterfaceAddress>> {
    let mut first: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: getifaddrs stores a list that is ours until freeifaddrs.
    if unsafe { libc::getifaddrs(&mut first) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut at = first;
    while !at.is_null() {
        // SAFETY: `at` is an element of the list, which lives until it is freed below.
        let entry = unsafe { &*at };
        at = entry.ifa_next;
        if entry.ifa_addr.is_null() || entry.ifa_name.is_null() {
            continue;
        }
        // SAFETY: the family tells which address structure lies there; the name is a C string.
        let (address, name) = unsafe {
            let address = match i32::from((*entry.ifa_addr).sa_family) {
                libc::AF_INET => {
                    let v4 = &*entry.ifa_addr.cast::<libc::sockaddr_in>();
                    IpAddr::V4(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)))
                }
                libc::AF_INET6 => {
                    let v6 = &*entry.ifa_addr.cast::<libc::sockaddr_in6>();
                    IpAddr::V6(Ipv6Addr::from(v6.sin6_addr.s6_addr))
                }
                _ => continue,
            };
            (address, CStr::from_ptr(entry.ifa_name).to_string_lossy().into_owned())
        };
        let has = |flag: libc::c_int| entry.ifa_flags & flag as libc::c_uint != 0;
        found.push(InterfaceAddress {
            name,
            address,
            up: has(libc::IFF_UP) && has(libc::IFF_RUNNING),
            loopback: has(libc::IFF_LOOPBACK),
            point_to_point: has(libc::IFF_POINTOPOINT),
        });
    }
    // SAFETY: `first` came from getifaddrs and is freed once.
    unsafe { libc::freeifaddrs(first) };
    Ok(found)
}

#[cfg(test)]
mod tests {
    #[test]
    fn loopback_is_there() {
        let found = super::interface_addresses().unwrap();
        assert!(found.iter().any(|card| card.loopback && card.address.is_loopback()), "{found:?}");
    }
}
