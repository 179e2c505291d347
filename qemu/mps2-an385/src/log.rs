//! The program's log: defmt frames over a UART.
//!
//! Frames mean something only together with the table in the program's ELF file, and a device runs
//! many programs in its life. So each announces itself: [`start`] sends a line of text that names UART
//! and program, from which the reader knows the table. It may then read both UARTs as one stream, in
//! which everything is in order, for only one program runs at a time.
//!
//! ```text
//! 00  "defmt table: 1 demo"  00   frame  00   frame  00  …
//! │                 │ └ program
//! │                 └ UART
//! └ ends a frame that a reset tore
//! ```
//!
//! An image also says which it is and where it runs, as in "defmt table: 1 application d87fbe18 A", for
//! an update brings another table ([`start_image`]).
//!
//! (A frame that began with the bytes of the announcement would speak of entry 0x6564 of its table.)

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use bistable_core::handover::Handover;
use bistable_core::layout::Slot;
use cortex_m::interrupt;
use cortex_m::register::primask;
use defmt::Encoder;

use crate::uart::Uart;

/// Who logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// Over UART 0.
    Bootloader,
    /// Over UART 1.
    Application,
}

/// What an announcement begins with. The UART follows as one digit, a space, and the program's name.
pub const ANNOUNCEMENT: &[u8] = b"defmt table: ";

/// Sends the log of `speaker` to its UART from now on and announces the program as `name`, in which there is no zero
/// byte. Lines logged before are dropped.
pub fn start(speaker: Speaker, name: &str) {
    announce(speaker, &[name.as_bytes()]);
}

/// The same for an image: behind its name it says the first 8 digits of its digest and its slot, as the
/// handover has them, so that the reader finds the table of this very image.
pub fn start_image(speaker: Speaker, name: &str) {
    let Some(handover) = Handover::decode(&crate::handover::load()) else {
        return start(speaker, name);
    };
    let [a, b, c, d, ..] = handover.digest.0;
    let [a, b, c, d] = [a, b, c, d].map(digits);
    let slot: &[u8] = match handover.running {
        Some(Slot::A) => b" A",
        Some(Slot::B) => b" B",
        None => b"",
    };
    announce(speaker, &[name.as_bytes(), b" ", &a, &b, &c, &d, slot]);
}

fn announce(speaker: Speaker, words: &[&[u8]]) {
    let (uart, destination, number) = match speaker {
        Speaker::Bootloader => (Uart::Zero, TO_ZERO, b"0 "),
        Speaker::Application => (Uart::One, TO_ONE, b"1 "),
    };
    uart.enable();
    uart.send(&[0]);
    uart.send(ANNOUNCEMENT);
    uart.send(number);
    for word in words {
        uart.send(word);
    }
    uart.send(&[0]);
    DESTINATION.store(destination, Ordering::Relaxed);
}

/// Two hexadecimal digits.
fn digits(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 0xF].map(|digit| match digit {
        0..=9 => b'0'.wrapping_add(digit),
        _ => b'a'.wrapping_add(digit.wrapping_sub(10)),
    })
}

/// Gives up the line that is being logged, so that a panic can be. Whoever was logging it never goes on.
pub(crate) fn abandon_line() {
    interrupt::disable();
    if DEPTH.swap(0, Ordering::Relaxed) > 0 {
        send(&[0]);
    }
}

static DESTINATION: AtomicU8 = AtomicU8::new(NOWHERE);
const NOWHERE: u8 = 0;
const TO_ZERO: u8 = 1;
const TO_ONE: u8 = 2;

fn send(bytes: &[u8]) {
    match DESTINATION.load(Ordering::Relaxed) {
        TO_ZERO => Uart::Zero.send(bytes),
        TO_ONE => Uart::One.send(bytes),
        _ => {}
    }
}

/// Lines begun and not ended: 1 while one is logged, 2 if the NMI came in between and logs one, too. Then
/// the inner one is dropped. Exceptions nest, so whoever interrupts leaves it as it was.
static DEPTH: AtomicU32 = AtomicU32::new(0);

/// Whether interrupts were enabled before the outermost line began.
static INTERRUPTS_WERE_ENABLED: AtomicBool = AtomicBool::new(false);

struct Line(UnsafeCell<Encoder>);

// SAFETY: the cell is used by `Line::with` only, whose callers take turns, as it demands.
unsafe impl Sync for Line {}

static LINE: Line = Line(UnsafeCell::new(Encoder::new()));

impl Line {
    /// # Safety
    ///
    /// Interrupts are disabled, and [`DEPTH`] is 1 by the caller's own counting.
    unsafe fn with(&self, action: impl FnOnce(&mut Encoder)) {
        // SAFETY: with interrupts disabled only NMI and faults can come between. A line that they log
        // counts itself to a depth of 2 and stays away, so this is the only reference; the
        // panic handler sets the depth to 0 only where whoever holds this one never goes on.
        let encoder = unsafe { &mut *self.0.get() };
        action(encoder);
    }
}

#[defmt::global_logger]
struct Log;

// SAFETY: `acquire` disables interrupts until `release`, and a line that begins within another one (from
// the NMI) is dropped, so only one writes at a time; lines that begin are ended by defmt.
unsafe impl defmt::Logger for Log {
    fn acquire() {
        let enabled = primask::read().is_active();
        interrupt::disable();
        let depth = DEPTH.load(Ordering::Relaxed).saturating_add(1);
        DEPTH.store(depth, Ordering::Relaxed);
        if depth == 1 {
            INTERRUPTS_WERE_ENABLED.store(enabled, Ordering::Relaxed);
            let begin = |encoder: &mut Encoder| {
                *encoder = Encoder::new(); // A panic may have left a line open.
                encoder.start_frame(send);
            };
            // SAFETY: interrupts are disabled and this line is the outermost.
            unsafe { LINE.with(begin) }
        }
    }

    unsafe fn flush() {
        // `Uart::send` keeps nothing back.
    }

    unsafe fn release() {
        let depth = DEPTH.load(Ordering::Relaxed);
        if depth == 1 {
            // SAFETY: interrupts are disabled since `acquire` and this line is the outermost.
            unsafe { LINE.with(|encoder| encoder.end_frame(send)) }
        }
        DEPTH.store(depth.saturating_sub(1), Ordering::Relaxed);
        if depth == 1 && INTERRUPTS_WERE_ENABLED.load(Ordering::Relaxed) {
            // SAFETY: they were enabled before `acquire`, and nothing here relies on them any more.
            unsafe { interrupt::enable() }
        }
    }

    unsafe fn write(bytes: &[u8]) {
        if DEPTH.load(Ordering::Relaxed) == 1 {
            // SAFETY: interrupts are disabled since `acquire` and this line is the outermost.
            unsafe { LINE.with(|encoder| encoder.write(bytes, send)) }
        }
    }
}
