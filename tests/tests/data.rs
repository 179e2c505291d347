//! Migrating the application's data so that a cut at any moment loses nothing: the pattern, and its proof.
//!
//! ```text
//!   schema 1 counts       half 1: data as 1     half 0: whatever
//!   write the copy        half 1: data as 1     half 0: torn, or data as 2
//!   read it back          half 1: data as 1     half 0: data as 2
//!   migrated(2)           half 1: whatever      half 0: data as 2        schema 2 counts
//! ```
//!
//! The partition has two halves, and a schema's number says which one it lies in. Only the journal says which
//! schema counts, so one snapshot changes format and place at once. What is whole but does not count is a copy
//! that nobody vouches for: it is made again, from the erase on.

use bistable_core::choose::Role;
use bistable_core::digest::Digest;
use bistable_core::handover::JournalHealth;
use bistable_core::layout::Slot;
use bistable_core::manifest::Fields;
use bistable_core::refusal::Refusal;
use bistable_core::reset::ResetReason;
use bistable_core::state::{Origin, Reason, SlotState};
use bistable_tests::device::{Cut, Device, DeviceUpdater, Fickle, install};
use bistable_tests::fixtures::{CRASH_LOOP, fields, image_of, product, program};
use bistable_tests::flash::{Extent, Fault};
use bistable_tests::images::Built;
use embedded_storage::nor_flash::{NorFlash, ReadNorFlash};

// ---- The pattern ----

/// Where the application keeps its readings: two halves of two sectors.
type DataFlash = Fickle<8, 1024>;

const HALF: u32 = 2048;

/// Why a migration stopped. The application goes on with what counts, and tries again later.
#[derive(PartialEq, Eq, Debug)]
enum Stopped {
    /// What counts is not whole.
    NothingToMigrate,
    /// The flash failed, or the power went.
    Flash,
    /// The copy does not read as it was written.
    ReadBack,
    /// The journal does not take it.
    Refused(Refusal),
}

