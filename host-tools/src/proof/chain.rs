//! Where a receipt stands in its unit's chain, from the little that is remembered of each unit.
//!
//! ```text
//!   … ── 40 ── 41 ── 42     what is known: the newest, and the marks of some before it
//!                     ├── 43                  next
//!                     ┊    … 47               numbers are missing: kept, and said
//!               ├── 42'                       forked
//!   1'                                        begins again
//! ```
//!
//! A chain that does not go on is begun anew by nothing but a fresh receipt: one that answers a challenge, or
//! that such a one names as what came before it. Otherwise whoever kept a unit's old receipts could make it look
//! as if it ran what it ran then.

use std::collections::VecDeque;

use bistable_core::digest::Digest;

use crate::proof::judge::{Authentic, PublicKey};
use crate::proof::refused::Refused;

/// How many receipts of a unit are remembered: more than a device's ledger keeps, so that it may send all that
/// it has again and again.
pub const REMEMBERED: usize = 16;

/// How a receipt goes on from what is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// It is known already.
    Known,
    /// It is the first one of this unit's present key.
    First,
    /// It names the newest one as the one before it.
    Next,
    /// It is newer than the newest one, and so many between them are missing.
    After {
        /// How many.
        missing: u32,
    },
    /// It does not go on, but it is fresh: a new chain begins with it.
    Anew,
}

/// What is remembered of a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    key: PublicKey,
    newest: Digest,
    /// The numbers of the newest ones, ascending, with the first bytes of their digests.
    marks: VecDeque<(u32, Mark)>,
    restarts: u32,
    missing: u64,
}

type Mark = [u8; 8];

impl Chain {
    /// How `receipt` goes on from `chain`, which is what is known of its unit.
    ///
    /// # Errors
    /// It does not, and is not `fresh`.
    pub fn judge(chain: Option<&Self>, receipt: &Authentic, fresh: bool) -> Result<Link, Refused> {
        let Some(chain) = chain.filter(|chain| chain.key == *receipt.key()) else {
            return Ok(Link::First);
        };
        match chain.link(receipt) {
            Ok(Link::After { .. }) if chain.restarts > 0 && !fresh => Err(Refused::Unlinked),
            Err(_) if fresh => Ok(Link::Anew),
            // It was to answer something: what it answers is too old, or was never asked here.
            Err(_) if receipt.receipt().challenge.is_some() => Err(Refused::Stale),
            verdict => verdict,
        }
    }

    /// Where `receipt` stands, whatever that allows.
    ///
    /// # Errors
    /// It does not go on from `chain`.
    pub fn position(chain: Option<&Self>, receipt: &Authentic) -> Result<Link, Refused> {
        let chain = chain.filter(|chain| chain.key == *receipt.key());
        chain.map_or(Ok(Link::First), |chain| chain.link(receipt))
    }

    fn link(&self, authentic: &Authentic) -> Result<Link, Refused> {
        let receipt = authentic.receipt();
        let number = receipt.number;
        let mark = self.marks.iter().find(|(known, _)| *known == number);
        if mark.is_some_and(|(_, mark)| *mark == mark_of(authentic.digest())) {
            return Ok(Link::Known);
        }
        let newest = self.number();
        let begins = number <= 1 && receipt.previous == [0; 32];
        match (mark, number.checked_sub(newest)) {
            _ if begins => Err(Refused::BeginsAgain),
            (Some(_), _) => Err(Refused::Forked),
            (None, None | Some(0)) => Err(Refused::Replayed),
            (None, Some(1)) if receipt.previous == self.newest.0 => Ok(Link::Next),
            (None, Some(1)) => Err(Refused::Forked),
            // Whoever names a known one as the one before it is a second successor of that one.
            (None, Some(_)) if self.remembers(&receipt.previous) => Err(Refused::Forked),
            (None, Some(more)) => Ok(Link::After {
                missing: more.saturating_sub(1),
            }),
        }
    }

    fn remembers(&self, digest: &[u8; 32]) -> bool {
        let mark = mark_of(Digest(*digest));
        self.marks.iter().any(|(_, known)| *known == mark)
    }

