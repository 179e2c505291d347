//! Updates: an image on trial is judged; a confirmed one looks for what is newer, and installs it.

use bistable_core::digest::Digest;
use bistable_core::handover::Standing;
use bistable_core::state::Origin;
use bistable_updater::download::{DownloadError, download};
use bistable_updater::health::Verdict;
use bistable_updater::report::{self, Report};
use board::net::Network;
use board::{clock, watchdog};
use defmt::{error, info, warn};

use crate::said::{Said, Words};
use crate::server::Server;
use crate::unit::Unit;
use crate::{AppUpdater, CHUNK};

/// How long to wait between two looks at the server, in milliseconds. A real fleet waits for hours.
const POLL_MS: u64 = 1_000;

/// What is kept between two looks.
pub(crate) struct Updates {
    unit: Unit,
    said: Said,
    /// When to look again, in milliseconds since this boot.
    next: u64,
    /// Whether the server did not answer the last time: that is said once.
    silent: bool,
    /// Whether the server knows what runs here.
    reported: bool,
    /// What was refused, so that it is not asked for again at once.
    refused: Option<Digest>,
}

impl Updates {
    /// Nothing was looked for yet.
    pub(crate) fn new(unit: Unit) -> Self {
        Self {
            unit,
            said: Said::default(),
            next: 0,
            silent: false,
            reported: false,
            refused: None,
        }
    }

    /// Does what is due, if anything is.
    pub(crate) fn step(&mut self, updater: &mut AppUpdater, network: &mut Network) {
        if clock::now() < self.next {
            return;
        }
        match updater.device().standing {
            Standing::Trial => {
                if !self.said.source_answered() && self.look(updater, network).is_some() {
                    updater.source_answered();
                }
                self.judge(updater);
            }
            _ => {
                let newest = self.look(updater, network);
                let is_new = |digest: &Digest| *digest != updater.device().digest;
                let newest = newest.filter(is_new);
                if let Some(digest) = newest.filter(|digest| self.refused != Some(*digest)) {
                    self.install(updater, network, digest);
                }
            }
        }
        self.next = clock::now() + POLL_MS;
    }

    /// Asks the server for the newest image, and tells it what runs here.
    fn look(&mut self, updater: &mut AppUpdater, network: &mut Network) -> Option<Digest> {
        let report = Report::new(self.unit.serial.clone(), &updater.device());
        let address = self.unit.server;
        let mut server = Server::new(network, address, || {
            updater.feed();
        });
        let newest = match server.latest() {
            Ok(digest) => Some(digest),
            Err(failure) if !self.silent => {
                info!("no answer from the update server: {}", failure);
                None
            }
            Err(_) => None,
        };
        self.silent = newest.is_none();
        if newest.is_some() && !self.reported {
            let mut buffer = [0; report::MAX_LEN];
            let bytes = report.encode(&mut buffer);
            self.reported = bytes.is_some_and(|bytes| server.report(bytes).is_ok());
        }
        newest
    }

    /// Acts on the verdict, and says what it rests on.
    fn judge(&mut self, updater: &mut AppUpdater) {
        let verdict = updater.judge();
        self.said.say(updater.health());
        match verdict {
            Ok(Verdict::Pending) => {}
            Ok(Verdict::Healthy) => info!("this image stays"),
            Ok(Verdict::Unhealthy(reason)) => {
                warn!("this image goes: {}", Words(reason.code()));
                updater.reset()
            }
            Err(refusal) => error!("the verdict could not be recorded: {}", refusal),
        }
    }

    /// Installs the image with this name, and resets into its trial.
    fn install(&mut self, updater: &mut AppUpdater, network: &mut Network, digest: Digest) {
        info!("the server has {}", digest);
        // A confirmed image may feed the watchdog itself, and the updater is busy.
        let mut server = Server::new(network, self.unit.server, watchdog::feed);
        let mut chunk = [0; CHUNK];
        let outcome = server.with_image(digest, |image| {
            download(updater, image, Origin::Network, &mut chunk, |_| {})
        });
        match outcome {
            Ok(()) => {
                info!("installed {}; resetting into its trial", digest);
                updater.reset()
            }
            Err(DownloadError::Refused { refusal, offset }) => {
                warn!("refused {} at byte {=u32}: {}", digest, offset, refusal);
                if let Some(rejection) = updater.rejection(digest) {
                    warn!("it was rejected before: {}", Words(rejection.reason));
                }
                self.refused = Some(digest);
            }
            Err(DownloadError::EndsAt(length)) => warn!("the file ends at {=u32}", length),
            Err(DownloadError::Source(failure)) => warn!("the download broke: {}", failure),
        }
    }
}
