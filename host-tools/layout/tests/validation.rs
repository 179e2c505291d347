//! Each rule of `layout.toml`, broken once.

use std::path::Path;

use bistable_layout::{Problem, Product};

const GOOD: &str = include_str!("golden/layout.toml");

fn parse(text: &str) -> Result<Product, Problem> {
    Product::parse(text, Path::new("/product"))
}

/// What the good layout is refused with when `from` is replaced in the table `table`.
fn refusal(table: &str, from: &str, to: &str) -> String {
    let head = format!("[{table}]\n");
    let (before, rest) = GOOD.split_once(&head).expect("the table is there");
    let end = rest.find("\n[").unwrap_or(rest.len());
    let (body, after) = rest.split_at(end);
    assert!(body.contains(from), "{table} does not say {from}");
    let text = format!("{before}{head}{}{after}", body.replacen(from, to, 1));
    parse(&text).expect_err("it must be refused").to_string()
}

fn assert_refused(table: &str, from: &str, to: &str, message: &str) {
    assert_eq!(refusal(table, from, to), message);
}

#[test]
fn the_good_layout_is_accepted() {
    let product = parse(GOOD).unwrap();
    assert_eq!(product.layout.journal.sector_size, 4096);
    assert_eq!(product.layout.slots[1].address, 0x210a_0000);
    assert_eq!(product.ring_path, Path::new("/product/ring.toml"));
}

#[test]
fn the_map_lists_everything_by_device_and_offset() {
    let map = parse(GOOD).unwrap().regions();
    let map: Vec<_> = map.iter().map(ToString::to_string).collect();
    assert_eq!(
        map,
        [
            "the bootloader (boot 0x0..0x10000)",
            "the journal (main 0x0..0x3000)",
            "partition `identity` (main 0x3000..0x4000)",
            "partition `data` (main 0x4000..0x6000)",
            "the ledger (main 0x6000..0xa000)",
            "slot A (main 0x20000..0xa0000)",
            "slot B (main 0xa0000..0x120000)",
        ]
    );
}

#[test]
fn ids_are_the_uuids_of_rfc_9124() {
    // From Python: uuid5(NAMESPACE_DNS, "bistable.example"), and uuid5(that, "golden").
    let layout = parse(GOOD).unwrap().layout;
    assert_eq!(
        bistable_layout::hex::encode(&layout.vendor_id),
        "1679c6deb19f50acbcd3260a21aa5dda"
    );
    assert_eq!(
        bistable_layout::hex::encode(&layout.class_id),
        "fc1a3ee72af45e128ff50d4ca2363da9"
    );
}

#[test]
fn an_unknown_architecture_is_refused_with_the_line_and_those_that_there_are() {
    assert_refused(
        "product",
        "emulated = true",
        "emulated = true\narchitecture = \"riscv64\"",
        "line 5: unknown variant `riscv64`, expected `cortex-m` or `riscv32`",
    );
}

// What overlaps.

#[test]
fn a_partition_over_a_slot_is_refused() {
    assert_refused(
        "partition.data",
        "offset = 0x4000",
        "offset = 0x1_f000",
        "partition `data` (main 0x1f000..0x21000) overlaps slot A (main 0x20000..0xa0000): \
         move one of them",
    );
}

#[test]
fn a_partition_over_the_journal_is_refused() {
    assert_refused(
        "partition.identity",
        "offset = 0x3000",
        "offset = 0x2000",
        "the journal (main 0x0..0x3000) overlaps partition `identity` (main 0x2000..0x3000): \
         move one of them",
    );
}

#[test]
fn a_journal_that_grows_into_a_partition_is_refused() {
    let message = refusal("journal", "sectors = 3", "sectors = 4");
    assert!(message.starts_with("the journal (main 0x0..0x4000) overlaps partition `identity`"));
}

#[test]
fn a_partition_over_the_bootloader_is_refused() {
    let message = refusal("partition.data", "flash = \"main\"", "flash = \"boot\"");
    assert!(message.starts_with("the bootloader (boot 0x0..0x10000) overlaps partition `data`"));
}

#[test]
fn slots_that_overlap_are_refused() {
    let message = refusal("slots", "b = 0xA_0000", "b = 0x9_0000");
    assert!(message.starts_with("slot A (main 0x20000..0xa0000) overlaps slot B (main 0x90000.."));
}

