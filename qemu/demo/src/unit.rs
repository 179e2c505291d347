//! What this unit is told apart from its firmware: its identity, and where its update server is.

use core::net::{Ipv4Addr, SocketAddrV4};

use bistable_updater::identity::{Identity, MAX_LEN, Serial};
use embedded_storage::nor_flash::ReadNorFlash;

use crate::layout;

/// Where the emulator's user network shows the host.
const DEFAULT_SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), 8080);

/// The longest line that names a server, in bytes.
const LINE_MAX: usize = 32;

/// Facts about this unit.
pub(crate) struct Unit {
    /// From the partition `identity`.
    pub(crate) serial: Serial,
    /// From the partition `data`: its first line, if it is an address.
    pub(crate) server: SocketAddrV4,
}

impl Unit {
    /// Reads them; what is not there has a default.
    pub(crate) fn read(flash: &mut impl ReadNorFlash) -> Self {
        let mut identity = [0; MAX_LEN];
        let read = flash.read(layout::partition_identity::OFFSET, &mut identity);
        let identity = read.ok().and_then(|()| Identity::decode(&identity));
        let mut line = [0; LINE_MAX];
        let read = flash.read(layout::partition_data::OFFSET, &mut line);
        let server = read.ok().and_then(|()| {
            let end = line.iter().position(|byte| *byte == b'\n')?;
            core::str::from_utf8(line.get(..end)?).ok()?.parse().ok()
        });
        Self {
            serial: identity.map(|identity| identity.serial).unwrap_or_default(),
            server: server.unwrap_or(DEFAULT_SERVER),
        }
    }
}
