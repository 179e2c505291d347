//! What was measured of others before Bistable was written. Quoted: nothing here is measured again.

/// A bootloader in C, or a mode of one, that was measured on the same emulated board: 256 KiB in slots of 512 KiB, sectors of
/// 4 KiB, an Ed25519 signature.
pub(crate) struct Quoted {
    pub(crate) name: &'static str,
    /// Erases of sectors by an update, the download included.
    pub(crate) erases: u64,
    /// Bytes programmed, as a multiple of the image.
    pub(crate) programmed: &'static str,
    /// Erases of sectors by going back; none: it has no way back.
    pub(crate) revert: Option<u64>,
    /// Bytes of flash.
    pub(crate) text: u64,
    /// Millions of instructions to boot 64 KiB and 256 KiB.
    pub(crate) instructions: (f64, f64),
    /// Bytes of stack.
    pub(crate) stack: u64,
}

/// The smallest MCUboot that was found, in whichever mode.
pub(crate) const SMALLEST_MCUBOOT: u64 = 17_240;

/// embassy-boot 0.7 on a Cortex-M3: it verifies nothing at boot.
pub(crate) const EMBASSY_BOOT_TEXT: u64 = 2_092;

/// All of them.
pub(crate) const QUOTED: [Quoted; 5] = [
    Quoted {
        name: "MCUboot direct-xip",
        erases: 64,
        programmed: "1.0 ×",
        revert: None,
        text: 18_984,
        instructions: (5.97, 19.98),
        stack: 3_932,
    },
    Quoted {
        name: "MCUboot direct-xip with revert",
        erases: 64,
        programmed: "1.0 ×",
        revert: Some(128),
        text: 19_472,
        instructions: (5.97, 19.98),
        stack: 3_932,
    },
    Quoted {
        name: "MCUboot swap-offset",
        erases: 194,
        programmed: "3.0 ×",
        revert: Some(133),
        text: 22_856,
        instructions: (5.98, 19.99),
        stack: 4_012,
    },
    Quoted {
        name: "MCUboot swap-move",
        erases: 258,
        programmed: "4.0 ×",
        revert: Some(195),
        text: 22_208,
        instructions: (5.97, 19.98),
        stack: 3_956,
    },
    Quoted {
        name: "wolfBoot swap",
        erases: 386,
        programmed: "4.0 ×",
        revert: Some(322),
        text: 11_640,
        instructions: (88.9, 98.4),
        stack: 1_840,
    },
];
