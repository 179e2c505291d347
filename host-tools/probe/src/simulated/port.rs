//! The debug port and its one access port, as a probe sees them (Arm Debug Interface, ADIv5.2: B2.2 and C2.6).

use std::fmt;
use std::sync::Arc;

use probe_rs::CoreStatus;
use probe_rs::architecture::arm::sequences::ArmDebugSequence;
use probe_rs::architecture::arm::{
    ArmCommunicationInterface, ArmDebugInterface, ArmError, DapError, DapProbe, RawDapAccess,
    RegisterAddress,
};
use probe_rs::probe::{DebugProbe, DebugProbeError, WireProtocol};

use super::chip::BusFault;
use super::core::Core;

/// An SW-DP of a Cortex-M3, version 1.
const DPIDR: u32 = 0x2BA0_1477;
/// Its AHB-AP.
const IDR: u32 = 0x2477_0011;
/// Where the ROM table of a Cortex-M3 is; there is none here.
const BASE: u32 = 0xE00F_F003;
const POWER_UP_REQUESTS: u32 = 1 << 30 | 1 << 28;
/// CSW: the debugger may access memory.
const DEVICE_ENABLED: u32 = 1 << 6;
const RESET_PIN: u32 = 1 << 7;

/// A probe on a simulated chip.
pub(crate) struct SimulatedProbe {
    core: Core,
    speed_khz: u32,
    select: u32,
    control: u32,
    csw: u32,
    tar: u32,
}

impl SimulatedProbe {
    pub(crate) fn new(core: Core) -> Self {
        Self {
            core,
            speed_khz: 4000,
            select: 0,
            control: 0,
            csw: 0x2,
            tar: 0,
        }
    }

    fn read_debug_port(&self, address: u8) -> u32 {
        match address & 0xC {
            0x0 => DPIDR,
            // Power comes at once when it is asked for.
            0x4 => self.control | (self.control & POWER_UP_REQUESTS) << 1,
            _ => 0,
        }
    }

    fn write_debug_port(&mut self, address: u8, value: u32) {
        match address & 0xC {
            0x4 => self.control = value,
            0x8 => self.select = value,
            _ => {}
        }
    }

    /// The register of the access port that SELECT and the four bits on the wire name; `None` if SELECT names a
    /// port that there is not.
    fn access_port(&self, address: u8) -> Option<u8> {
        let bank = (self.select & 0xF0) as u8;
        (self.select >> 24 == 0).then_some(bank | address & 0xC)
    }

    fn read_access_port(&mut self, address: u8) -> Result<u32, BusFault> {
        Ok(match self.access_port(address) {
            Some(0x00) => self.csw | DEVICE_ENABLED,
            Some(0x04) => self.tar,
            Some(0x0C) => self.read_memory()?,
            Some(0xF8) => BASE,
            Some(0xFC) => IDR,
            _ => 0,
        })
    }

    fn write_access_port(&mut self, address: u8, value: u32) -> Result<(), BusFault> {
        match self.access_port(address) {
            Some(0x00) => self.csw = value,
            Some(0x04) => self.tar = value,
            Some(0x0C) => self.write_memory(value)?,
            _ => {}
        }
        Ok(())
    }

    /// DRW: bytes lie in their lanes (C2.2.6).
    fn read_memory(&mut self) -> Result<u32, BusFault> {
        let at = self.tar;
        let lane = 8 * (at % 4);
        let value = match self.csw & 7 {
            0 => u32::from(u8::from_le_bytes(self.core.read_part(at)?)) << lane,
            1 => u32::from(u16::from_le_bytes(self.core.read_part(at & !1)?)) << lane,
            _ => self.core.read_word(at & !3)?,
        };
        self.advance();
        Ok(value)
    }

    fn write_memory(&mut self, value: u32) -> Result<(), BusFault> {
        let at = self.tar;
        let in_lane = (value >> (8 * (at % 4))).to_le_bytes();
        match self.csw & 7 {
            0 => self.core.write_part(at, &in_lane[..1])?,
            1 => self.core.write_part(at & !1, &in_lane[..2])?,
            _ => self.core.write_word(at & !3, value)?,
        }
        self.advance();
        Ok(())
    }

