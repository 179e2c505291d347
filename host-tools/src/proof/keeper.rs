//! Keeps receipts: one thread decides where each stands in its chain, writes, and syncs. Whatever has queued while it
//! did is one group: one write, one sync, and an answer to each.
//!
//! What it knows of the chains changes only when the lines are on the disk.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::thread;

use bistable_updater::identity::Serial;
use tokio::sync::{mpsc, oneshot};

use crate::Error;
use crate::lines::Lines;
use crate::proof::chain::{Chain, Link};
use crate::proof::judge::{self, Authentic};
use crate::proof::kept::{self, FILE_NAME, Kept};
use crate::proof::refused::Refused;
use crate::proof::units::Units;
use crate::reports::seconds_since_1970;

/// How many requests are one group at most, and how many wait.
const GROUP: usize = 1024;

/// How much of a group can be half-written, in bytes: all of it.
const WINDOW: u64 = 64 << 20;

/// Where receipts are brought to be kept.
#[derive(Clone)]
pub struct Keeper(mpsc::Sender<Job>);

/// Receipts that came together, and which of them are fresh.
struct Job {
    receipts: Vec<(Authentic, bool)>,
    answer: oneshot::Sender<Option<Vec<Verdict>>>,
}

/// What became of a receipt that came: how it goes on, or why it is not kept. Those behind one whose chain does not
/// go on have none.
pub type Verdict = Result<Link, Refused>;

/// What was found in a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Found {
    /// How many receipts.
    pub receipts: u64,
    /// How many units' chains.
    pub units: usize,
    /// How many lines are no receipts, or not of a unit that is known: they are left as they are.
    pub strange: u64,
}

type Chains = HashMap<Serial, Chain>;

impl Keeper {
    /// Opens the receipts of the store in `directory`.
    ///
    /// # Errors
    /// They cannot be read or written, or another process writes to them.
    pub fn open(directory: &Path, units: &Units) -> Result<(Self, Found), Error> {
        let path = directory.join(FILE_NAME);
        let lines = Lines::open(&path, WINDOW)?;
        let (chains, found) = File::open(&path)
            .and_then(|file| remember(file, units))
            .map_err(Error::io(&path, "read the receipts"))?;
        let (sender, jobs) = mpsc::channel(GROUP);
        thread::Builder::new()
            .name("keeper".into())
            .spawn(move || keep(jobs, lines, chains))
            .map_err(Error::io(&path, "start to keep receipts"))?;
        Ok((Self(sender), found))
    }

    /// Keeps `receipts`, of which those that came with `true` are fresh: of each unit up to the first whose chain does not go
    /// on there. One verdict for each, in their order. `None` if the disk failed.
    pub async fn keep(&self, receipts: Vec<(Authentic, bool)>) -> Option<Vec<Verdict>> {
        let (answer, answered) = oneshot::channel();
        let job = Job { receipts, answer };
        self.0.send(job).await.ok()?;
        answered.await.ok()?
    }
}

/// The chains of the receipts in `file`, which were judged when they were kept.
fn remember(file: File, units: &Units) -> io::Result<(Chains, Found)> {
    let mut chains = Chains::new();
    let mut found = Found::default();
    kept::read(BufReader::with_capacity(1 << 20, file), |_, kept| {
        let authentic = kept.and_then(|kept| believed(kept, units));
        let Some(authentic) = authentic else {
            found.strange += 1;
            return;
        };
        found.receipts += 1;
        let unit = &authentic.receipt().unit;
        let chain = chains.get_mut(unit);
        // It was fresh, where it had to be.
        match Chain::judge(chain.as_deref(), &authentic, true) {
            Ok(link) => {
                let next = Chain::with(chain.as_deref(), &authentic, link);
                match chain {
                    Some(chain) => *chain = next,
                    None => drop(chains.insert(unit.clone(), next)),
                }
            }
            Err(_) => found.strange += 1,
        }
    })?;
    found.units = chains.len();
    Ok((chains, found))
}

/// With the key that signed it. That one of several did is asked; that the only one did was, when it came.
fn believed(kept: Kept, units: &Units) -> Option<Authentic> {
    let keys = units.keys(&kept.receipt.unit)?;
    match (keys.present, keys.earlier.as_slice()) {
        (Some(key), []) => Some(Authentic::believed(kept.signed, kept.receipt, key)),
        (present, earlier) => {
            let mut keys = present.iter().chain(earlier);
            let key = *keys.find(|key| judge::is_signed_by(&kept.signed, key))?;
            Some(Authentic::believed(kept.signed, kept.receipt, key))
        }
    }
}

