//! All that a device checks before it installs an image and before it boots it, by the device's own
//! functions: also what comes behind the first failure, as far as it can still be judged.
//!
//! The device asks for many things in one call and stops at the first that fails. To judge one alone,
//! the same call is made with everything else set so that it cannot object; and where signatures fail, a
//! key that is made for this vouches for the manifest, so that the rest can be looked at.

use bistable_core::admit::Terms;
use bistable_core::digest::Digest;
use bistable_core::header::{self, Authentic, Header, Signature, authenticate_for_install};
use bistable_core::keys::{Key, KeyId, KeyRing, Revoked, Roles};
use bistable_core::layout::{HEADER_LEN, Layout, Slot};
use bistable_core::manifest::{Manifest, SIGNING_DOMAIN};
use bistable_core::refusal::Refusal;
use bistable_core::state::{Image, Origin, SlotState, Snapshot};
use bistable_core::transition::{Event, transition};
use bistable_core::verify::{Rules, verify, verify_payload};
use bistable_layout::product::Architecture;
use ed25519_compact::{KeyPair, Seed};

use crate::facts::Facts;
use crate::image::concern::Concern;
use crate::image::file::{Defect, ImageFile, Wrong};
use crate::image::rules::{
    BEHIND_THE_HEADER, HEADER, JOURNAL, PARTS, SIGNATURES, SLOT, STATE, UNITS,
};
use crate::image::signers::Signers;
use crate::image::taker::Taker;
use crate::memory_flash::{ERASED, MemoryFlash, NoWatchdog};

/// A check, and how it went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged {
    /// What was checked, in a word or two.
    pub check: &'static str,
    /// The rule of the design.
    pub rule: &'static str,
    /// What the image has.
    pub found: String,
    /// What the device asks for.
    pub expected: String,
    /// How it went.
    pub verdict: Verdict,
}

/// How a check went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Well.
    Passed,
    /// Badly.
    Failed(Defect),
    /// It could not be made.
    NotJudged(&'static str),
}

/// All checks in the device's order, and the image if the file is one.
#[must_use]
pub fn judge(bytes: &[u8], facts: &Facts, taker: &Taker) -> (Vec<Judged>, Option<ImageFile>) {
    let mut judge = Judge {
        facts,
        taker,
        judged: Vec::new(),
    };
    let image = judge.all(bytes);
    (judge.judged, image)
}

struct Judge<'j> {
    facts: &'j Facts,
    taker: &'j Taker,
    judged: Vec<Judged>,
}

