//! Receipts: made when there is something to say, kept in the ledger, handed to the server.
//!
//! The ledger is what remembers them. What the server has of them is known of this boot alone: after a reset those that
//! are kept are sent again, which does no harm.

use bistable_core::layout::Slot;
use bistable_updater::device_key::{BLOCK_LEN, SoftwareKey};
use bistable_updater::http::{Delivery, FRAMED_LEN, Receipts, Refusal};
use bistable_updater::receipt::{Challenge, Signed};
use bistable_updater::witness::Witness;
use bistable_updater::{Platform as _, Updater};
use board::net::Network;
use defmt::{info, warn};
use embedded_storage::nor_flash::ReadNorFlash;

use crate::platform::Hardware;
use crate::server::{Failure, Server};
use crate::unit::Unit;
use crate::{CHUNK, layout};

/// As many as the ledger keeps are sent together.
const TOGETHER: usize = layout::LEDGER.sectors as usize * FRAMED_LEN;

/// What signs receipts, and what the server has of them.
pub(crate) struct Reporter {
    /// `None`: the unit has no key.
    witness: Option<Witness<SoftwareKey>>,
    /// The number of the newest one that the server has.
    delivered: u32,
    /// Whether there are others, which it was not offered yet.
    is_news: bool,
}

impl Reporter {
    /// Opens the ledger, if the unit has a key in the partition `device_key`.
    pub(crate) fn open(updater: &mut Updater<Hardware, CHUNK>, unit: &Unit) -> Self {
        let now = updater.platform().now();
        let (flash, watchdog) = updater.platform().slot_flash(Slot::A);
        let witness = key(flash).map(|key| {
            Witness::open(
                unit.serial.clone(),
                key,
                layout::LEDGER,
                now,
                flash,
                watchdog,
            )
        });
        if witness.is_none() {
            info!("no device key: this unit signs no receipts");
        }
        Self {
            is_news: witness.is_some(),
            witness,
            delivered: 0,
        }
    }

    /// Makes a receipt if one is due. It is durable when this returns.
    pub(crate) fn note(&mut self, updater: &mut Updater<Hardware, CHUNK>) {
        let (device, now) = (updater.device(), updater.platform().now());
        let Some(witness) = &mut self.witness else {
            return;
        };
        if !witness.is_due(&device, now) {
            return;
        }
        let (flash, watchdog) = updater.platform().slot_flash(Slot::A);
        match witness.receipt(&device, None, now, flash, watchdog) {
            Ok(_) => self.is_news = true,
            Err(reason) => warn!("no receipt: {}", reason),
        }
    }

    /// Hands those that the server does not have to it, and answers its challenge, once. If it cannot be reached they are
    /// tried again the next time; if it refuses them, together with the next one.
    pub(crate) fn hand_over(
        &mut self,
        updater: &mut Updater<Hardware, CHUNK>,
        network: &mut Network,
        unit: &Unit,
    ) {
        if !self.is_news {
            return;
        }
        self.is_news = false;
        let Some((receipts, newest)) = self.undelivered(updater) else {
            return;
        };
        let outcome = match post(updater, network, unit, &receipts) {
            Ok(Delivery::Challenged(challenge)) => {
                info!("the server has another chain, and asks for an answer");
                self.answer(updater, network, unit, challenge)
            }
            outcome => outcome.map(|delivery| (delivery, newest)),
        };
        match outcome {
            Ok((Delivery::Kept, newest)) => {
                info!("receipt {=u32}: kept by the server", newest);
                self.delivered = newest;
            }
            Ok((Delivery::Refused(number), newest)) => {
                let number = number.unwrap_or_default();
                warn!(
                    "receipt {=u32}: the server refuses it: B{=u16}",
                    newest, number
                );
            }
            Ok((Delivery::Challenged(_), newest)) => {
                warn!("receipt {=u32}: the server asks again", newest);
            }
            Err(Failure::Refused(refusal @ (Refusal::NotFound | Refusal::Status(400..=499)))) => {
                warn!("receipt {=u32}: the server takes none: {}", newest, refusal);
            }
            Err(failure) => {
                info!("receipt {=u32}: did not arrive: {}", newest, failure);
                self.is_news = true;
            }
        }
    }

    /// Makes a receipt that answers this, and posts it with those before it: the server begins a chain with them.
    fn answer(
        &mut self,
        updater: &mut Updater<Hardware, CHUNK>,
        network: &mut Network,
        unit: &Unit,
        challenge: Challenge,
    ) -> Result<(Delivery, u32), Failure> {
        let (device, now) = (updater.device(), updater.platform().now());
        let (flash, watchdog) = updater.platform().slot_flash(Slot::A);
        let answer = self
            .witness
            .as_mut()
            .map(|witness| witness.receipt(&device, Some(challenge), now, flash, watchdog));
        let Some(Ok(_)) = answer else {
            return Ok((Delivery::Challenged(challenge), self.delivered)); // asked too often
        };
        // What the server has is of another chain.
        self.delivered = 0;
        match self.undelivered(updater) {
            Some((receipts, newest)) => Ok((post(updater, network, unit, &receipts)?, newest)),
            None => Ok((Delivery::Challenged(challenge), 0)),
        }
    }

    /// What the ledger keeps of those that the server does not have, and the number of the newest one.
    fn undelivered(
        &self,
        updater: &mut Updater<Hardware, CHUNK>,
    ) -> Option<(Receipts<TOGETHER>, u32)> {
        let (flash, _) = updater.platform().slot_flash(Slot::A);
        let mut receipts = Receipts::new();
        let mut newest = None;
        for receipt in self.witness.as_ref()?.kept(flash) {
            if number(&receipt) > self.delivered && receipts.push(&receipt) {
                newest = Some(number(&receipt));
            }
        }
        Some((receipts, newest?))
    }
}

/// The key in the partition `device_key`.
fn key(flash: &mut impl ReadNorFlash) -> Option<SoftwareKey> {
    let mut block = [0; BLOCK_LEN];
    flash
        .read(layout::partition_device_key::OFFSET, &mut block)
        .ok()?;
    SoftwareKey::decode(&block)
}

/// The number of a receipt; what the ledger gave or the witness made is one.
fn number(receipt: &Signed) -> u32 {
    Signed::new_checked(receipt.as_bytes()).map_or(0, |(_, receipt)| receipt.number)
}

fn post(
    updater: &mut Updater<Hardware, CHUNK>,
    network: &mut Network,
    unit: &Unit,
    receipts: &Receipts<TOGETHER>,
) -> Result<Delivery, Failure> {
    let mut server = Server::new(network, unit.server, || {
        updater.feed();
    });
    server.client(|client| client.post_receipts("/receipts", receipts))
}