fn keep(mut jobs: mpsc::Receiver<Job>, mut lines: Lines, mut chains: Chains) {
    let mut group = Vec::with_capacity(GROUP);
    while jobs.blocking_recv_many(&mut group, GROUP) > 0 {
        let mut staged = Staged::new(&chains);
        let verdicts: Vec<_> = group
            .iter()
            .map(|job| staged.judge(&job.receipts))
            .collect();
        let Staged { text, changed, .. } = staged;
        let kept = match text.is_empty() {
            true => Ok(()),
            false => lines.append(text.as_bytes()),
        };
        match &kept {
            Ok(()) => chains.extend(changed),
            Err(error) => eprintln!("receipts could not be written: {error}"),
        }
        for (job, verdicts) in group.drain(..).zip(verdicts) {
            // Whoever asked may be gone.
            let _ = job.answer.send(kept.is_ok().then_some(verdicts));
        }
    }
}

/// What a group changes, if it gets to the disk.
struct Staged<'c> {
    chains: &'c Chains,
    changed: Chains,
    text: String,
    now: u64,
}

impl<'c> Staged<'c> {
    fn new(chains: &'c Chains) -> Self {
        Self {
            chains,
            changed: Chains::new(),
            text: String::new(),
            now: seconds_since_1970(),
        }
    }

