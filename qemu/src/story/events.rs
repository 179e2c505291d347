//! The events of a story, from what was printed: what any board would have said in its place.
//!
//! Digests become the names of releases, addresses and times are masked. What follows from the geometry of a flash
//! or from the size of a program (`flash`, `tools`, `power`) is no event, and neither is the last line before a cut,
//! which falls where the seed says.

use std::collections::HashMap;

use super::STEPS;

/// Who speaks of events.
const SPEAKERS: [&str; 4] = ["device", "journal", "server", "fuses"];

/// The events in a printed story, in their order, the titles of its steps among them.
#[must_use]
pub fn events(printed: &str) -> Vec<String> {
    let mut names = HashMap::new();
    let mut events = Vec::new();
    for line in printed.lines() {
        let Some((speaker, text)) = spoken(line) else {
            if is_title(line) {
                events.push(line.to_owned());
            }
            continue;
        };
        if let ("tools", Some((name, digest))) = (speaker, named(text)) {
            names.insert(digest.to_owned(), name.to_owned());
        }
        if SPEAKERS.contains(&speaker) && !text.starts_with("had said") {
            events.push(format!("{speaker}: {}", neutral(text, &names)));
        }
    }
    events
}

/// What a whole story has and these events do not: each step's title, what the device said in all in it, and somebody
/// who speaks.
#[must_use]
pub fn missing(events: &[String]) -> Option<String> {
    for (number, step) in (1..).zip(&STEPS) {
        let title = format!("{number}  {}", step.title);
        let Some(at) = events.iter().position(|event| *event == title) else {
            return Some(format!("step {number}, {:?}", step.title));
        };
        let mut told = events[at + 1..].iter().take_while(|event| !is_title(event));
        if !told.any(|event| event.starts_with("device: in all: ")) {
            return Some(format!("what the device said in all in step {number}"));
        }
    }
    let silent = SPEAKERS.into_iter().find(|speaker| {
        let start = format!("{speaker}: ");
        !events.iter().any(|event| event.starts_with(&start))
    });
    silent.map(|speaker| format!("any event of {speaker:?}"))
}

/// Where two stories first differ, and what each says there.
#[must_use]
pub fn first_difference(one: &[String], other: &[String]) -> Option<String> {
    let end = "(the end)".to_owned();
    let place =
        (0..one.len().max(other.len())).find(|place| one.get(*place) != other.get(*place))?;
    let [one, other] = [one, other].map(|events| events.get(place).unwrap_or(&end));
    Some(format!("event {}: {one:?} and {other:?}", place + 1))
}

/// Whether a step begins with this line.
fn is_title(line: &str) -> bool {
    line.starts_with(|letter: char| letter.is_ascii_digit())
}

/// Who says what in a line of the timeline.
fn spoken(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("   ")?;
    let (speaker, text) = line.split_once(' ')?;
    Some((speaker, text.trim_start()))
}

/// `v2 is cccfd8c8, sequence 2`: a release, and how its digest begins.
fn named(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once(" is ")?;
    let (digest, _) = rest.split_once(", sequence ")?;
    Some((name, digest))
}

/// `text` without what differs from board to board and from run to run.
fn neutral(text: &str, names: &HashMap<String, String>) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let neutral = words.iter().enumerate().map(|(place, word)| {
        let core = word.trim_end_matches([',', ':', ';', '.', ')']);
        let tail = &word[core.len()..];
        let unit = words
            .get(place + 1)
            .map(|unit| unit.trim_end_matches([';', ',', '.', ':']));
        let before = place.checked_sub(1).and_then(|place| words.get(place));
        let is_measure = matches!(unit, Some("s" | "bytes"))
            || matches!(before, Some(&"byte" | &"receipt"))
            || words[..place].ends_with(&["ends", "at"]);
        let is_measured = is_measure && core.parse::<f64>().is_ok();
        match names.get(core) {
            Some(name) => format!("{name}{tail}"),
            None if core.starts_with("0x") => format!("0x…{tail}"),
            None if is_measured => format!("…{tail}"),
            None => (*word).to_owned(),
        }
    });
    neutral.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "\
seed 0x5