#[test]
fn flash_and_ram_at_one_address_are_refused() {
    assert_refused(
        "flash.main",
        "address = 0x2100_0000",
        "address = 0x203f_f000",
        "flash `main` (address space 0x203ff000..0x205ff000) overlaps \
         RAM `main` (address space 0x20000000..0x20400000): move one of them",
    );
}

// What lies outside.

#[test]
fn a_slot_outside_its_flash_is_refused() {
    assert_refused(
        "slots",
        "b = 0xA_0000",
        "b = 0x18_1000",
        "slot B (main 0x181000..0x201000) lies outside flash `main` (main 0x0..0x200000): \
         move or shrink slot B",
    );
}

#[test]
fn a_slot_whose_end_is_above_32_bits_is_refused() {
    let message = refusal("slots", "b = 0xA_0000", "b = 0xffff_f000");
    assert!(message.contains("lies outside flash `main`"), "{message}");
}

#[test]
fn a_bootloader_that_is_larger_than_its_flash_is_refused() {
    let message = refusal("bootloader", "size = 0x1_0000", "size = 0x1_1000");
    assert!(message.starts_with("the bootloader (boot 0x0..0x11000) lies outside flash `boot`"));
}

#[test]
fn a_flash_that_reaches_above_32_bits_is_refused() {
    let message = refusal(
        "flash.main",
        "address = 0x2100_0000",
        "address = 0xfff0_0000",
    );
    assert!(
        message.contains("lies outside the 32-bit range"),
        "{message}"
    );
}

// What is not aligned.

#[test]
fn a_partition_that_begins_within_an_erase_sector_is_refused() {
    assert_refused(
        "partition.data",
        "offset = 0x4000",
        "offset = 0x4800",
        "partition `data` (main 0x4800..0x6800) is not made of whole erase sectors of `main`: \
         begin and end at multiples of 0x1000",
    );
}

#[test]
fn a_partition_that_ends_within_an_erase_sector_is_refused() {
    let message = refusal("partition.data", "size = 0x2000", "size = 0x1800");
    assert!(
        message.contains("is not made of whole erase sectors"),
        "{message}"
    );
}

#[test]
fn an_empty_partition_is_refused() {
    let message = refusal("partition.data", "size = 0x2000", "size = 0");
    assert_eq!(
        message,
        "partition `data`: found 0 bytes, expected at least one erase sector"
    );
}

#[test]
fn a_slot_that_begins_within_an_erase_sector_is_refused() {
    let message = refusal("slots", "a = 0x2_0000", "a = 0x1_f800");
    assert!(message.contains("slot A (main 0x1f800..0x9f800) is not made of whole erase sectors"));
}

// The payload.

#[test]
fn a_payload_offset_without_room_for_the_header_is_refused() {
    let message = refusal("slots", "payload_offset = 4096", "payload_offset = 512");
    assert_eq!(
        message,
        "slots.payload_offset: found 0x200, expected room for the header, which has 1024 bytes"
    );
}

#[test]
fn a_payload_offset_that_is_not_whole_chunks_is_refused() {
    let message = refusal("slots", "payload_offset = 4096", "payload_offset = 2048");
    assert!(
        message.ends_with("a multiple of slots.chunk_size, which is 4096"),
        "{message}"
    );
}

#[test]
fn a_payload_offset_that_no_vector_table_may_have_is_refused() {
    let message = refusal("slots", "vector_alignment = 256", "vector_alignment = 8192");
    assert!(
        message.ends_with("a multiple of slots.vector_alignment, which is 8192"),
        "{message}"
    );
}

#[test]
fn a_payload_address_that_no_vector_table_may_have_is_refused() {
    // The offset is a multiple; the flash's address, and so the sum, is not.
    let message = refusal(
        "flash.main",
        "address = 0x2100_0000",
        "address = 0x2100_0080",
    );
    assert_eq!(
        message,
        "slot A's vector table: found address 0x21021080, \
         expected a multiple of slots.vector_alignment, which is 256"
    );
}