impl Judge<'_> {
    fn all(&mut self, bytes: &[u8]) -> Option<ImageFile> {
        if self.taker.worn_out {
            let verdict = refused("the device's journal", Err(Refusal::JournalWornOut));
            let (found, expected) = ("one that is worn out", "one that takes a state");
            self.add("journal", JOURNAL, found, expected, verdict);
        }
        let Some(header) = self.header(bytes) else {
            for (check, rule) in BEHIND_THE_HEADER {
                let verdict = Verdict::NotJudged("there is no header");
                self.add(check, rule, "", "", verdict);
            }
            return None;
        };
        self.signatures(&header);
        self.terms(header.manifest());
        self.units(header.manifest());
        self.state(header.manifest());
        let image = self.parts(bytes, header.manifest());
        for slot in Slot::BOTH {
            self.slot(image.as_ref(), slot);
        }
        image
    }

    fn add(
        &mut self,
        check: &'static str,
        rule: &'static str,
        found: impl Into<String>,
        expected: impl Into<String>,
        verdict: Verdict,
    ) {
        self.judged.push(Judged {
            check,
            rule,
            found: found.into(),
            expected: expected.into(),
            verdict,
        });
    }

    fn header<'b>(&mut self, bytes: &'b [u8]) -> Option<Header<'b>> {
        let expected = "a header of 1024 bytes as the format has it";
        let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
            let defect = Defect {
                part: "header".into(),
                offset: 0,
                wrong: Wrong::Truncated(HEADER_LEN - bytes.len()),
            };
            let found = format!("{} bytes", bytes.len());
            self.add("header", HEADER, found, expected, Verdict::Failed(defect));
            return None;
        };
        let header = Header::new_checked(header);
        let found = match &header {
            Ok(header) => format!("image {}", header.manifest().digest()),
            Err(refusal) => refusal.text().into(),
        };
        let verdict = refused("header", header.map(drop));
        self.add("header", HEADER, found, expected, verdict);
        header.ok()
    }

    fn signatures(&mut self, header: &Header<'_>) {
        let ring = self.facts.key_ring();
        let authentic = authenticate_for_install(*header, &ring, self.taker.snapshot.revoked);
        let signers = Signers::of(header, self.facts);
        let root = match signers.root {
            (_, 0) => String::new(),
            (_, root) => format!(", root {root}, because it revokes keys"),
        };
        let expected = format!("release {}{root}", ring.release_threshold);
        let verdict = refused("header", authentic.map(drop));
        self.add(
            "signatures",
            SIGNATURES,
            signers.to_string(),
            expected,
            verdict,
        );
    }

    /// What [`Terms::installable`] asks for, one by one.
    fn terms(&mut self, manifest: &Manifest) {
        let vouched = vouch(manifest);
        let key = [voucher().1];
        let ring = KeyRing {
            keys: &key,
            release_threshold: 1,
            root_threshold: 1,
        };
        let authentic = vouched
            .as_ref()
            .and_then(|bytes| Header::new_checked(bytes).ok())
            .and_then(|header| header.authenticate(&ring, Revoked::default()).ok());
        for concern in Concern::ALL {
            let (check, rule, refusal) = concern.facts();
            let (found, expected) = concern.words(manifest, self.facts, self.taker);
            let confirmed = matches!(
                self.taker.snapshot.slot(self.taker.running),
                SlotState::Confirmed(_)
            );
            let verdict = match &authentic {
                None => Verdict::NotJudged("nobody could vouch for the manifest"),
                Some(_) if concern.is_of_the_running_one() && !confirmed => {
                    Verdict::NotJudged("the image that runs is not confirmed")
                }
                Some(image) => {
                    let answer = self.alone(concern, image);
                    // Whatever else may object is another concern.
                    let objects = answer == Err(refusal);
                    refused("header", if objects { answer } else { Ok(()) })
                }
            };
            self.add(check, rule, found, expected, verdict);
        }
    }

    /// Asks the device's function about one concern.
    fn alone(&self, concern: Concern, image: &Authentic<'_>) -> Result<(), Refusal> {
        let manifest = image.manifest();
        let real = &self.facts.product.layout;
        let taker = self.taker;
        // All that this manifest can ask for.
        let mut layout = Layout {
            vendor_id: manifest.vendor_id(),
            class_id: manifest.class_id(),
            digest: manifest.layout(),
            slot_size: u32::MAX,
            payload_offset: 0,
            chunk_size: u32::MAX,
            ..*real
        };
        let mut bootloader = manifest.oldest_bootloader();
        let mut floor = 0;
        let mut schema = None;
        let nobody = Image {
            digest: Digest::NONE,
            sequence: 0,
            origin: Origin::Found,
        };
        let mut snapshot = Snapshot::with_confirmed(taker.running, nobody, 0);
        let present = taker.snapshot.slot(taker.running).image();
        let running = |image: Image| SlotState::Confirmed(image);
        match concern {
            Concern::Vendor => layout.vendor_id = real.vendor_id,
            Concern::Class => layout.class_id = real.class_id,
            Concern::Layout => layout.digest = real.digest,
            Concern::Size => {
                layout.slot_size = real.slot_size;
                layout.payload_offset = real.payload_offset;
            }
            Concern::Bootloader => bootloader = taker.bootloader,
            Concern::Floor => floor = taker.snapshot.floor.max(real.factory_floor),
            Concern::Schema => schema = Some(taker.snapshot.schema),
            Concern::ChunkSize => {
                layout.chunk_size = real.chunk_size;
                layout.payload_offset = real.payload_offset;
            }
            Concern::Another => {
                let image = present.map(|image| Image {
                    sequence: 0,
                    ..image
                });
                snapshot = snapshot.with_slot(taker.running, running(image.unwrap_or(nobody)));
            }
            Concern::Rejected => snapshot.rejected = taker.snapshot.rejected,
            Concern::Newer => {
                let image = present.map(|image| Image {
                    digest: Digest::NONE,
                    ..image
                });
                snapshot = snapshot.with_slot(taker.running, running(image.unwrap_or(nobody)));
            }
            Concern::Forgotten => snapshot.forgotten = taker.snapshot.forgotten,
        }
        let terms = Terms {
            layout: &layout,
            bootloader,
            floor,
            schema,
        };
        terms.installable(image, &snapshot, taker.running)
    }

    /// The updater asks for this itself: its flash type knows the write unit.
    fn units(&mut self, manifest: &Manifest) {
        let unit = self.facts.product.slot_units.write_size;
        let whole = manifest.payload_len().is_multiple_of(unit);
        let answer = whole.then_some(()).ok_or(Refusal::UnalignedLength);
        self.add(
            "units",
            UNITS,
            format!("{} bytes of payload", manifest.payload_len()),
            format!("a multiple of {unit}"),
            refused("header", answer),
        );
    }

    /// Whether anything may be installed in the state that the device is in.
    fn state(&mut self, manifest: &Manifest) {
        let taker = self.taker;
        let event = Event::Receive {
            running: taker.running,
            image: Image {
                digest: manifest.digest(),
                sequence: manifest.sequence(),
                origin: Origin::Network,
            },
            live: false,
        };
        let [a, b] = taker.snapshot.slots.map(|slot| match slot {
            SlotState::Empty => "empty",
            SlotState::Receiving(_) => "receiving",
            SlotState::Trial(..) => "on trial",
            SlotState::Confirmed(_) => "confirmed",
            SlotState::Rejected(..) => "rejected",
        });
        let found = format!("{:?} runs; A {a}, B {b}", taker.running);
        let answer = transition(&taker.snapshot, event).map(drop);
        let verdict = refused("the device's state", answer);
        let expected = "a confirmed image runs, and nothing newer waits beside it";
        self.add("state", STATE, found, expected, verdict);
    }

    fn parts(&mut self, bytes: &[u8], manifest: &Manifest) -> Option<ImageFile> {
        let (image, defects) = ImageFile::survey(bytes);
        let mut parts = Vec::new();
        for (check, rule) in PARTS {
            let mut own = defects.iter().filter(|defect| part_of(defect) == check);
            let first = own.next();
            let more = own.count();
            let (found, expected) = match (check, &image) {
                ("pages", Some(image)) => {
                    let (count, len) = (image.pages().len(), image.pages_len());
                    (
                        format!("{count} of together {len} bytes"),
                        "the digests that manifest and pages name".into(),
                    )
                }
                ("chunks", Some(image)) => (
                    format!(
                        "{} in both slots, {} fix-ups",
                        manifest.chunks(),
                        image.fixups()
                    ),
                    "the digests that the pages name".into(),
                ),
                ("length", Some(_)) => (
                    format!("{} bytes", bytes.len()),
                    "nothing behind the last chunk".into(),
                ),
                _ => (
                    format!("{} bytes", bytes.len()),
                    format!("a whole image of {} chunks", manifest.chunks()),
                ),
            };
            let verdict = match first {
                Some(defect) => Verdict::Failed(defect.clone()),
                None if image.is_none() => Verdict::NotJudged("the file cannot be read to its end"),
                None => Verdict::Passed,
            };
            let found = match (&verdict, more) {
                (Verdict::Failed(defect), 0) => defect.to_string(),
                (Verdict::Failed(defect), more) => format!("{defect}, and {more} more"),
                _ => found,
            };
            let offset = first.map_or(0, |defect| defect.offset);
            parts.push((offset, check, rule, found, expected, verdict));
        }
        // The device meets them in the order of the file.
        parts.sort_by_key(|(offset, ..)| *offset);
        for (_, check, rule, found, expected, verdict) in parts {
            self.add(check, rule, found, expected, verdict);
        }
        image
    }

    /// Puts the image into a slot of an otherwise erased flash and verifies it there as at each boot.
    fn slot(&mut self, image: Option<&ImageFile>, slot: Slot) {
        let check = match slot {
            Slot::A => "slot A",
            Slot::B => "slot B",
        };
        let Some(image) = image else {
            let verdict = Verdict::NotJudged("the file cannot be read to its end");
            self.add(check, SLOT, "", "", verdict);
            return;
        };
        let manifest = image.manifest();
        let place = format!("the image in slot {slot:?}");
        let failed_before = |refusal| {
            let mut before = self.judged.iter();
            before.any(|it| {
                matches!(&it.verdict, Verdict::Failed(defect) if defect.wrong == Wrong::Refused(refusal))
            })
        };
        let answer = match self.boots(image, slot) {
            // Said already: what about the rest?
            Err(refusal) if failed_before(refusal) => self.starts(image, slot),
            answer => answer,
        };
        let start = match self.facts.product.architecture {
            Architecture::CortexM => "vector table",
            Architecture::Riscv32 => "first instruction",
        };
        let found = match &answer {
            Ok(()) => format!("boots: payload {} and its {start}", manifest.payload(slot)),
            Err(refusal) => refusal.text().into(),
        };
        let expected = format!(
            "payload {:.4}, a {start} for {:#x}",
            manifest.payload(slot),
            self.facts.product.layout.payload_address(slot)
        );
        let verdict = match answer {
            Ok(()) => Verdict::Passed,
            Err(refusal) => Verdict::Failed(Defect::refused(place, HEADER_LEN, refusal)),
        };
        self.add(check, SLOT, found, expected, verdict);
    }

    fn boots(&self, image: &ImageFile, slot: Slot) -> Result<(), Refusal> {
        let layout = &self.facts.product.layout;
        let mut bytes = installed(image, layout, slot)?;
        let ring = self.facts.key_ring();
        let snapshot = &self.taker.snapshot;
        let terms = Terms::of_the_factory(layout, self.taker.bootloader, 0).with(snapshot);
        let rules = Rules {
            ring: &ring,
            revoked: snapshot.revoked,
            terms,
            entry: self.facts.entry(),
        };
        let mut flash = MemoryFlash::<1>::new(&mut bytes, 1);
        let expected = Some(image.manifest().digest());
        verify(&mut flash, slot, expected, &rules, &mut NoWatchdog).map(drop)
    }

    /// Only what the processor starts with, and the payload.
    fn starts(&self, image: &ImageFile, slot: Slot) -> Result<(), Refusal> {
        let layout = &self.facts.product.layout;
        let mut bytes = installed(image, layout, slot)?;
        let mut flash = MemoryFlash::<1>::new(&mut bytes, 1);
        let payload = image.payload(slot);
        let first = payload.first_chunk().ok_or(Refusal::BadResetVector)?;
        let address = layout.payload_address(slot);
        let end = address.saturating_add(image.manifest().payload_len());
        self.facts.entry().check(*first, address..end)?;
        verify_payload(&mut flash, layout, slot, image.manifest(), &mut NoWatchdog)
    }
}

