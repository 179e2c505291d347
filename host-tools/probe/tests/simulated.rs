//! probe-rs' own attach, erase and program on the simulated probe, and what goes wrong there.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bistable_probe::simulated::{self, Fault, Firmware, State};
use bistable_probe::{
    BootTest, ChipDescription, Error, Lock, Picture, Piece, Places, Selector, Unit, locks_of,
};
use serialport::{SerialPort as _, TTYPort};
use tempfile::TempDir;

const BOOT: u64 = 0;
const MAIN: u64 = 0x2100_0000;
const IDENTITY: u64 = MAIN + 0x3000;
const SECOND: Duration = Duration::from_secs(1);

/// A station's desk: a folder, and what should be flashed.
struct Desk {
    folder: TempDir,
    chip: ChipDescription,
    picture: Picture,
}

impl Desk {
    fn new() -> Self {
        let piece = |name: &str, address, bytes| Piece {
            name: name.into(),
            address,
            bytes,
        };
        let vectors = [0x2000_8000_u32, 0x0000_0101]
            .map(u32::to_le_bytes)
            .concat();
        let body = (0..9000_u32).map(|at| at as u8 | 1).collect();
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            chip: ChipDescription::find(simulated::CHIP, None).expect("it is known"),
            picture: Picture::new(vec![
                piece("the bootloader", BOOT, vectors),
                piece("slot A", MAIN + 0x2_0000, body),
                piece("the identity", IDENTITY, b"\x05UNIT7".to_vec()),
            ])
            .expect("no overlap"),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("unit.sim")
    }

    fn unit(&self, fault: Option<Fault>) -> Unit {
        let file = self.file();
        let selector = Selector::Simulated { file, fault };
        Unit::attach(&selector, &self.chip, firmware()).expect("it attaches")
    }

    fn program(&self, fault: Option<Fault>) -> Result<(), Error> {
        let mut unit = self.unit(fault);
        unit.stop()?;
        let sectors = unit.sectors(&self.picture)?;
        let differing = unit.differing(&self.picture, &sectors)?;
        unit.program(&self.picture, &differing)?;
        unit.read_back(&self.picture, &sectors).map(drop)
    }

    fn state(&self) -> State {
        State::read(&self.file()).expect("it is a chip")
    }
}

/// Serial numbers behind their length.
fn firmware() -> Firmware {
    Firmware {
        identity: IDENTITY as u32,
        serial: |block| {
            let text = block.get(1..=usize::from(block[0]))?;
            String::from_utf8(text.to_vec()).ok()
        },
    }
}

/// Something lies in the flash already, that is not what is wanted.
fn used(file: &Path) {
    let mut bytes = std::fs::read(file).expect("it is there");
    bytes[4096..].fill(0x5A);
    std::fs::write(file, bytes).expect("it can be written");
}

#[test]
fn what_is_programmed_is_read_back_and_lies_in_the_file() {
    let desk = Desk::new();
    desk.program(None).expect("nothing goes wrong");
    let file = std::fs::read(desk.file()).expect("it is there");
    let main = 4096 + 0x1_0000;
    assert_eq!(&file[main + 0x3000..][..7], b"\x05UNIT7\xFF");
    let body = &desk.picture.pieces()[2].bytes;
    assert_eq!(&file[main + 0x2_0000..][..9000], body.as_slice());
    let State {
        erases, programs, ..
    } = desk.state();
    assert_eq!(
        (erases, programs),
        (5, 11),
        "one per sector, and one per page of 1 KiB"
    );
}

#[test]
fn what_is_there_already_is_neither_erased_nor_programmed() {
    let desk = Desk::new();
    desk.program(None).expect("nothing goes wrong");
    let before = desk.state();
    desk.program(None).expect("nothing goes wrong");
    let after = desk.state();
    assert_eq!(
        (before.erases, before.programs),
        (after.erases, after.programs)
    );
}

#[test]
fn a_used_chip_is_erased_where_the_picture_lies_and_nowhere_else() {
    let desk = Desk::new();
    drop(desk.unit(None));
    used(&desk.file());
    desk.program(None).expect("nothing goes wrong");
    let file = std::fs::read(desk.file()).expect("it is there");
    let main = 4096 + 0x1_0000;
    assert_eq!(
        file[main + 0x3006],
        0xFF,
        "the rest of the sector is erased"
    );
    assert_eq!(file[main + 0x4000], 0x5A, "the next one is left alone");
}

#[test]
fn a_sector_that_should_be_erased_is_erased_without_being_programmed() {
    let desk = Desk::new();
    drop(desk.unit(None));
    used(&desk.file());
    let blank = Piece {
        name: "the ledger".into(),
        address: MAIN + 0x9000,
        bytes: vec![0xFF; 4096],
    };
    let desk = Desk {
        picture: Picture::new(vec![blank]).expect("one piece"),
        ..desk
    };
    desk.program(None).expect("nothing goes wrong");
    assert_eq!((desk.state().erases, desk.state().programs), (1, 0));
}

