//! Addresses of `core::net` from and to those of `no_std_net`, for network stacks that speak the latter.
//!
//! Bistable's own addresses are `core::net`. Both sets of types belong to others, so that `From`
//! cannot be implemented between them; these two traits stand in for it.
//!
//! ```
//! use bistable_updater::net::{IntoCore, IntoNoStdNet};
//!
//! let server: core::net::SocketAddr = "192.0.2.1:8080".parse().unwrap();
//! assert_eq!(server.into_no_std_net().into_core(), server);
//! ```
#![cfg(feature = "no-std-net")]

use core::net;

/// An address of `no_std_net` that `core::net` has, too.
pub trait IntoCore {
    /// The type of the same name in `core::net`.
    type Core;

    /// The same address. Nothing is lost: an IPv6 socket address keeps flow information and scope id.
    fn into_core(self) -> Self::Core;
}

/// An address of `core::net` that `no_std_net` has, too.
pub trait IntoNoStdNet {
    /// The type of the same name in `no_std_net`.
    type NoStdNet;

    /// The same address. Nothing is lost: an IPv6 socket address keeps flow information and scope id.
    fn into_no_std_net(self) -> Self::NoStdNet;
}

impl IntoCore for no_std_net::Ipv4Addr {
    type Core = net::Ipv4Addr;

    fn into_core(self) -> net::Ipv4Addr {
        self.octets().into()
    }
}

impl IntoNoStdNet for net::Ipv4Addr {
    type NoStdNet = no_std_net::Ipv4Addr;

    fn into_no_std_net(self) -> no_std_net::Ipv4Addr {
        self.octets().into()
    }
}

impl IntoCore for no_std_net::Ipv6Addr {
    type Core = net::Ipv6Addr;

    fn into_core(self) -> net::Ipv6Addr {
        self.octets().into()
    }
}

impl IntoNoStdNet for net::Ipv6Addr {
    type NoStdNet = no_std_net::Ipv6Addr;

    fn into_no_std_net(self) -> no_std_net::Ipv6Addr {
        self.octets().into()
    }
}

impl IntoCore for no_std_net::IpAddr {
    type Core = net::IpAddr;

    fn into_core(self) -> net::IpAddr {
        match self {
            Self::V4(address) => net::IpAddr::V4(address.into_core()),
            Self::V6(address) => net::IpAddr::V6(address.into_core()),
        }
    }
}

impl IntoNoStdNet for net::IpAddr {
    type NoStdNet = no_std_net::IpAddr;

    fn into_no_std_net(self) -> no_std_net::IpAddr {
        match self {
            Self::V4(address) => no_std_net::IpAddr::V4(address.into_no_std_net()),
            Self::V6(address) => no_std_net::IpAddr::V6(address.into_no_std_net()),
        }
    }
}

impl IntoCore for no_std_net::SocketAddrV4 {
    type Core = net::SocketAddrV4;

    fn into_core(self) -> net::SocketAddrV4 {
        net::SocketAddrV4::new(self.ip().into_core(), self.port())
    }
}

impl IntoNoStdNet for net::SocketAddrV4 {
    type NoStdNet = no_std_net::SocketAddrV4;

    fn into_no_std_net(self) -> no_std_net::SocketAddrV4 {
        no_std_net::SocketAddrV4::new(self.ip().into_no_std_net(), self.port())
    }
}

impl IntoCore for no_std_net::SocketAddrV6 {
    type Core = net::SocketAddrV6;

    fn into_core(self) -> net::SocketAddrV6 {
        net::SocketAddrV6::new(
            self.ip().into_core(),
            self.port(),
            self.flowinfo(),
            self.scope_id(),
        )
    }
}

impl IntoNoStdNet for net::SocketAddrV6 {
    type NoStdNet = no_std_net::SocketAddrV6;

    fn into_no_std_net(self) -> no_std_net::SocketAddrV6 {
        no_std_net::SocketAddrV6::new(
            self.ip().into_no_std_net(),
            self.port(),
            self.flowinfo(),
            self.scope_id(),
        )
    }
}

impl IntoCore for no_std_net::SocketAddr {
    type Core = net::SocketAddr;

    fn into_core(self) -> net::SocketAddr {
        match self {
            Self::V4(address) => net::SocketAddr::V4(address.into_core()),
            Self::V6(address) => net::SocketAddr::V6(address.into_core()),
        }
    }
}

impl IntoNoStdNet for net::SocketAddr {
    type NoStdNet = no_std_net::SocketAddr;

    fn into_no_std_net(self) -> no_std_net::SocketAddr {
        match self {
            Self::V4(address) => no_std_net::SocketAddr::V4(address.into_no_std_net()),
            Self::V6(address) => no_std_net::SocketAddr::V6(address.into_no_std_net()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: net::Ipv4Addr = net::Ipv4Addr::new(192, 0, 2, 33);
    const V6: net::Ipv6Addr = net::Ipv6Addr::new(0xfe80, 1, 2, 3, 4, 5, 6, 0x789a);

    #[test]
    fn an_ipv4_address_comes_back_as_it_went() {
        let there = V4.into_no_std_net();
        assert_eq!(there, no_std_net::Ipv4Addr::new(192, 0, 2, 33));
        assert_eq!(there.into_core(), V4);
        let there = net::IpAddr::V4(V4).into_no_std_net();
        assert_eq!(there, no_std_net::IpAddr::V4(V4.into_no_std_net()));
        assert_eq!(there.into_core(), net::IpAddr::V4(V4));
    }

    #[test]
    fn an_ipv6_address_comes_back_as_it_went() {
        let there = V6.into_no_std_net();
        assert_eq!(
            there,
            no_std_net::Ipv6Addr::new(0xfe80, 1, 2, 3, 4, 5, 6, 0x789a)
        );
        assert_eq!(there.into_core(), V6);
        let there = net::IpAddr::V6(V6).into_no_std_net();
        assert_eq!(there, no_std_net::IpAddr::V6(V6.into_no_std_net()));
        assert_eq!(there.into_core(), net::IpAddr::V6(V6));
    }

    #[test]
    fn a_mapped_ipv4_address_stays_an_ipv6_address() {
        let mapped = net::IpAddr::V6(V4.to_ipv6_mapped());
        assert!(mapped.into_no_std_net().is_ipv6());
        assert_eq!(mapped.into_no_std_net().into_core(), mapped);
    }

    #[test]
    fn an_ipv4_socket_address_keeps_its_port() {
        let here = net::SocketAddrV4::new(V4, 8080);
        let there = here.into_no_std_net();
        assert_eq!((there.ip().octets(), there.port()), ([192, 0, 2, 33], 8080));
        assert_eq!(there.into_core(), here);
        let here = net::SocketAddr::V4(here);
        assert_eq!(here.into_no_std_net().into_core(), here);
    }

    #[test]
    fn an_ipv6_socket_address_keeps_its_flow_information_and_its_scope() {
        let here = net::SocketAddrV6::new(V6, 443, 0x000a_bcde, 7);
        let there = here.into_no_std_net();
        assert_eq!(there.ip().octets(), V6.octets());
        assert_eq!(there.port(), 443);
        assert_eq!(there.flowinfo(), 0x000a_bcde);
        assert_eq!(there.scope_id(), 7);
        assert_eq!(there.into_core(), here);
        let here = net::SocketAddr::V6(here);
        assert_eq!(here.into_no_std_net().into_core(), here);
    }
}