    /// `chain` with `receipt`, which was judged to be `link`, as the newest.
    #[must_use]
    pub fn with(chain: Option<&Self>, receipt: &Authentic, link: Link) -> Self {
        let begun = Self {
            key: *receipt.key(),
            newest: receipt.digest(),
            marks: VecDeque::new(),
            restarts: 0,
            missing: 0,
        };
        let mut next = match (link, chain) {
            (Link::Known, Some(chain)) => return chain.clone(),
            (Link::Anew, Some(chain)) => Self {
                restarts: chain.restarts.saturating_add(1),
                missing: chain.missing,
                ..begun
            },
            (Link::First, _) | (_, None) => begun,
            (Link::Next | Link::After { .. }, Some(chain)) => chain.clone(),
        };
        if let Link::After { missing } = link {
            next.missing = next.missing.saturating_add(missing.into());
        }
        next.newest = receipt.digest();
        if next.marks.len() == REMEMBERED {
            next.marks.pop_front();
        }
        let number = receipt.receipt().number;
        next.marks.push_back((number, mark_of(receipt.digest())));
        next
    }

    /// The newest receipt's number.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.marks.back().map_or(0, |(number, _)| *number)
    }

    /// The key that signed it.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// How often it was begun anew.
    #[must_use]
    pub const fn restarts(&self) -> u32 {
        self.restarts
    }

    /// How many receipts never came, as far as their numbers tell.
    #[must_use]
    pub const fn missing(&self) -> u64 {
        self.missing
    }
}

/// Which of `receipts`, that came together, are fresh: those that answer a challenge (`answers`), and those that a
/// fresh one names as the one before it.
pub fn fresh(receipts: &[Authentic], answers: impl Fn(&Authentic) -> bool) -> Vec<bool> {
    let mut fresh = vec![false; receipts.len()];
    let mut after: Option<&Authentic> = None;
    for (receipt, fresh) in receipts.iter().zip(&mut fresh).rev() {
        let named = after.is_some_and(|after| {
            after.receipt().previous == receipt.digest().0
                && after.receipt().unit == receipt.receipt().unit
        });
        *fresh = named || answers(receipt);
        after = fresh.then_some(receipt);
    }
    fresh
}

