//! TCP over the board's Ethernet: see [`board_net`].

pub use board_net::{Config, Error};

use crate::ethernet::Ethernet;

/// All memory that the network needs, about 20 KiB. For a static.
pub type Storage = board_net::Storage<Ethernet>;

/// The board in its network.
pub type Network = board_net::Network<Ethernet>;

/// A TCP connection that can be opened again and again. Dropped without `close`, it is reset.
pub type Connection<'n, F> = board_net::Connection<'n, Ethernet, F>;