#[test]
fn the_bootloaders_code_begins_behind_its_head() {
    let text = GOOD.replace("[bootloader]", "[bootloader]\nhead = 0x100");
    let with_head = parse(&text).unwrap().bootloader_memory();
    let without = parse(GOOD).unwrap().bootloader_memory();
    assert_eq!(with_head.head.len(), 0x100);
    assert_eq!(with_head.head.start, without.flash.start);
    assert_eq!(with_head.head.end, with_head.flash.start);
    assert_eq!(with_head.flash.end, without.flash.end);
}

#[test]
fn a_head_behind_which_no_vector_table_may_lie_is_refused() {
    assert_refused(
        "bootloader",
        "size = 0x1_0000",
        "size = 0x1_0000\nhead = 0x80",
        "bootloader.head: found 0x80, expected a multiple of slots.vector_alignment, which is 256",
    );
}

#[test]
fn a_head_that_leaves_no_room_for_code_is_refused() {
    assert_refused(
        "bootloader",
        "size = 0x1_0000",
        "size = 0x1_0000\nhead = 0x1_0000",
        "bootloader.head: found 0x10000, expected less than bootloader.size, which is 0x10000",
    );
}

#[test]
fn a_payload_offset_that_leaves_no_payload_is_refused() {
    let message = refusal(
        "slots",
        "payload_offset = 4096",
        "payload_offset = 0x8_0000",
    );
    assert!(
        message.ends_with("less than slots.size, which is 0x80000"),
        "{message}"
    );
}

#[test]
fn a_chunk_size_that_images_cannot_have_is_refused() {
    for size in ["0", "512", "3072", "8192"] {
        let message = refusal(
            "slots",
            "chunk_size = 4096",
            &format!("chunk_size = {size}"),
        );
        assert_eq!(
            message,
            format!("slots.chunk_size: found {size}, expected 1024, 2048 or 4096")
        );
    }
}

#[test]
fn a_vector_alignment_that_is_no_power_of_two_is_refused() {
    let message = refusal("slots", "vector_alignment = 256", "vector_alignment = 384");
    assert!(
        message.starts_with("slots.vector_alignment: found 384"),
        "{message}"
    );
}

#[test]
fn slot_b_below_slot_a_is_refused() {
    let message = refusal("slots", "b = 0xA_0000", "b = 0x1_0000");
    assert_eq!(
        message,
        "slots.b: found 0x10000, expected an offset above slot A's, which is 0x20000"
    );
}

// The flash.

#[test]
fn a_write_size_that_is_no_power_of_two_or_above_32_is_refused() {
    for size in ["0", "3", "64"] {
        let message = refusal(
            "flash.main",
            "write_size = 4",
            &format!("write_size = {size}"),
        );
        assert_eq!(
            message,
            format!("flash.main.write_size: found {size}, expected 1, 2, 4, 8, 16 or 32")
        );
    }
}

#[test]
fn an_erase_size_that_is_no_power_of_two_is_refused() {
    for size in ["0", "3000", "2"] {
        let message = refusal(
            "flash.main",
            "erase_size = 4096",
            &format!("erase_size = {size}"),
        );
        assert!(
            message.starts_with("flash.main.erase_size: found"),
            "{message}"
        );
    }
}

#[test]
fn a_flash_that_is_not_whole_erase_sectors_is_refused() {
    for size in ["0", "0x20_0800"] {
        let message = refusal("flash.main", "size = 0x20_0000", &format!("size = {size}"));
        assert!(message.starts_with("flash.main.size: found"), "{message}");
    }
}

#[test]
fn a_name_that_is_no_module_name_is_refused() {
    for (table, name, bad) in [
        ("flash", "boot", "Boot-1"),
        ("ram", "main", "1st"),
        ("partition", "data", "user-data"),
    ] {
        let text = GOOD.replace(&format!("[{table}.{name}]"), &format!("[{table}.{bad}]"));
        let message = parse(&text).unwrap_err().to_string();
        let start = format!("[{table}.{bad}]: found `{bad}`, expected a name");
        assert!(message.starts_with(&start), "{message}");
    }
}

#[test]
fn a_flash_that_is_not_defined_is_refused_with_those_that_are() {
    for (table, was) in [
        ("slots", "main"),
        ("journal", "main"),
        ("bootloader", "boot"),
        ("partition.data", "main"),
    ] {
        let from = format!("flash = \"{was}\"");
        assert_refused(
            table,
            &from,
            "flash = \"qspi\"",
            &format!("{table}.flash: found `qspi`, expected one of: boot, main"),
        );
    }
}

