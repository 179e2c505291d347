//! A request from outside to go back: the updater's part of [`bistable_core::request`].

use bistable_core::refusal::Refusal;
use bistable_core::request::{Order, Request};

use crate::identity::Serial;
use crate::log::info;
use crate::platform::Platform;
use crate::updater::Updater;

impl<P: Platform, const PAGE: usize> Updater<P, PAGE> {
    /// Does what the bytes of a signed request ask of this `unit`: gives the running image up, as
    /// [`Self::reject`] does, on trial or confirmed. At the next reset the other one boots. The caller resets.
    ///
    /// Where the bytes come from does not matter. Nothing is written before everything holds, and what is
    /// cheap is asked first.
    ///
    /// A request does its work once. After the reset another image runs, so the same request is refused as
    /// [`Refusal::OtherImage`]; before it, the same request is `Ok`; neither writes anything. The image that was
    /// left is not installed again, unless the journal that says so is lost: then the request would be obeyed again.
    ///
    /// # Errors
    /// In this order: [`Refusal::NotARequest`], [`Refusal::UnknownFormat`] and the like if the bytes are none,
    /// [`Refusal::OtherUnit`] if they are for another unit, [`Refusal::OtherImage`] if the image to leave
    /// does not run, [`Refusal::TooFewReleaseSignatures`] or [`Refusal::BadSignature`] by the ring and the
    /// journal's revocations, [`Refusal::NoAcceptableOther`] if there is nothing to go back to (then nothing
    /// changes), or the journal's failure.
    pub fn obey(&mut self, request: &[u8], unit: &Serial) -> Result<(), Refusal> {
        let request = Request::new_checked(request)?;
        if request.message().unit() != unit.as_str() {
            return Err(Refusal::OtherUnit);
        }
        if request.message().leave() != self.manifest.digest() {
            return Err(Refusal::OtherImage);
        }
        let order = request.authenticate(self.product.ring, self.snapshot.revoked)?;
        self.roll_back(&order)
    }

    /// Takes what only enough trusted keys can have made.
    fn roll_back(&mut self, order: &Order) -> Result<(), Refusal> {
        info!("asked to leave {}", order.message().leave());
        self.reject(order.reason())
    }
}