type Migration = fn(&mut TestUpdater<'_>, &mut DataFlash, u16) -> Result<(), Stopped>;

/// Brings the data from the schema that counts to the next one, or to the one before. To be called again after
/// any stop.
fn migrate(updater: &mut TestUpdater<'_>, data: &mut DataFlash, to: u16) -> Result<(), Stopped> {
    let from = updater.device().schema;
    if from == to {
        return Ok(());
    }
    assert_eq!(from.abs_diff(to), 1, "step by step: the halves take turns");
    let readings = read(data, from).ok_or(Stopped::NothingToMigrate)?;
    write(data, to, &readings)?;
    if read(data, to) != Some(readings) {
        return Err(Stopped::ReadBack);
    }
    updater.migrated(to).map_err(Stopped::Refused)
}

/// Where data of this schema lie.
fn place(schema: u16) -> u32 {
    u32::from(schema % 2) * HALF
}

/// Erases the schema's half, whatever it reads as, and writes the readings there.
fn write(data: &mut DataFlash, schema: u16, readings: &[u32]) -> Result<(), Stopped> {
    let start = place(schema);
    data.erase(start, start + HALF)
        .map_err(|_| Stopped::Flash)?;
    for (at, piece) in (start..)
        .step_by(256)
        .zip(encode(schema, readings).chunks(256))
    {
        data.write(at, piece).map_err(|_| Stopped::Flash)?;
    }
    Ok(())
}

/// The readings in this schema, if they are whole.
fn read(data: &mut DataFlash, schema: u16) -> Option<Vec<u32>> {
    let mut half = [0; HALF as usize];
    data.read(place(schema), &mut half).ok()?;
    decode(schema, &half)
}

/// Digest, schema, count, readings: as 16 bits in schema 1, as 32 bits and tenths from 2 on, and the newest
/// first from 3 on.
fn encode(schema: u16, readings: &[u32]) -> Vec<u8> {
    let mut bytes = [schema.to_le_bytes(), (readings.len() as u16).to_le_bytes()].concat();
    let in_order: Vec<u32> = match schema {
        0..3 => readings.to_vec(),
        _ => readings.iter().rev().copied().collect(),
    };
    for reading in in_order {
        match schema {
            0..2 => bytes.extend((reading as u16).to_le_bytes()),
            _ => bytes.extend((reading * 10).to_le_bytes()),
        }
    }
    bytes.splice(0..0, Digest::of(&bytes).0);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn decode(schema: u16, half: &[u8]) -> Option<Vec<u32>> {
    let width = if schema < 2 { 2 } else { 4 };
    let (digest, said) = half.split_at(Digest::LEN);
    let count = usize::from(u16::from_le_bytes([said[2], said[3]]));
    let said = said.get(..4 + count * width)?;
    if said[..2] != schema.to_le_bytes() || Digest::of(said).0 != digest {
        return None;
    }
    let readings = said[4..].chunks(width).map(|bytes| match bytes {
        [a, b] => u32::from(u16::from_le_bytes([*a, *b])),
        [a, b, c, d] => u32::from_le_bytes([*a, *b, *c, *d]) / 10,
        _ => unreachable!("two or four"),
    });
    let mut readings: Vec<u32> = readings.collect();
    if schema > 2 {
        readings.reverse();
    }
    Some(readings)
}

/// Where the journal was lost, nobody knows the schema, and the device has guessed: the data themselves say it.
/// If both halves are whole, the newer schema is the copy that was just made, or what counted: the application
/// changes no data between the copy and its record.
fn find_out(updater: &mut TestUpdater<'_>, data: &mut DataFlash) -> Result<(), Refusal> {
    let (oldest, newest) = READS;
    match (oldest..=newest)
        .rev()
        .find(|schema| read(data, *schema).is_some())
    {
        Some(schema) => updater.migrated(schema),
        None => Ok(()), // there are none
    }
}

// ---- Devices ----

type Board = Device<8, 1024>;
type TestUpdater<'d> = DeviceUpdater<'d, 8, 1024>;

/// The schemas that the running image can read.
const READS: (u16, u16) = (1, 3);

const RUNNING: u32 = 10;

fn image(sequence: u32, schemas: (u16, u16)) -> Built {
    let fields = Fields {
        schemas,
        ..fields(sequence)
    };
    Built::new(fields, program(sequence.into(), 3000), &[0])
}

fn readings() -> Vec<u32> {
    (0..300).map(|number| number * 7 % 1000).collect()
}

/// A device with data in this schema; the other half holds something older.
fn device_with(schema: u16) -> (Board, DataFlash) {
    let mut device = Board::new(product().layout, Slot::A, &image(RUNNING, READS));
    device.change_state(|state| state.schema = schema);
    let mut data = DataFlash::new(4);
    write(&mut data, schema + 1, &[1, 2, 3]).unwrap();
    write(&mut data, schema, &readings()).unwrap();
    (device, data)
}

fn power_on(device: &mut Board, data: &mut DataFlash) {
    data.power_on();
    device.power_on();
}

/// What the data are, by what the journal says.
fn what_counts(device: &Board, data: &mut DataFlash) -> Option<Vec<u32>> {
    read(data, device.state().schema)
}

// ---- A cut at any moment ----

const CUTS: [Cut; 9] = [
    Cut::Plain(Extent::Nothing),
    Cut::Plain(Extent::Everything),
    Cut::Plain(Extent::FirstHalf),
    Cut::Plain(Extent::SecondHalf),
    Cut::Plain(Extent::EveryOther),
    Cut::Plain(Extent::AllTorn),
    Cut::Plain(Extent::Seeded(1)),
    Cut::Plain(Extent::Seeded(2)),
    Cut::Fickle,
];

/// When the power goes: before this operation of the data's flash, or of the journal's.
fn moments(operations: [u64; 2]) -> impl Iterator<Item = (usize, u64, Cut)> + Clone {
    (0..2).flat_map(move |flash| {
        (0..operations[flash]).flat_map(move |operation| {
            let cuts = CUTS.into_iter();
            cuts.filter(move |cut| flash == 0 || *cut != Cut::Fickle)
                .map(move |cut| (flash, operation, cut))
        })
    })
}

fn plan(device: &mut Board, data: &mut DataFlash, (flash, operation, cut): (usize, u64, Cut)) {
    match cut {
        _ if flash == 0 => data.cut(operation, cut),
        Cut::Plain(extent) => device.journal.plan(operation, Fault::Cut(extent)),
        Cut::Fickle => unreachable!("of the data's flash only"),
    }
}

/// Cuts this migration at every moment, and the next try at every moment too; how often the data were not
/// whole then, or at one of the next times that the device was switched on. How many rows of cuts there were.
fn losses(migration: Migration, from: u16, to: u16) -> (u32, u32) {
    let (peaceful, data) = device_with(from);
    let operations = {
        let (mut device, mut data) = (peaceful.clone(), data.clone());
        let before = [data.flash.counts.operations, device.operations()[0]];
        migration(&mut device.updater(), &mut data, to).unwrap();
        assert_eq!(what_counts(&device, &mut data), Some(readings()));
        let after = [data.flash.counts.operations, device.operations()[0]];
        [after[0] - before[0], after[1] - before[1]]
    };
    let is_lost = |device: &Board, data: &mut DataFlash| {
        let schema = device.state().schema;
        assert!(schema == from || schema == to);
        what_counts(device, data) != Some(readings())
    };
    let (mut lost, mut rows) = (0, 0);
    for first in moments(operations) {
        let (mut device, mut data) = (peaceful.clone(), data.clone());
        data.seed(rows.into());
        device.journal.seed(rows.into());
        plan(&mut device, &mut data, first);
        migration(&mut device.updater(), &mut data, to).unwrap_err();
        power_on(&mut device, &mut data);
        if is_lost(&device, &mut data) {
            lost += 1;
            continue;
        }
        for second in moments(operations) {
            let (mut device, mut data) = (device.clone(), data.clone());
            rows += 1;
            plan(&mut device, &mut data, second);
            // There may be nothing to do any more, and so nothing to cut.
            let _ = migration(&mut device.updater(), &mut data, to);
            power_on(&mut device, &mut data);
            let mut is_whole = !is_lost(&device, &mut data);
            if is_whole {
                migration(&mut device.updater(), &mut data, to).unwrap();
                assert_eq!(device.state().schema, to);
            }
            for _ in 0..3 {
                is_whole &= !is_lost(&device, &mut data);
                power_on(&mut device, &mut data);
            }
            lost += u32::from(!is_whole);
        }
    }
    (lost, rows)
}

#[test]
fn data_are_whole_by_what_the_schema_says_whenever_the_power_goes() {
    // The second migration reuses the half that the first one left; the third goes back.
    for (from, to) in [(1, 2), (2, 3), (2, 1)] {
        let (lost, rows) = losses(migrate, from, to);
        println!("data: {rows} rows of two cuts from schema {from} to {to}");
        assert!(rows > 5000);
        assert_eq!(lost, 0, "from {from} to {to}");
    }
}

#[test]
fn a_migration_that_records_first_erases_first_or_trusts_what_is_there_loses_data() {
    fn records_first(
        updater: &mut TestUpdater<'_>,
        data: &mut DataFlash,
        to: u16,
    ) -> Result<(), Stopped> {
        let from = updater.device().schema;
        let readings = read(data, from).ok_or(Stopped::NothingToMigrate)?;
        updater.migrated(to).map_err(Stopped::Refused)?;
        write(data, to, &readings)
    }
    fn erases_first(
        updater: &mut TestUpdater<'_>,
        data: &mut DataFlash,
        to: u16,
    ) -> Result<(), Stopped> {
        let from = updater.device().schema;
        let readings = read(data, from).ok_or(Stopped::NothingToMigrate)?;
        data.erase(place(from), place(from) + HALF)
            .map_err(|_| Stopped::Flash)?;
        write(data, to, &readings)?;
        updater.migrated(to).map_err(Stopped::Refused)
    }
    fn trusts_what_is_there(
        updater: &mut TestUpdater<'_>,
        data: &mut DataFlash,
        to: u16,
    ) -> Result<(), Stopped> {
        let from = updater.device().schema;
        let readings = read(data, from).ok_or(Stopped::NothingToMigrate)?;
        if read(data, to).as_ref() != Some(&readings) {
            write(data, to, &readings)?;
        }
        updater.migrated(to).map_err(Stopped::Refused)
    }
    let wrong: [Migration; 3] = [records_first, erases_first, trusts_what_is_there];
    for (number, migration) in wrong.into_iter().enumerate() {
        assert!(losses(migration, 1, 2).0 > 0, "{number}");
    }
}

#[test]
fn a_migration_costs_one_snapshot_and_what_is_migrated_costs_nothing() {
    let (mut device, mut data) = device_with(1);
    let before = device.operations();
    migrate(&mut device.updater(), &mut data, 2).unwrap();
    let [journal, slots] = device.operations();
    assert_eq!([journal - before[0], slots - before[1]], [6, 0]);
    let (operations, written) = (device.operations(), data.flash.counts.clone());
    for _ in 0..3 {
        let mut updater = device.updater();
        assert_eq!(migrate(&mut updater, &mut data, 2), Ok(()));
        assert_eq!(updater.migrated(2), Ok(()));
        power_on(&mut device, &mut data);
    }
    assert_eq!(
        (device.operations(), data.flash.counts.clone()),
        (operations, written)
    );
}

#[test]
fn a_copy_that_does_not_read_as_it_was_written_is_not_taken() {
    let (mut device, mut data) = device_with(1);
    let before = device.operations();
    data.flash.misread(place(2) as usize + 500, 3, 0);
    let stopped = migrate(&mut device.updater(), &mut data, 2);
    assert_eq!(stopped, Err(Stopped::ReadBack));
    assert_eq!(device.operations(), before);
    assert_eq!(what_counts(&device, &mut data), Some(readings()));
    assert_eq!(migrate(&mut device.updater(), &mut data, 2), Ok(()));
}

#[test]
fn a_journal_that_cannot_be_written_keeps_the_old_schema() {
    let (mut device, mut data) = device_with(1);
    device.journal.flip(3, 0);
    (0..3).for_each(|sector| device.journal.kill(sector));
    let stopped = migrate(&mut device.updater(), &mut data, 2);
    assert_eq!(stopped, Err(Stopped::Refused(Refusal::JournalWornOut)));
    assert_eq!(read(&mut data, 1), Some(readings()));
}

// ---- What follows for images ----

#[test]
fn an_image_that_cannot_read_the_new_schema_is_refused_before_it_is_downloaded() {
    let (mut device, mut data) = device_with(1);
    let newer = |number: u32, schemas| image(RUNNING + number, schemas);
    assert!(
        device
            .updater()
            .begin(&newer(1, (0, 1)).header, Origin::Network)
            .is_ok()
    );
    migrate(&mut device.updater(), &mut data, 2).unwrap();
    let before = device.operations();
    for (number, schemas) in [(1, (0, 1)), (2, (1, 1)), (3, (3, 9))] {
        let unable = newer(number, schemas);
        let mut updater = device.updater();
        let refused = updater.begin(&unable.header, Origin::Network).err();
        assert_eq!(refused, Some(Refusal::OtherSchema), "{schemas:?}");
    }
    assert_eq!(device.operations(), before);
    for (number, schemas) in [(4, (2, 2)), (5, (0, 2)), (6, (2, 9))] {
        install(&mut device.updater(), &newer(number, schemas)).unwrap();
    }
}

#[test]
fn a_download_that_had_begun_before_the_migration_does_not_become_a_trial() {
    let (mut device, mut data) = device_with(1);
    let unable = image(RUNNING + 1, (0, 1));
    bistable_tests::device::give(&mut device.updater(), &unable, 3).unwrap();
    migrate(&mut device.updater(), &mut data, 2).unwrap();
    let refused = install(&mut device.updater(), &unable);
    assert_eq!(refused, Err(Refusal::OtherSchema));
    assert!(matches!(
        device.state().slot(Slot::B),
        SlotState::Receiving(_)
    ));
}

#[test]
fn a_trial_that_waits_and_cannot_read_the_new_schema_is_forgotten() {
    let (mut device, mut data) = device_with(1);
    install(&mut device.updater(), &image(RUNNING + 1, (0, 1))).unwrap();
    migrate(&mut device.updater(), &mut data, 2).unwrap();
    let ready = device.restart(ResetReason::Software).expect("it boots");
    assert_eq!((ready.image.slot(), ready.role), (Slot::A, Role::Active));
    let refused = ready.handover.refused;
    assert_eq!(refused, Some((Slot::B, Refusal::OtherSchema)));
    assert_eq!(device.state().slot(Slot::B), SlotState::Empty);
}

#[test]
fn a_trial_cannot_migrate_and_can_when_it_is_confirmed() {
    let (mut device, mut data) = device_with(1);
    install(&mut device.updater(), &image(RUNNING + 1, READS)).unwrap();
    device.restart(ResetReason::Software).expect("it boots");
    assert_eq!(device.running, Slot::B);
    let before = device.operations();
    let mut updater = device.updater();
    let refused = Err(Stopped::Refused(Refusal::TrialNotFinished));
    assert_eq!(migrate(&mut updater, &mut data, 2), refused);
    assert_eq!(updater.device().schema, 1);
    assert_eq!(updater.platform().0.operations(), before);
    // The image that it may be reverted to finds its data as they were.
    assert_eq!(what_counts(&device, &mut data), Some(readings()));
    let mut updater = device.updater();
    updater.check("self-test", true);
    updater.source_answered();
    updater.confirm().unwrap();
    assert_eq!(migrate(&mut updater, &mut data, 2), Ok(()));
    assert_eq!(what_counts(&device, &mut data), Some(readings()));
}

#[test]
fn an_image_that_was_rejected_cannot_migrate() {
    let (mut device, mut data) = device_with(1);
    install(&mut device.updater(), &image(RUNNING + 1, READS)).unwrap();
    device.restart(ResetReason::Software).expect("it boots");
    let mut updater = device.updater();
    updater.reject(Reason::OnRequest(1)).unwrap();
    let refused = Err(Stopped::Refused(Refusal::ResetFirst));
    assert_eq!(migrate(&mut updater, &mut data, 2), refused);
    assert_eq!(what_counts(&device, &mut data), Some(readings()));
}

#[test]
fn a_schema_that_the_running_image_cannot_read_is_refused() {
    let (mut device, _) = device_with(1);
    let before = device.operations();
    let mut updater = device.updater();
    for schema in [0, 4, u16::MAX] {
        assert_eq!(updater.migrated(schema), Err(Refusal::OtherSchema));
    }
    assert_eq!(device.operations(), before);
    assert_eq!(device.state().schema, 1);
}

/// A device with an older image in B, confirmed once, that reads schema 1 only.
fn device_with_an_older_image() -> (Board, DataFlash) {
    let (mut device, data) = device_with(1);
    let older = image(RUNNING - 1, (0, 1));
    device.put(Slot::B, &older);
    let confirmed = SlotState::Confirmed(image_of(&older.manifest, Origin::Factory));
    device.change_state(|state| *state = state.with_slot(Slot::B, confirmed));
    (device, data)
}

#[test]
fn the_image_before_is_not_booted_any_more_if_it_cannot_read_the_new_schema() {
    let breaks = |device: &mut Board| {
        let payload = device.layout.payload_offset as usize;
        device.slots.flash.flip(payload + 9, 1);
        let ready = device.restart(ResetReason::PowerOn);
        ready.map(|ready| (ready.image.slot(), ready.role))
    };
    let (mut device, mut data) = device_with_an_older_image();
    assert_eq!(breaks(&mut device.clone()), Some((Slot::B, Role::Other)));
    migrate(&mut device.updater(), &mut data, 2).unwrap();
    assert_eq!(device.verify(Slot::B).err(), Some(Refusal::OtherSchema));
    assert_eq!(breaks(&mut device), None);
}

#[test]
fn neither_a_request_nor_a_crash_loop_goes_back_to_an_image_that_cannot_read_the_data() {
    let (mut device, mut data) = device_with_an_older_image();
    migrate(&mut device.updater(), &mut data, 2).unwrap();
    let (state, before) = (device.state(), device.operations());
    let refused = device.updater().reject(Reason::OnRequest(1));
    assert_eq!(refused, Err(Refusal::NoAcceptableOther));
    for _ in 0..2 * CRASH_LOOP {
        let ready = device.restart(ResetReason::Watchdog).expect("it boots");
        assert_eq!((ready.image.slot(), ready.role), (Slot::A, Role::Active));
    }
    assert_eq!((device.state(), device.operations()), (state, before));
}

// ---- A lost journal ----

#[test]
fn where_the_journal_was_lost_the_data_themselves_say_what_they_are() {
    for schema in [1, 2, 3] {
        let (mut device, _) = device_with(1);
        let mut data = DataFlash::new(4);
        write(&mut data, schema, &readings()).unwrap();
        device.journal.put(0, &[0; 3 * 2048]);
        let ready = device.restart(ResetReason::PowerOn).expect("it boots");
        assert_eq!(ready.handover.journal, JournalHealth::Rebuilt);
        let mut updater = device.updater();
        assert_eq!(updater.device().schema, READS.1, "a guess");
        find_out(&mut updater, &mut data).unwrap();
        assert_eq!(
            what_counts(&device, &mut data),
            Some(readings()),
            "{schema}"
        );
    }
}