#[test]
fn each_fault_of_the_flash_is_found_by_the_read_back_or_told() {
    for (fault, told) in [
        (
            Fault::EraseLeavesSector,
            "read back at 0x00000001, in the bootloader",
        ),
        (
            Fault::ProgramFlipsBit,
            "read back at 0x00000000, in the bootloader",
        ),
        (
            Fault::ProgramWritesNothing,
            "read back at 0x00000000, in the bootloader",
        ),
        (
            Fault::ReadDiffers,
            "read back at 0x00000000, in the bootloader",
        ),
        (Fault::ProgramFails, "program_page"),
    ] {
        let desk = Desk::new();
        drop(desk.unit(None));
        used(&desk.file());
        let error = desk.program(Some(fault)).expect_err(fault.name());
        assert!(error.to_string().contains(told), "{fault}: {error}");
    }
}

#[test]
fn a_piece_where_the_chip_has_no_flash_is_refused_before_anything_is_done() {
    let desk = Desk::new();
    let nowhere = Piece {
        name: "slot B".into(),
        address: 0x3000_0000,
        bytes: vec![1],
    };
    let desk = Desk {
        picture: Picture::new(vec![nowhere]).expect("one piece"),
        ..desk
    };
    let error = desk
        .program(None)
        .expect_err("there is no flash")
        .to_string();
    assert!(
        error.contains("0x30000000") && error.contains("slot B"),
        "{error}"
    );
    assert_eq!(desk.state().erases, 0);
}

#[test]
fn two_stations_cannot_open_one_chip() {
    let desk = Desk::new();
    let _first = desk.unit(None);
    let file = desk.file();
    let selector = Selector::Simulated { file, fault: None };
    let second = Unit::attach(&selector, &desk.chip, firmware());
    assert!(
        second
            .err()
            .expect("it is taken")
            .to_string()
            .contains("another station")
    );
}

#[test]
fn what_the_firmware_says_over_rtt_is_heard_after_a_reset() {
    let desk = Desk::new();
    desk.program(None).expect("nothing goes wrong");
    let heard = desk.unit(None).boot_test(&BootTest::Rtt, "UNIT7", SECOND);
    assert_eq!(heard.as_deref(), Ok("simulated firmware: unit UNIT7"));
}

#[test]
fn a_line_that_an_earlier_firmware_left_in_ram_is_not_this_ones() {
    let desk = Desk::new();
    desk.program(None).expect("nothing goes wrong");
    let mut unit = desk.unit(None);
    unit.start().expect("it says its line, and nobody listens");
    let erased = Picture::new(vec![Piece {
        name: "the bootloader".into(),
        address: BOOT,
        bytes: vec![0xFF; 8],
    }]);
    let erased = erased.expect("one piece");
    let sectors = unit.sectors(&erased).expect("flash is there");
    unit.program(&erased, &sectors).expect("it is erased");
    let silent = unit
        .boot_test(&BootTest::Rtt, "UNIT7", SECOND)
        .expect_err("nothing boots");
    assert!(silent.found.contains("silence"), "{silent}");
}

#[test]
fn a_line_on_a_serial_port_is_heard() {
    let desk = Desk::new();
    desk.program(None).expect("nothing goes wrong");
    let (mut far, near) = TTYPort::pair().expect("a pseudo terminal");
    let device = near.name().expect("it has a name");
    drop(near);
    let speaker = std::thread::spawn(move || {
        for _ in 0..50 {
            let _ = far.write_all(b"boot\r\nunit UNIT7 up\r\n");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let test = BootTest::Uart {
        device,
        baud: 115_200,
    };
    let heard = desk.unit(None).boot_test(&test, "UNIT7", SECOND);
    assert_eq!(heard.as_deref(), Ok("unit UNIT7 up"));
    speaker.join().expect("it said what it had to say");
}

#[test]
fn a_locked_chip_is_neither_read_nor_written_and_knows_that_it_is_locked() {
    let desk = Desk::new();
    desk.program(None).expect("nothing goes wrong");
    let mut unit = desk.unit(None);
    let places = Places {
        key: Some(MAIN as u32 + 0x3000..MAIN as u32 + 0x4000),
        bootloader: 0..0x1_0000,
    };
    let locks = locks_of(simulated::CHIP).expect("they are known");
    for lock in Lock::ALL {
        let recipe = locks.recipe(lock, &places).expect("it can be locked");
        assert_eq!(unit.is_locked(&recipe), Ok(false));
        unit.lock(lock, &recipe).expect("it takes");
        assert_eq!(unit.is_locked(&recipe), Ok(true));
        match lock {
            Lock::Key => {
                assert!(unit.read(IDENTITY, 4).is_err());
                assert!(
                    unit.read(MAIN + 0x4000, 4).is_ok(),
                    "the next sector is open"
                );
            }
            Lock::Readout => assert!(unit.read(MAIN + 0x4000, 4).is_err()),
            Lock::Bootloader => {
                let sectors = unit.sectors(&desk.picture).expect("flash is there");
                assert!(unit.program(&desk.picture, &sectors[..1]).is_err());
            }
        }
    }
    drop(unit);
    let mut unit = desk.unit(None);
    for lock in Lock::ALL {
        let recipe = locks.recipe(lock, &places).expect("it can be locked");
        assert_eq!(unit.is_locked(&recipe), Ok(true), "after a loss of power");
    }
}
