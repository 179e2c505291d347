//! The golden constants as the compiler reads them.
//!
//! They are compiled here, so this fails to build when a type of the core changes: run the test
//! `golden_files` first, which says how to renew them.

use std::path::Path;

use bistable_layout::{Product, Ring};

#[allow(
    dead_code,
    unreachable_pub,
    reason = "generated: each program uses its part of it"
)]
mod generated {
    include!("golden/layout.rs");
}

#[test]
fn the_compiler_reads_the_constants_as_they_were_meant() {
    let product =
        Product::parse(include_str!("golden/layout.toml"), Path::new("/product")).unwrap();
    let ring = Ring::parse(include_str!("golden/ring.toml")).unwrap();
    assert_eq!(generated::LAYOUT, product.layout);
    assert_eq!(generated::KEY_RING.keys, ring.core_keys());
    assert_eq!(generated::KEY_RING.release_threshold, 1);
    assert_eq!(generated::KEY_RING.root_threshold, 2);
    assert_eq!(generated::RAM.to_vec(), product.ram_ranges());
    assert_eq!(generated::HANDOVER_ADDRESS, 0x2000_0000);
    assert_eq!(generated::HANDOVER_SIZE, 256);
    assert_eq!(generated::VECTOR_ALIGNMENT, 256);
    assert_eq!(generated::CHECKS.to_vec(), product.checks);
    assert_eq!(generated::TRIAL_SOAK_SECONDS, 20);
    assert_eq!(generated::SOAK_SECONDS, 600);
    assert_eq!(generated::CRASH_LOOP, 4);
    assert_eq!(generated::flash_boot::ADDRESS, 0);
    assert_eq!(generated::flash_boot::SIZE, 0x1_0000);
    assert_eq!(generated::flash_main::ADDRESS, 0x2100_0000);
    assert_eq!(generated::flash_main::ERASE_SIZE, 4096);
    assert_eq!(generated::flash_main::WRITE_SIZE, 4);
    assert_eq!(generated::CALIBRATION.to_vec(), product.calibration);
    assert_eq!(generated::LEDGER, product.ledger.as_ref().unwrap().place);
    assert_eq!(generated::LEDGER.sectors, 4);
    assert_eq!(generated::partition_identity::OFFSET, 0x3000);
    assert_eq!(generated::partition_data::SIZE, 0x2000);
}