    /// TAR counts on within 1 KiB (C2.2.2).
    fn advance(&mut self) {
        if self.csw >> 4 & 3 == 1 {
            let next = self.tar.wrapping_add(1 << (self.csw & 7).min(2));
            self.tar = self.tar & !0x3FF | next & 0x3FF;
        }
    }
}

fn fault(_: BusFault) -> ArmError {
    ArmError::Dap(DapError::FaultResponse)
}

impl RawDapAccess for SimulatedProbe {
    fn raw_read_register(&mut self, address: RegisterAddress) -> Result<u32, ArmError> {
        match address {
            RegisterAddress::DpRegister(register) => Ok(self.read_debug_port(register.address)),
            RegisterAddress::ApRegister(register) => self.read_access_port(register).map_err(fault),
        }
    }

    fn raw_write_register(&mut self, address: RegisterAddress, value: u32) -> Result<(), ArmError> {
        match address {
            RegisterAddress::DpRegister(register) => {
                self.write_debug_port(register.address, value);
                Ok(())
            }
            RegisterAddress::ApRegister(register) => {
                self.write_access_port(register, value).map_err(fault)
            }
        }
    }

    fn jtag_sequence(&mut self, _: u8, _: bool, _: u64) -> Result<(), DebugProbeError> {
        Err(DebugProbeError::CommandNotSupportedByProbe {
            command_name: "jtag_sequence",
        })
    }

    /// Line resets and switches of protocol: this wire is always in order.
    fn swj_sequence(&mut self, _: u8, _: u64) -> Result<(), DebugProbeError> {
        Ok(())
    }

    fn swj_pins(&mut self, out: u32, select: u32, _: u32) -> Result<u32, DebugProbeError> {
        if select & RESET_PIN != 0 && out & RESET_PIN == 0 {
            self.core.reset();
        }
        Ok(out)
    }

    fn into_probe(self: Box<Self>) -> Box<dyn DebugProbe> {
        self
    }

    fn core_status_notification(&mut self, _: CoreStatus) -> Result<(), DebugProbeError> {
        Ok(())
    }
}

impl DapProbe for SimulatedProbe {}

impl DebugProbe for SimulatedProbe {
    fn get_name(&self) -> &str {
        "simulated probe"
    }

    fn speed_khz(&self) -> u32 {
        self.speed_khz
    }

    fn set_speed(&mut self, speed_khz: u32) -> Result<u32, DebugProbeError> {
        self.speed_khz = speed_khz;
        Ok(speed_khz)
    }

    fn attach(&mut self) -> Result<(), DebugProbeError> {
        Ok(())
    }

    fn detach(&mut self) -> Result<(), probe_rs::Error> {
        Ok(())
    }

    fn target_reset(&mut self) -> Result<(), DebugProbeError> {
        self.core.reset();
        Ok(())
    }

    fn target_reset_assert(&mut self) -> Result<(), DebugProbeError> {
        self.core.reset();
        Ok(())
    }

    fn target_reset_deassert(&mut self) -> Result<(), DebugProbeError> {
        Ok(())
    }

    fn select_protocol(&mut self, protocol: WireProtocol) -> Result<(), DebugProbeError> {
        match protocol {
            WireProtocol::Swd => Ok(()),
            other => Err(DebugProbeError::UnsupportedProtocol(other)),
        }
    }

    fn active_protocol(&self) -> Option<WireProtocol> {
        Some(WireProtocol::Swd)
    }

    fn has_arm_interface(&self) -> bool {
        true
    }

    fn try_as_dap_probe(&mut self) -> Option<&mut dyn DapProbe> {
        Some(self)
    }

    fn try_get_arm_debug_interface<'probe>(
        self: Box<Self>,
        sequence: Arc<dyn ArmDebugSequence>,
    ) -> Result<Box<dyn ArmDebugInterface + 'probe>, (Box<dyn DebugProbe>, ArmError)> {
        Ok(ArmCommunicationInterface::create(self, sequence, false))
    }

    fn into_probe(self: Box<Self>) -> Box<dyn DebugProbe> {
        self
    }
}

impl fmt::Debug for SimulatedProbe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SimulatedProbe")
    }
}