#[test]
fn a_ram_region_that_is_not_defined_is_refused() {
    for table in ["slots", "bootloader"] {
        let message = refusal(table, "ram = \"main\"", "ram = \"ccm\"");
        assert_eq!(
            message,
            format!("{table}.ram: found `ccm`, expected one of: main")
        );
    }
}

// The journal.

#[test]
fn a_journal_of_one_or_nine_sectors_is_refused() {
    for sectors in [1, 9] {
        let message = refusal("journal", "sectors = 3", &format!("sectors = {sectors}"));
        assert!(
            message.starts_with(&format!(
                "journal.sectors: found {sectors}, expected 2 to 8"
            )),
            "{message}"
        );
    }
}

#[test]
fn a_journal_sector_is_as_many_erase_sectors_as_five_copies_need() {
    for (erase_size, sector_size) in [(512, 2048), (1024, 2048), (2048, 2048), (4096, 4096)] {
        let text = GOOD.replace("erase_size = 4096", &format!("erase_size = {erase_size}"));
        let layout = parse(&text).unwrap().layout;
        assert_eq!(layout.journal.sector_size, sector_size);
    }
}

// RAM and handover.

#[test]
fn a_handover_that_is_not_at_the_start_of_ram_is_refused() {
    for address in ["0x2000_0100", "0x1000_0000"] {
        let message = refusal(
            "handover",
            "address = 0x2000_0000",
            &format!("address = {address}"),
        );
        assert!(
            message.ends_with("expected the start of a RAM region: 0x20000000 (ram.main)"),
            "{message}"
        );
    }
}

#[test]
fn a_handover_that_is_too_small_or_odd_is_refused() {
    for size in [0, 64, 132] {
        let message = refusal("handover", "size = 256", &format!("size = {size}"));
        assert_eq!(
            message,
            format!("handover.size: found {size}, expected a multiple of 8, at least 128")
        );
    }
}

#[test]
fn a_handover_that_leaves_no_ram_is_refused() {
    let message = refusal("handover", "size = 256", "size = 0x40_0000");
    assert!(
        message.contains("expected less than all of ram.main"),
        "{message}"
    );
}

#[test]
fn an_empty_or_misaligned_ram_region_is_refused() {
    for (from, to) in [
        ("size = 0x40_0000", "size = 0"),
        ("address = 0x2000_0000", "address = 0x2000_0004"),
    ] {
        assert!(refusal("ram.main", from, to).starts_with("[ram.main]: found"));
    }
}

// Names and numbers.

#[test]
fn a_vendor_that_is_no_dns_name_is_refused() {
    for vendor in ["", "localhost", "Example.com", "a..b", "-a.com", "a b.com"] {
        let message = refusal("product", "bistable.example", vendor);
        assert!(message.starts_with("product.vendor: found"), "{message}");
    }
}

#[test]
fn an_empty_class_is_refused() {
    assert!(refusal("product", "\"golden\"", "\"\"").starts_with("product.class: found ``"));
}

#[test]
fn trial_attempts_outside_1_to_8_are_refused() {
    for attempts in [0, 9] {
        let message = refusal("trial", "attempts = 3", &format!("attempts = {attempts}"));
        assert_eq!(
            message,
            format!("trial.attempts: found {attempts}, expected 1 to 8")
        );
    }
}

#[test]
fn trial_seconds_outside_1_to_3600_are_refused() {
    for seconds in [0, 3601] {
        let message = refusal("trial", "seconds = 120", &format!("seconds = {seconds}"));
        assert_eq!(
            message,
            format!("trial.seconds: found {seconds}, expected 1 to 3600")
        );
    }
}

#[test]
fn a_check_that_is_there_twice_is_refused() {
    let message = refusal("health", "update-source", "self-test");
    assert_eq!(
        message,
        "health.checks: found `self-test` twice, expected each name once"
    );
}

#[test]
fn a_check_with_another_kind_of_name_is_refused() {
    let message = refusal("health", "update-source", "Update source");
    assert!(
        message.starts_with("health.checks: found `Update source`"),
        "{message}"
    );
}

