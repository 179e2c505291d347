//! A real probe and a real chip, where there are any. No such run is known to the project yet.

use std::io::Write as _;

use bistable_probe::simulated::Firmware;
use bistable_probe::{ChipDescription, Picture, Piece, Selector, Unit};

const HOW: &str = "BISTABLE_PROBE=VID:PID[:SERIAL] BISTABLE_CHIP=NAME BISTABLE_SECTOR=0xADDRESS \
                   cargo test --release -p bistable-probe --test hardware; the sector is overwritten and put back";

#[test]
fn on_real_hardware_a_sector_is_programmed_read_back_and_put_back_or_this_is_skipped() {
    let names = ["BISTABLE_PROBE", "BISTABLE_CHIP", "BISTABLE_SECTOR"];
    let values = names.map(|name| std::env::var(name).ok());
    let [Some(probe), Some(chip), Some(sector)] = values else {
        // Not by a macro, whose output the test harness keeps to itself.
        let skipped = format!("\nSKIPPED on_real_hardware: no probe is named. To run it: {HOW}\n");
        std::io::stderr()
            .write_all(skipped.as_bytes())
            .expect("it can be said");
        return;
    };
    let selector: Selector = probe.parse().expect("BISTABLE_PROBE is a probe");
    let chip = ChipDescription::find(&chip, None).expect("BISTABLE_CHIP is a chip");
    let digits = sector.trim_start_matches("0x").replace('_', "");
    let address = u64::from_str_radix(&digits, 16).expect("BISTABLE_SECTOR is an address");
    let firmware = Firmware {
        identity: 0,
        serial: |_| None,
    };
    let mut unit = Unit::attach(&selector, &chip, firmware).expect("it attaches");
    unit.stop().expect("it stops");
    let picture = |bytes: Vec<u8>| {
        let name = "the sector".into();
        Picture::new(vec![Piece {
            name,
            address,
            bytes,
        }])
        .expect("one piece")
    };
    let sectors = unit.sectors(&picture(vec![0])).expect("flash is there");
    let length = (sectors[0].range.end - sectors[0].range.start) as usize;
    assert_eq!(
        sectors[0].range.start, address,
        "BISTABLE_SECTOR is where a sector begins"
    );
    let before = picture(unit.read(address, length).expect("it can be read"));
    let pattern = picture((0..length).map(|at| (at % 251) as u8).collect());
    for wanted in [&pattern, &before] {
        let differing = unit.differing(wanted, &sectors).expect("it can be read");
        unit.program(wanted, &differing)
            .expect("it can be programmed");
        unit.read_back(wanted, &sectors)
            .expect("it reads what was programmed");
        assert_eq!(unit.differing(wanted, &sectors), Ok(Vec::new()));
    }
    unit.start().expect("it starts");
}