fn mark_of(digest: Digest) -> Mark {
    let [a, b, c, d, e, f, g, h, ..] = digest.0;
    [a, b, c, d, e, f, g, h]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::bench::{Unit, judged};
    use crate::proof::judge::{Keys, authenticate};

    /// What is known of one unit.
    struct Known(Keys, Option<Chain>);

    impl Known {
        fn of(unit: &Unit) -> Self {
            Self(unit.public().into(), None)
        }

        fn take(&mut self, bytes: &[u8], fresh: bool) -> Result<Link, Refused> {
            let receipt = authenticate(bytes, |_| Some(self.0.clone())).unwrap();
            let link = Chain::judge(self.1.as_ref(), &receipt, fresh)?;
            self.1 = Some(Chain::with(self.1.as_ref(), &receipt, link));
            Ok(link)
        }

        fn chain(&self) -> &Chain {
            self.1.as_ref().unwrap()
        }
    }

    /// A unit that has sent its receipts 1 to 3.
    fn three() -> (Unit, Known, [Vec<u8>; 3]) {
        let mut unit = Unit::new("BST-1", 1);
        let mut known = Known::of(&unit);
        let receipts = [(); 3].map(|()| unit.next());
        for receipt in &receipts {
            known.take(receipt, false).unwrap();
        }
        (unit, known, receipts)
    }

    #[test]
    fn one_after_the_other_is_kept_and_known_from_then_on() {
        let mut unit = Unit::new("BST-1", 1);
        let mut known = Known::of(&unit);
        let [first, second] = [unit.next(), unit.next()];
        assert_eq!(known.take(&first, false), Ok(Link::First));
        assert_eq!(known.take(&second, false), Ok(Link::Next));
        for receipt in [&first, &second, &first] {
            assert_eq!(known.take(receipt, false), Ok(Link::Known));
        }
        let chain = known.chain();
        let found = (chain.number(), chain.restarts(), chain.missing());
        assert_eq!(found, (2, 0, 0));
    }

    #[test]
    fn a_gap_is_kept_and_counted() {
        let (mut unit, mut known, _) = three();
        let [_, _, sixth, seventh] = [(); 4].map(|()| unit.next());
        let link = known.take(&sixth, false);
        assert_eq!(link, Ok(Link::After { missing: 2 }));
        assert_eq!(known.take(&seventh, false), Ok(Link::Next));
        assert_eq!(known.chain().missing(), 2);
    }

    #[test]
    fn what_was_missing_and_comes_late_is_replayed() {
        let (mut unit, mut known, _) = three();
        let [fourth, fifth] = [unit.next(), unit.next()];
        known.take(&fifth, false).unwrap();
        assert_eq!(known.take(&fourth, false), Err(Refused::Replayed));
    }

    #[test]
    fn what_is_older_than_what_is_remembered_is_replayed() {
        let (mut unit, mut known, [first, second, _]) = three();
        for _ in 0..REMEMBERED {
            known.take(&unit.next(), false).unwrap();
        }
        let before = known.chain().clone();
        assert_eq!(known.take(&second, false), Err(Refused::Replayed));
        assert_eq!(known.take(&first, false), Err(Refused::BeginsAgain));
        assert_eq!(*known.chain(), before);
        assert_eq!(before.marks.len(), REMEMBERED);
    }

    #[test]
    fn another_receipt_of_a_known_number_is_a_fork() {
        let (unit, mut known, _) = three();
        let mut other = unit.cloned(1);
        other.receipt.number = 1; // the next one says that it is the second
        assert_eq!(known.take(&other.next(), false), Err(Refused::Forked));
    }

    #[test]
    fn a_second_successor_is_a_fork_whatever_its_number() {
        let (unit, mut known, receipts) = three();
        for number in [4, 5, 9] {
            let mut other = unit.cloned(1);
            other.receipt.number = number - 1;
            other.receipt.previous = Digest::of(&receipts[1]).0;
            let refused = known.take(&other.next(), false);
            assert_eq!(refused, Err(Refused::Forked), "{number}");
        }
    }

    #[test]
    fn a_ledger_that_begins_again_is_taken_only_when_it_is_fresh() {
        let (mut unit, mut known, _) = three();
        unit.forget();
        unit.receipt.uptime += 1;
        let [first, second] = [unit.next(), unit.next()];
        assert_eq!(known.take(&first, false), Err(Refused::BeginsAgain));
        assert_eq!(known.take(&first, true), Ok(Link::Anew));
        assert_eq!(known.take(&second, false), Ok(Link::Next));
        assert_eq!(known.chain().restarts(), 1);
    }

    #[test]
    fn what_does_not_go_on_and_answers_what_nobody_asks_any_more_is_stale() {
        let (mut unit, mut known, _) = three();
        unit.forget();
        let answer = unit.answer(Some([9; 32]));
        assert_eq!(known.take(&answer, false), Err(Refused::Stale));
        assert_eq!(known.take(&answer, true), Ok(Link::Anew));
    }

    #[test]
    fn an_old_chain_is_not_played_over_a_new_one() {
        let (mut unit, mut known, receipts) = three();
        let withheld = [unit.next(), unit.next()];
        unit.forget();
        unit.receipt.uptime += 1;
        known.take(&unit.next(), true).unwrap();
        let [_, second, third] = receipts;
        assert_eq!(known.take(&second, false), Err(Refused::Forked));
        // Their numbers are higher than the new chain's.
        for old in [&third].into_iter().chain(&withheld) {
            assert_eq!(known.take(old, false), Err(Refused::Unlinked));
        }
    }

    #[test]
    fn another_key_begins_another_life() {
        let (_, mut known, _) = three();
        let mut reworked = Unit::new("BST-1", 2);
        known.0 = reworked.public().into();
        assert_eq!(known.take(&reworked.next(), false), Ok(Link::First));
        assert_eq!(known.chain().number(), 1);
    }

    #[test]
    fn what_a_fresh_one_names_is_fresh_and_nothing_else() {
        let mut unit = Unit::new("BST-1", 1);
        let stray = judged(&unit, &unit.cloned(1).next()).unwrap();
        unit.receipt.uptime += 1;
        let run = [None, None, Some([7; 32]), None].map(|challenge| {
            let bytes = unit.answer(challenge);
            judged(&unit, &bytes).unwrap()
        });
        let all = [&[stray][..], &run].concat();
        let fresh = fresh(&all, |it| it.receipt().challenge == Some([7; 32]));
        assert_eq!(fresh, [false, true, true, true, false]);
    }
}