#[test]
fn more_than_32_checks_are_refused() {
    let names: Vec<_> = (0..33)
        .map(|number| format!("\"check-{number}\""))
        .collect();
    let message = refusal(
        "health",
        "\"self-test\", \"update-source\"",
        &names.join(","),
    );
    assert_eq!(
        message,
        "health.checks: found 33 names, expected at most 32"
    );
}

// What it takes to stay.

/// The layout with another line in `[health.stays]`.
fn with_stays(from: &str, to: &str) -> Result<Product, Problem> {
    assert!(GOOD.contains(from), "the layout does not say {from}");
    parse(&GOOD.replacen(from, to, 1))
}

#[test]
fn what_it_takes_to_stay_has_defaults() {
    let stays = "\n[health.stays]\ntrial_soak_seconds = 20\nsoak_seconds = 600\ncrash_loop = 4\n";
    let stays = with_stays(stays, "").unwrap().stays;
    assert_eq!(stays.trial_soak_seconds, 10);
    assert_eq!(stays.soak_seconds, 3600);
    assert_eq!(stays.crash_loop, 5);
}

#[test]
fn each_default_stands_alone() {
    let stays = with_stays("soak_seconds = 600\ncrash_loop = 4\n", "").unwrap();
    assert_eq!(stays.stays.trial_soak_seconds, 20);
    assert_eq!(stays.stays.soak_seconds, 3600);
    assert_eq!(stays.stays.crash_loop, 5);
}

#[test]
fn a_trial_that_would_soak_for_longer_than_any_trial_is_refused() {
    assert_refused(
        "health.stays",
        "trial_soak_seconds = 20",
        "trial_soak_seconds = 3601",
        "health.stays.trial_soak_seconds: found 3601, expected 0 to 3600",
    );
    for seconds in [0, 3600] {
        let line = format!("trial_soak_seconds = {seconds}");
        let stays = with_stays("trial_soak_seconds = 20", &line).unwrap().stays;
        assert_eq!(stays.trial_soak_seconds, seconds);
    }
}

#[test]
fn a_soak_of_no_time_is_refused() {
    assert_refused(
        "health.stays",
        "\nsoak_seconds = 600",
        "\nsoak_seconds = 0",
        "health.stays.soak_seconds: found 0, expected 1 to 65535",
    );
    let message = refusal(
        "health.stays",
        "\nsoak_seconds = 600",
        "\nsoak_seconds = 65536",
    );
    assert!(message.contains("65536"), "{message}");
    for seconds in [1, u16::MAX] {
        let line = format!("\nsoak_seconds = {seconds}");
        let stays = with_stays("\nsoak_seconds = 600", &line).unwrap().stays;
        assert_eq!(stays.soak_seconds, seconds);
    }
}

#[test]
fn a_crash_loop_of_one_reset_or_of_very_many_is_refused() {
    for count in [1, 1001] {
        assert_refused(
            "health.stays",
            "crash_loop = 4",
            &format!("crash_loop = {count}"),
            &format!("health.stays.crash_loop: found {count}, expected 0, or 2 to 1000"),
        );
    }
    for count in [0, 2, 1000] {
        let line = format!("crash_loop = {count}");
        let stays = with_stays("crash_loop = 4", &line).unwrap().stays;
        assert_eq!(stays.crash_loop, count);
    }
}

#[test]
fn an_unknown_key_of_what_it_takes_to_stay_is_refused() {
    let message = refusal("health.stays", "crash_loop", "crash_loops");
    assert!(message.contains("unknown field `crash_loops`"), "{message}");
}

// The file's shape.

#[test]
fn an_unknown_field_is_refused_with_its_line() {
    let message = refusal("product", "class", "colour = 1\nclass");
    assert!(
        message.starts_with("line 3: unknown field `colour`"),
        "{message}"
    );
}

#[test]
fn a_missing_table_is_refused() {
    let text = GOOD.replace("[trial]\nattempts = 3\nseconds = 120\n", "");
    let message = parse(&text).unwrap_err().to_string();
    assert!(message.contains("missing field `trial`"), "{message}");
}

#[test]
fn a_number_that_does_not_fit_is_refused() {
    let message = refusal("journal", "offset = 0", "offset = -1");
    assert!(message.starts_with("line 3"), "{message}");
}
