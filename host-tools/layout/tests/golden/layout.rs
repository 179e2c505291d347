// Generated from layout.toml and the key ring.

/// What bootloader, images and tools agree on.
pub const LAYOUT: ::bistable_core::layout::Layout = ::bistable_core::layout::Layout {
    digest: ::bistable_core::digest::Digest([0x4b, 0x28, 0x2f, 0xd9, 0xc8, 0x55, 0xbe, 0xe0, 0x35, 0x41, 0x94, 0x93, 0x0e, 0xa2, 0x75, 0xfb, 0x09, 0xbb, 0xba, 0xaf, 0x46, 0x26, 0x08, 0x58, 0x6c, 0x02, 0xdd, 0xbf, 0x74, 0xea, 0xa5, 0xaa]),
    vendor_id: [0x16, 0x79, 0xc6, 0xde, 0xb1, 0x9f, 0x50, 0xac, 0xbc, 0xd3, 0x26, 0x0a, 0x21, 0xaa, 0x5d, 0xda],
    class_id: [0xfc, 0x1a, 0x3e, 0xe7, 0x2a, 0xf4, 0x5e, 0x12, 0x8f, 0xf5, 0x0d, 0x4c, 0xa2, 0x36, 0x3d, 0xa9],
    journal: ::bistable_core::layout::JournalLayout {
        offset: 0x0,
        sector_size: 0x1000,
        sectors: 3,
    },
    slots: [
        ::bistable_core::layout::SlotLayout { offset: 0x2_0000, address: 0x2102_0000 },
        ::bistable_core::layout::SlotLayout { offset: 0xa_0000, address: 0x210a_0000 },
    ],
    slot_size: 0x8_0000,
    payload_offset: 0x1000,
    chunk_size: 0x1000,
    factory_floor: 7,
};

/// Whose signatures count.
pub const KEY_RING: ::bistable_core::keys::KeyRing<'static> = ::bistable_core::keys::KeyRing {
    keys: &[
        // first
        ::bistable_core::keys::Key {
            id: ::bistable_core::keys::KeyId(0x5ce9_8f16),
            roles: ::bistable_core::keys::Roles { release: true, root: true },
            public: [0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01],
        },
        // second
        ::bistable_core::keys::Key {
            id: ::bistable_core::keys::KeyId(0x1c8c_a9ae),
            roles: ::bistable_core::keys::Roles { release: false, root: true },
            public: [0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02, 0x02],
        },
    ],
    release_threshold: 1,
    root_threshold: 2,
};

/// The RAM regions.
#[allow(clippy::single_range_in_vec_init, reason = "a board may have one region")]
pub const RAM: [::core::ops::Range<u32>; 1] = [0x2000_0000..0x2040_0000];
/// The RAM that applications are linked for, without the handover block.
pub const APPLICATION_RAM: ::core::ops::Range<u32> = 0x2000_0100..0x2040_0000;
/// How the processor starts an image.
pub const ENTRY: ::bistable_core::verify::Entry<'static> = ::bistable_core::verify::Entry::CortexM { ram: &RAM };
/// Where the handover block lies in RAM.
pub const HANDOVER_ADDRESS: u32 = 0x2000_0000;
/// Length of the handover block in bytes.
pub const HANDOVER_SIZE: u32 = 0x100;
/// The processor's alignment for vector tables in bytes.
pub const VECTOR_ALIGNMENT: u32 = 0x100;

/// The flash `boot`.
pub mod flash_boot {
    /// Where the processor sees its first byte.
    pub const ADDRESS: u32 = 0x0;
    /// Length in bytes.
    pub const SIZE: u32 = 0x1_0000;
    /// Erase size in bytes.
    pub const ERASE_SIZE: u32 = 0x1000;
    /// Write size in bytes.
    pub const WRITE_SIZE: u32 = 0x4;
}

/// The flash `main`.
pub mod flash_main {
    /// Where the processor sees its first byte.
    pub const ADDRESS: u32 = 0x2100_0000;
    /// Length in bytes.
    pub const SIZE: u32 = 0x20_0000;
    /// Erase size in bytes.
    pub const ERASE_SIZE: u32 = 0x1000;
    /// Write size in bytes.
    pub const WRITE_SIZE: u32 = 0x4;
}

/// The bootloader, on the flash `boot`.
pub mod bootloader {
    /// First byte, from the start of the flash.
    pub const OFFSET: u32 = 0x0;
    /// Length in bytes.
    pub const SIZE: u32 = 0x1_0000;
    /// Bytes before its code.
    pub const HEAD: u32 = 0x0;
}

/// Where receipts are kept, on the flash `main`.
pub const LEDGER: ::bistable_core::layout::JournalLayout = ::bistable_core::layout::JournalLayout {
    offset: 0x6000,
    sector_size: 0x1000,
    sectors: 4,
};

/// The partition `data`, on the flash `main`.
pub mod partition_data {
    /// First byte, from the start of the flash.
    pub const OFFSET: u32 = 0x4000;
    /// Length in bytes.
    pub const SIZE: u32 = 0x2000;
}

/// The partition `identity`, on the flash `main`.
pub mod partition_identity {
    /// First byte, from the start of the flash.
    pub const OFFSET: u32 = 0x3000;
    /// Length in bytes.
    pub const SIZE: u32 = 0x1000;
}

/// The names of the health checks; number 1 comes first.
pub const CHECKS: [&str; 2] = ["self-test", "update-source"];
/// How long a trial runs at least before it is kept, in seconds.
pub const TRIAL_SOAK_SECONDS: u16 = 20;
/// How long a confirmed image runs until its abnormal resets are forgotten, in seconds.
pub const SOAK_SECONDS: u16 = 600;
/// How many abnormal resets of a confirmed image are a crash loop; 0: no number is.
pub const CRASH_LOOP: u16 = 4;

/// The names of a unit's calibration values, in their order.
pub const CALIBRATION: [&str; 2] = ["offset-mv", "gain-ppm"];
