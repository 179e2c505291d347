//! Layouts of chips whose flash is no row of equal sectors: uneven ones, and slots in two flashes.

use std::path::Path;

use bistable_core::layout::Slot;
use bistable_layout::product::Units;
use bistable_layout::{Problem, Product};

/// An STM32F407: 4 × 16 KiB, 64 KiB, 7 × 128 KiB, each run a flash of its own. Bootloader and journal lie in the small
/// sectors, the slots in the large ones.
const STM32F4: &str = r#"
[product]
vendor = "bistable.example"
class = "stm32f407"

[flash.small]
address = 0x0800_0000
size = 0x1_0000
erase_size = 0x4000
write_size = 4

[flash.middle]
address = 0x0801_0000
size = 0x1_0000
erase_size = 0x1_0000
write_size = 4

[flash.large]
address = 0x0802_0000
size = 0xE_0000
erase_size = 0x2_0000
write_size = 4

[ram.main]
address = 0x2000_0000
size = 0x2_0000

[handover]
address = 0x2000_0000
size = 256

[bootloader]
flash = "small"
offset = 0
size = 0x8000
ram = "main"

[journal]
flash = "small"
offset = 0x8000
sectors = 2

[slots]
flash = "large"
a = 0
b = 0x6_0000
size = 0x6_0000
payload_offset = 4096
chunk_size = 4096
vector_alignment = 512
ram = "main"

[partition.identity]
flash = "middle"
offset = 0
size = 0x1_0000

[trial]
attempts = 3
seconds = 120

[health]
checks = ["self-test"]

[security]
factory_floor = 0

[keys]
ring = "ring.toml"
"#;

/// An nRF52840 with a QSPI flash: slot A in the internal flash, slot B in the other one.
const TWO_FLASHES: [(&str, &str); 6] = [
    (
        "[flash.small]\naddress = 0x0800_0000\nsize = 0x1_0000\nerase_size = 0x4000\nwrite_size = 4",
        "[flash.internal]\naddress = 0\nsize = 0x10_0000\nerase_size = 0x1000\nwrite_size = 8",
    ),
    (
        "[flash.middle]\naddress = 0x0801_0000\nsize = 0x1_0000\nerase_size = 0x1_0000\nwrite_size = 4",
        "[flash.qspi]\naddress = 0x1200_0000\nsize = 0x80_0000\nerase_size = 0x1_0000\nwrite_size = 4",
    ),
    (
        "flash = \"large\"\na = 0\nb = 0x6_0000",
        "flash = { a = \"internal\", b = \"qspi\" }\na = 0x2_0000\nb = 0",
    ),
    (
        "flash = \"middle\"\noffset = 0\n",
        "flash = \"qspi\"\noffset = 0x10_0000\n",
    ),
    (
        "flash = \"small\"\noffset = 0\n",
        "flash = \"internal\"\noffset = 0\n",
    ),
    (
        "flash = \"small\"\noffset = 0x8000\n",
        "flash = \"internal\"\noffset = 0x8000\n",
    ),
];

fn parse(text: &str) -> Result<Product, Problem> {
    Product::parse(text, Path::new("/product"))
}

fn replaced(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the layout does not say {from}");
        text.replacen(from, to, 1)
    })
}

fn two_flashes() -> String {
    replaced(STM32F4, &TWO_FLASHES)
}

fn refusal(text: &str, changes: &[(&str, &str)]) -> String {
    let refused = parse(&replaced(text, changes));
    refused.expect_err("it must be refused").to_string()
}

#[test]
fn uneven_sectors_are_runs_of_equal_ones_and_journal_and_slots_lie_in_different_runs() {
    let product = parse(STM32F4).unwrap();
    let layout = &product.layout;
    assert_eq!(
        (layout.journal.offset, layout.journal.sector_size),
        (0x8000, 0x4000)
    );
    let addresses = layout.slots.map(|slot| slot.address);
    assert_eq!(addresses, [0x0802_0000, 0x0808_0000]);
    let units = Units {
        erase_size: 0x2_0000,
        write_size: 4,
    };
    assert_eq!(product.slot_units, units);
    assert_eq!(product.only_slot_flash().unwrap(), "large");
}