1  keys
   tools    v1 is 83461f57, sequence 1
            more of it
   device   application: running 83461f57 in slot A as Confirmed, reset: PowerOn
   flash    a confirmed boot: 0 erases
   device   application: refused 83461f57 at byte 5432: B021 BadChunk
   device   application: the watchdog barked at 0x21021234
   device   application: the file ends at 46417
   device   had said: at byte 4096
   device   back after 7.1 s: a trial time of 5 s, and the watchdog's
   device   application: of the stack, 3404 bytes were never used
   device   application: receipt 17: kept by the server
   journal  A: confirmed 83461f57 active · B: empty · floor 0
";

    #[test]
    fn digests_have_names_and_what_is_measured_is_masked() {
        let expected = [
            "1  keys",
            "device: application: running v1 in slot A as Confirmed, reset: PowerOn",
            "device: application: refused v1 at byte …: B021 BadChunk",
            "device: application: the watchdog barked at 0x…",
            "device: application: the file ends at …",
            "device: back after … s: a trial time of … s, and the watchdog's",
            "device: application: of the stack, … bytes were never used",
            "device: application: receipt …: kept by the server",
            "journal: A: confirmed v1 active · B: empty · floor 0",
        ];
        assert_eq!(events(ONE), expected);
    }

    #[test]
    fn the_same_story_on_another_board_is_the_same() {
        let other = ONE
            .replace("83461f57", "00112233")
            .replace("21021234", "2220beef")
            .replace("3404", "18")
            .replace("receipt 17", "receipt 5")
            .replace("5432", "9876")
            .replace("46417", "46723")
            .replace("0 erases", "9 erases");
        assert_eq!(first_difference(&events(ONE), &events(&other)), None);
    }

    #[test]
    fn another_event_a_missing_one_and_one_more_are_noticed() {
        let changed = ONE.replace("slot A as Confirmed", "slot B as Confirmed");
        let shorter = ONE.replace(
            "   journal  A: confirmed 83461f57 active · B: empty · floor 0\n",
            "",
        );
        for other in [&changed, &shorter] {
            let (one, other) = (events(ONE), events(other));
            assert!(first_difference(&one, &other).is_some());
            assert!(first_difference(&other, &one).is_some());
        }
    }

    /// The least that a whole story has.
    fn whole() -> Vec<String> {
        let steps = (1..).zip(&STEPS).flat_map(|(number, step)| {
            let title = format!("{number}  {}", step.title);
            [title, "device: in all: 1 × starting".to_owned()]
        });
        let others = ["journal: A", "server: v1", "fuses: blown: 1"].map(String::from);
        steps.chain(others).collect()
    }

    #[test]
    fn a_whole_story_lacks_nothing_and_an_empty_one_everything() {
        assert_eq!(missing(&whole()), None);
        assert!(missing(&[]).unwrap().contains("step 1"));
    }

    #[test]
    fn whatever_is_taken_out_of_the_least_story_is_missed() {
        for place in 0..whole().len() {
            let mut story = whole();
            let event = story.remove(place);
            assert!(missing(&story).is_some(), "{event:?} is not missed");
        }
    }

    #[test]
    fn two_stories_differ_in_what_a_device_said_that_nobody_waited_for() {
        let with = |said: &str| events(&format!("   device   in all: {said}\n"));
        let (one, other) = (with("1 × starting"), with("2 × starting, 1 × barked"));
        assert!(first_difference(&one, &other).is_some());
    }

    #[test]
    fn a_digest_that_nobody_named_stays_what_it_is() {
        let unknown = "   device   application: running deadbeef\n";
        assert_eq!(events(unknown), ["device: application: running deadbeef"]);
    }
}