fn installed(image: &ImageFile, layout: &Layout, slot: Slot) -> Result<Vec<u8>, Refusal> {
    let ends = layout
        .slots
        .map(|slot| slot.offset.saturating_add(layout.slot_size));
    let mut bytes = vec![ERASED; ends.into_iter().max().unwrap_or_default() as usize];
    image
        .install(&mut bytes, layout, slot)
        .ok_or(Refusal::TooLarge)?;
    Ok(bytes)
}

fn refused(part: &str, answer: Result<(), Refusal>) -> Verdict {
    match answer {
        Ok(()) => Verdict::Passed,
        Err(refusal) => Verdict::Failed(Defect::refused(part, 0, refusal)),
    }
}

fn part_of(defect: &Defect) -> &'static str {
    match defect.wrong {
        Wrong::Truncated(_) | Wrong::Trailing(_) => "length",
        Wrong::Refused(Refusal::BadPage | Refusal::MalformedPage) => "pages",
        Wrong::Refused(_) => "chunks",
    }
}

/// The key that vouches for a manifest while the rest is judged: no secret, and in no ring.
fn voucher() -> (KeyPair, Key) {
    let pair = KeyPair::from_seed(Seed::new(*b"judge the rest of this manifest!"));
    let key = Key {
        id: KeyId::of(&pair.pk),
        roles: Roles {
            release: true,
            root: true,
        },
        public: *pair.pk,
    };
    (pair, key)
}

fn vouch(manifest: &Manifest) -> Option<[u8; HEADER_LEN]> {
    let (pair, key) = voucher();
    let message = [SIGNING_DOMAIN.as_slice(), manifest.as_bytes()].concat();
    let signature = Signature {
        key: key.id,
        bytes: *pair.sk.sign(message, None),
    };
    header::assemble(manifest, &mut [signature]).ok()
}