#[test]
fn a_region_that_crosses_from_one_run_into_the_next_is_refused_with_both_and_the_remedy() {
    let message = refusal(
        STM32F4,
        &[(
            "offset = 0x8000\nsectors = 2",
            "offset = 0x8000\nsectors = 4",
        )],
    );
    assert_eq!(
        message,
        "the journal (small 0x8000..0x18000) begins on flash `small`, with erase sectors of 0x4000 bytes, and would end \
         on `middle`, with sectors of 0x10000; expected one run of equal sectors: move or shrink the journal, or \
         describe both as one flash with sectors of 0x10000, where the driver erases whole ranges \
         (`bistable_port::flash::Coarse` makes it)"
    );
    let slots = (
        "flash = \"large\"\na = 0\nb = 0x6_0000",
        "flash = \"middle\"\na = 0\nb = 0x6_0000",
    );
    let message = refusal(
        STM32F4,
        &[
            slots,
            (
                "flash = \"middle\"\noffset = 0",
                "flash = \"small\"\noffset = 0",
            ),
        ],
    );
    assert!(
        message.starts_with("slot A (middle 0x0..0x60000) begins on flash `middle`, with erase sectors of 0x10000 bytes, and would end on `large`"),
        "{message}"
    );
}

#[test]
fn a_region_that_reaches_the_seam_and_not_beyond_is_accepted() {
    let to_the_end = ("size = 0x6_0000\npayload", "size = 0x4_0000\npayload");
    let moved = ("b = 0x6_0000", "b = 0xA_0000");
    parse(&replaced(STM32F4, &[to_the_end, moved])).unwrap();
    // The last run: behind it is nothing.
    let message = refusal(STM32F4, &[("b = 0x6_0000", "b = 0xA_0000")]);
    assert!(message.contains("lies outside flash `large`"), "{message}");
}

#[test]
fn uneven_sectors_may_be_one_flash_of_the_largest_sector() {
    let coarse = replaced(
        STM32F4,
        &[
            (
                "[flash.large]\naddress = 0x0802_0000\nsize = 0xE_0000",
                "[flash.large]\naddress = 0x0800_0000\nsize = 0x10_0000",
            ),
            (
                "[flash.small]\naddress = 0x0800_0000",
                "[flash.small]\naddress = 0x1000_0000",
            ),
            (
                "[flash.middle]\naddress = 0x0801_0000",
                "[flash.middle]\naddress = 0x1001_0000",
            ),
            (
                "flash = \"large\"\na = 0\nb = 0x6_0000\nsize = 0x6_0000",
                "flash = \"large\"\na = 0x4_0000\nb = 0xA_0000\nsize = 0x6_0000",
            ),
        ],
    );
    assert_eq!(parse(&coarse).unwrap().layout.slots[0].address, 0x0804_0000);
}

#[test]
fn slots_in_two_flashes_have_the_larger_units_of_both() {
    let product = parse(&two_flashes()).unwrap();
    let addresses = product.layout.slots.map(|slot| (slot.offset, slot.address));
    assert_eq!(addresses, [(0x2_0000, 0x2_0000), (0, 0x1200_0000)]);
    let units = Units {
        erase_size: 0x1_0000,
        write_size: 8,
    };
    assert_eq!(product.slot_units, units);
    let names = Slot::BOTH.map(|slot| product.slot_flash(slot).as_str());
    assert_eq!(
        (names, product.only_slot_flash()),
        (["internal", "qspi"], None)
    );
    let map = product.regions();
    let map: Vec<_> = map.iter().map(ToString::to_string).collect();
    assert!(
        map.contains(&"slot A (internal 0x20000..0x80000)".into()),
        "{map:?}"
    );
    assert!(
        map.contains(&"slot B (qspi 0x0..0x60000)".into()),
        "{map:?}"
    );
    // Each application is linked for its own flash.
    let memory = Slot::BOTH.map(|slot| product.application_memory(slot).flash);
    assert_eq!(memory, [0x2_1000..0x8_0000, 0x1200_1000..0x1206_0000]);
}

