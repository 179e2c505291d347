//! TCP over the board's Ethernet: see [`board_net`].

pub use board_net::{Config, Error};

use crate::ethernet::Ethernet;

/// All memory that the network needs, about 11 KiB. For a static, or `cortex_m::singleton!`.
pub type Storage = board_net::Storage<Ethernet<'static>>;

/// The board in its network.
pub type Network = board_net::Network<Ethernet<'static>>;

/// A TCP connection that can be opened again and again.
pub type Connection<'n, F> = board_net::Connection<'n, Ethernet<'static>, F>;