    fn judge(&mut self, receipts: &[(Authentic, bool)]) -> Vec<Verdict> {
        let mut verdicts = Vec::with_capacity(receipts.len());
        let mut broken: Vec<(&str, Refused)> = Vec::new();
        for (place, (receipt, fresh)) in (1..).zip(receipts) {
            let unit = &receipt.receipt().unit;
            // Behind what was refused of a unit, no more of it is taken; other units' receipts are.
            if let Some((_, refused)) = broken.iter().find(|(name, _)| *name == unit.as_str()) {
                verdicts.push(Err(*refused));
                continue;
            }
            let chain = self.changed.get(unit).or_else(|| self.chains.get(unit));
            // An answer that is known already makes nothing before it fresh again.
            let is_known = |(later, _): &(Authentic, bool)| {
                later.receipt().unit == *unit
                    && chain.is_some()
                    && Chain::position(chain, later) == Ok(Link::Known)
            };
            let is_used = receipts.iter().skip(place).any(is_known);
            let verdict = Chain::judge(chain, receipt, *fresh && !is_used);
            verdicts.push(verdict);
            match verdict {
                Ok(Link::Known) => {}
                Ok(link) => {
                    let next = Chain::with(chain, receipt, link);
                    kept::write(&mut self.text, self.now, receipt.as_bytes());
                    self.changed.insert(unit.clone(), next);
                }
                // An old one says nothing about those behind it.
                Err(Refused::Replayed) => {}
                Err(refused) => broken.push((unit, refused)),
            }
        }
        verdicts
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::runtime::Runtime;

    use super::*;
    use crate::proof::bench::{Births, Unit, judged};

    /// A store with a keeper.
    struct Bench {
        births: Births,
        store: tempfile::TempDir,
        runtime: Runtime,
    }

    impl Bench {
        fn new() -> (Self, Unit) {
            let unit = Unit::new("BST-1", 1);
            let mut births = Births::new();
            births.add("BST-1", 1, unit.public());
            let bench = Self {
                births,
                store: tempfile::tempdir().unwrap(),
                runtime: Runtime::new().unwrap(),
            };
            (bench, unit)
        }

        /// Waits until the one before has let go of the file.
        fn open(&self) -> (Keeper, Found) {
            for _ in 0..500 {
                if let Ok(opened) = Keeper::open(self.store.path(), &self.births.units()) {
                    return opened;
                }
                thread::sleep(std::time::Duration::from_millis(10));
            }
            panic!("it is never let go of");
        }

        fn keep(&self, keeper: &Keeper, unit: &Unit, receipts: &[&[u8]]) -> Vec<Verdict> {
            let receipts = receipts.iter().map(|bytes| judged(unit, bytes).unwrap());
            let receipts = receipts.map(|receipt| (receipt, false)).collect();
            self.runtime.block_on(keeper.keep(receipts)).unwrap()
        }

        fn lines(&self) -> usize {
            let text = fs::read_to_string(self.store.path().join(FILE_NAME)).unwrap();
            text.lines().count()
        }
    }

    #[test]
    fn an_answer_that_is_known_already_makes_nothing_before_it_fresh() {
        let (bench, mut unit) = Bench::new();
        let receipts: Vec<_> = (0..20).map(|_| unit.next()).collect();
        let (keeper, _) = bench.open();
        for receipt in &receipts {
            bench.keep(&keeper, &unit, &[receipt]);
        }
        // The first is forgotten, the one behind it is not: whoever sends both again says that both are fresh.
        let again = [&receipts[3], &receipts[4]].map(|bytes| (judged(&unit, bytes).unwrap(), true));
        let verdicts = bench.runtime.block_on(keeper.keep(again.into())).unwrap();
        assert_eq!(verdicts, [Err(Refused::Replayed), Ok(Link::Known)]);
        assert_eq!(bench.lines(), 20);
    }

    #[test]
    fn what_is_kept_is_known_after_a_restart() {
        let (bench, mut unit) = Bench::new();
        let [first, second, third] = [(); 3].map(|()| unit.next());
        let (keeper, found) = bench.open();
        assert_eq!(found, Found::default());
        let verdicts = bench.keep(&keeper, &unit, &[&first, &second]);
        assert_eq!(verdicts, [Ok(Link::First), Ok(Link::Next)]);
        drop(keeper);
        let (keeper, found) = bench.open();
        assert_eq!((found.receipts, found.units, found.strange), (2, 1, 0));
        let verdicts = bench.keep(&keeper, &unit, &[&first, &second, &third]);
        assert_eq!(verdicts, [Ok(Link::Known), Ok(Link::Known), Ok(Link::Next)]);
        assert_eq!(bench.lines(), 3);
    }

    #[test]
    fn the_same_receipt_twice_at_once_is_kept_once() {
        let (bench, mut unit) = Bench::new();
        let first = judged(&unit, &unit.cloned(1).next()).unwrap();
        unit.next();
        let (keeper, _) = bench.open();
        let verdicts = bench.runtime.block_on(async {
            let send = || {
                let (keeper, first) = (keeper.clone(), first.clone());
                tokio::spawn(async move { keeper.keep(vec![(first, false)]).await.unwrap() })
            };
            let sent: Vec<_> = (0..50).map(|_| send()).collect();
            let mut verdicts = Vec::new();
            for one in sent {
                verdicts.extend(one.await.unwrap());
            }
            verdicts
        });
        let first = verdicts.iter().filter(|it| **it == Ok(Link::First));
        assert_eq!((verdicts.len(), first.count()), (50, 1));
        assert_eq!(bench.lines(), 1);
    }

    #[test]
    fn behind_a_fork_no_more_of_the_unit_is_taken() {
        let (bench, mut unit) = Bench::new();
        let (keeper, _) = bench.open();
        let mut other = unit.cloned(1);
        other.receipt.uptime += 1;
        let [first, second] = [unit.next(), unit.next()];
        bench.keep(&keeper, &unit, &[&first, &second]);
        let forked = [(); 4].map(|()| other.next());
        let forked = forked.each_ref().map(Vec::as_slice);
        let verdicts = bench.keep(&keeper, &unit, &forked[1..]);
        assert_eq!(verdicts, [Err(Refused::Forked); 3]);
        assert_eq!(bench.lines(), 2);
    }

    #[test]
    fn a_line_that_is_no_receipt_is_left_and_counted() {
        let (bench, mut unit) = Bench::new();
        let path = bench.store.path().join(FILE_NAME);
        fs::write(&path, "{\"received\":1,\"receipt\":\"00\"}\n").unwrap();
        let (keeper, found) = bench.open();
        assert_eq!(found.strange, 1);
        let first = unit.next();
        assert_eq!(bench.keep(&keeper, &unit, &[&first]), [Ok(Link::First)]);
        assert_eq!(bench.lines(), 2);
    }

    #[test]
    fn a_second_keeper_is_refused() {
        let (bench, _) = Bench::new();
        let (_keeper, _) = bench.open();
        let error = Keeper::open(bench.store.path(), &bench.births.units());
        let error = error.err().unwrap().to_string();
        assert!(
            error.contains("another process that writes to it"),
            "{error}"
        );
    }

    #[test]
    fn a_reworked_unit_begins_anew_and_its_first_life_is_remembered_as_what_it_was() {
        let (mut bench, mut unit) = Bench::new();
        let (keeper, _) = bench.open();
        let receipts = [unit.next(), unit.next()];
        for receipt in &receipts {
            bench.keep(&keeper, &unit, &[receipt]);
        }
        drop(keeper);
        let mut reworked = Unit::new("BST-1", 2);
        bench.births.add("BST-1", 2, reworked.public());
        let (keeper, found) = bench.open();
        assert_eq!((found.receipts, found.strange), (2, 0));
        let first = reworked.next();
        assert_eq!(bench.keep(&keeper, &reworked, &[&first]), [Ok(Link::First)]);
    }
}