#[test]
fn the_same_flash_named_twice_is_one_and_the_digest_stays() {
    let twice = replaced(
        STM32F4,
        &[(
            "flash = \"large\"\na",
            "flash = { a = \"large\", b = \"large\" }\na",
        )],
    );
    assert_eq!(parse(&twice).unwrap(), parse(STM32F4).unwrap());
}

#[test]
fn the_digest_says_the_units_of_both_flashes() {
    let digest = |changes: &[(&str, &str)]| {
        let product = parse(&replaced(&two_flashes(), changes)).unwrap();
        product.layout.digest
    };
    let whole = digest(&[]);
    // The smaller erase size is not what images depend on, the larger one is.
    let smaller = (
        "size = 0x10_0000\nerase_size = 0x1000",
        "size = 0x10_0000\nerase_size = 0x2000",
    );
    assert_eq!(digest(&[smaller]), whole);
    let larger = (
        "size = 0x10_0000\nerase_size = 0x1000",
        "size = 0x10_0000\nerase_size = 0x2_0000",
    );
    let journal = [
        ("offset = 0\nsize = 0x8000", "offset = 0\nsize = 0x2_0000"),
        (
            "flash = \"internal\"\noffset = 0x8000\n",
            "flash = \"internal\"\noffset = 0x8_0000\n",
        ),
    ];
    assert_ne!(digest(&[[larger].as_slice(), &journal].concat()), whole);
}

#[test]
fn slots_that_the_larger_sectors_do_not_divide_are_refused() {
    let message = refusal(&two_flashes(), &[("a = 0x2_0000", "a = 0x1_8000")]);
    assert_eq!(
        message,
        "slots.a: found 0x18000, expected a multiple of 0x10000, the erase size of `qspi`: both slots are erased by \
         the larger sectors"
    );
}

#[test]
fn slot_b_in_the_flash_below_is_refused() {
    let swapped = (
        "flash = { a = \"internal\", b = \"qspi\" }\na = 0x2_0000\nb = 0",
        "flash = { a = \"qspi\", b = \"internal\" }\na = 0\nb = 0x2_0000",
    );
    assert_eq!(
        refusal(&two_flashes(), &[swapped]),
        "slots.flash: found slot A at 0x12000000, above slot B at 0x20000, expected slot A at the lower address: call \
         the other one A"
    );
}

#[test]
fn a_payload_that_one_of_the_flashes_cannot_take_is_refused() {
    let aligned = ("vector_alignment = 512", "vector_alignment = 2048");
    let odd = ("address = 0x1200_0000", "address = 0x1200_0400");
    let message = refusal(&two_flashes(), &[aligned, odd]);
    assert!(
        message.starts_with("slot B's vector table: found address 0x12001400"),
        "{message}"
    );
}

#[test]
fn a_flash_of_a_slot_that_is_not_defined_is_refused_with_its_field() {
    let unknown = ("b = \"qspi\" }", "b = \"ospi\" }");
    assert_eq!(
        refusal(&two_flashes(), &[unknown]),
        "slots.flash.b: found `ospi`, expected one of: internal, large, qspi"
    );
    let message = refusal(&two_flashes(), &[("b = \"qspi\" }", "c = \"qspi\" }")]);
    assert!(
        message.contains("unknown field `c`, expected `a` or `b`"),
        "{message}"
    );
    let message = refusal(STM32F4, &[("flash = \"large\"", "flash = 7")]);
    assert!(
        message.contains("expected a flash, or `{ a = \"…\", b = \"…\" }`"),
        "{message}"
    );
}
