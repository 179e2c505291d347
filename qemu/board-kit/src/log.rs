//! The program's log: defmt frames over a UART.
//!
//! Frames mean something only together with the table in the program's ELF file, and a device runs
//! many programs in its life. So each announces itself: [`start`] sends a line of text that names speaker
//! and program, from which the reader knows the table. It may then read both speakers as one stream, in
//! which everything is in order, for only one program runs at a time.
//!
//! ```text
//! 00  "defmt table: 1 demo"  00   frame  00   frame  00  …
//! │                 │ └ program
//! │                 └ speaker
//! └ ends a frame that a reset tore
//! ```
//!
//! An image also says which it is and where it runs, as in "defmt table: 1 application d87fbe18 A", for
//! an update brings another table ([`start_image`]).
//!
//! (A frame that began with the bytes of the announcement would speak of entry 0x6564 of its table.)

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering};

use bistable_core::handover::{HANDOVER_LEN, Handover};
use bistable_core::layout::Slot;
use critical_section::RestoreState;
use defmt::Encoder;

/// Who logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// Announced as 0.
    Bootloader,
    /// Announced as 1.
    Application,
}

/// What an announcement begins with. The speaker follows as one digit, a space, and the program's name.
pub const ANNOUNCEMENT: &[u8] = b"defmt table: ";

/// Sends bytes to where the log goes, and returns when the last one has left.
pub type Sink = fn(&[u8]);

/// Sends the log by `send` from now on and announces the program as `name`, in which there is no zero
/// byte. Lines logged before are dropped.
pub fn start(speaker: Speaker, name: &str, send: Sink) {
    announce(speaker, &[name.as_bytes()], send);
}

/// The same for an image: behind its name it says the first 8 digits of its digest and its slot, as the
/// `handover` has them, so that the reader finds the table of this very image.
pub fn start_image(speaker: Speaker, name: &str, handover: &[u8; HANDOVER_LEN], send: Sink) {
    let Some(handover) = Handover::decode(handover) else {
        return start(speaker, name, send);
    };
    let [a, b, c, d, ..] = handover.digest.0;
    let [a, b, c, d] = [a, b, c, d].map(digits);
    let slot: &[u8] = match handover.running {
        Some(Slot::A) => b" A",
        Some(Slot::B) => b" B",
        None => b"",
    };
    announce(
        speaker,
        &[name.as_bytes(), b" ", &a, &b, &c, &d, slot],
        send,
    );
}

fn announce(speaker: Speaker, words: &[&[u8]], send: Sink) {
    send(&[0]);
    send(ANNOUNCEMENT);
    send(match speaker {
        Speaker::Bootloader => b"0 ",
        Speaker::Application => b"1 ",
    });
    for word in words {
        send(word);
    }
    send(&[0]);
    within_a_line(|line| line.send = send);
}

/// Two hexadecimal digits.
fn digits(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 0xF].map(|digit| match digit {
        0..=9 => b'0'.wrapping_add(digit),
        _ => b'a'.wrapping_add(digit.wrapping_sub(10)),
    })
}

/// Gives up the line that is being logged, so that a panic can be. Whoever was logging it never goes on, and
/// interrupts stay off.
pub fn abandon_line() {
    // SAFETY: it is never released; whoever calls this ends in a reset.
    let _ = unsafe { critical_section::acquire() };
    if DEPTH.swap(0, Ordering::Relaxed) > 0 {
        within_a_line(|line| (line.send)(&[0]));
    }
}

/// Lines begun and not ended: 1 while one is logged, 2 if a handler that nothing disables came in between and logs one, too. Then
/// the inner one is dropped. Exceptions nest, so whoever interrupts leaves it as it was.
static DEPTH: AtomicU32 = AtomicU32::new(0);

/// The line that is being logged.
struct Line {
    encoder: Encoder,
    send: Sink,
    /// Whether interrupts were enabled before it began.
    before: RestoreState,
}

struct Cell(UnsafeCell<Line>);

// SAFETY: the cell is used by `Cell::with` only, whose callers take turns, as it demands.
unsafe impl Sync for Cell {}

static LINE: Cell = Cell(UnsafeCell::new(Line {
    encoder: Encoder::new(),
    send: |_| {},
    before: RestoreState::invalid(),
}));

impl Cell {
    /// # Safety
    ///
    /// Interrupts are disabled, and [`DEPTH`] is 1 by the caller's own counting.
    unsafe fn with<T>(&self, action: impl FnOnce(&mut Line) -> T) -> T {
        // SAFETY: with interrupts disabled only what nothing disables can come between: an NMI, a fault. A line that it logs
        // counts itself to a depth of 2 and stays away, so this is the only reference; the
        // panic handler sets the depth to 0 only where whoever holds this one never goes on.
        let line = unsafe { &mut *self.0.get() };
        action(line)
    }
}

/// Does something in the place of a line, unless one is being logged.
fn within_a_line(action: impl FnOnce(&mut Line)) {
    critical_section::with(|_| {
        let depth = DEPTH.load(Ordering::Relaxed).saturating_add(1);
        DEPTH.store(depth, Ordering::Relaxed);
        if depth == 1 {
            // SAFETY: interrupts are disabled and this takes the place of the outermost line.
            unsafe { LINE.with(action) }
        }
        DEPTH.store(depth.saturating_sub(1), Ordering::Relaxed);
    });
}

#[defmt::global_logger]
struct Log;

// SAFETY: `acquire` disables interrupts until `release`, and a line that begins within another one (from
// an NMI) is dropped, so only one writes at a time; lines that begin are ended by defmt.
unsafe impl defmt::Logger for Log {
    fn acquire() {
        // SAFETY: `release` is its counterpart, in the order of nesting.
        let before = unsafe { critical_section::acquire() };
        let depth = DEPTH.load(Ordering::Relaxed).saturating_add(1);
        DEPTH.store(depth, Ordering::Relaxed);
        if depth == 1 {
            let begin = |line: &mut Line| {
                line.before = before;
                line.encoder = Encoder::new(); // A panic may have left a line open.
                line.encoder.start_frame(line.send);
            };
            // SAFETY: interrupts are disabled and this line is the outermost.
            unsafe { LINE.with(begin) }
        }
    }

    unsafe fn flush() {
        // A `Sink` keeps nothing back.
    }

    unsafe fn release() {
        let depth = DEPTH.load(Ordering::Relaxed);
        let end = |line: &mut Line| {
            line.encoder.end_frame(line.send);
            line.before
        };
        // SAFETY: interrupts are disabled since `acquire`, and with a depth of 1 this line is the outermost.
        let before = (depth == 1).then(|| unsafe { LINE.with(end) });
        DEPTH.store(depth.saturating_sub(1), Ordering::Relaxed);
        if let Some(before) = before {
            // SAFETY: it is what the outermost `acquire` returned, and nothing here relies on disabled interrupts any
            // more.
            unsafe { critical_section::release(before) }
        }
    }

    unsafe fn write(bytes: &[u8]) {
        if DEPTH.load(Ordering::Relaxed) == 1 {
            // SAFETY: interrupts are disabled since `acquire` and this line is the outermost.
            unsafe { LINE.with(|line| line.encoder.write(bytes, line.send)) }
        }
    }
}
