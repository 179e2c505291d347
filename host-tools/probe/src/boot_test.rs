//! The boot test: after a reset the unit must say, in a line over RTT or a serial port, which unit it is.

use std::fmt;
use std::io::{ErrorKind, Read as _};
use std::str::FromStr;
use std::time::{Duration, Instant};

use probe_rs::rtt::{self, Rtt, ScanRegion};

use crate::{Error, Unit};

/// How often a unit that has said nothing yet is listened to.
const POLL: Duration = Duration::from_millis(20);

/// Where the unit is listened to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BootTest {
    /// The debugger reads what the firmware writes into its RAM (SEGGER RTT).
    Rtt,
    /// A serial port of the station.
    Uart {
        /// The port, as the operating system calls it.
        device: String,
        /// Bits per second.
        baud: u32,
    },
}

impl FromStr for BootTest {
    type Err = String;

    /// `rtt`, or `uart:DEVICE[@BAUD]`.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "rtt" {
            return Ok(Self::Rtt);
        }
        let Some(port) = text.strip_prefix("uart:").filter(|port| !port.is_empty()) else {
            return Err(format!("`{text}` is neither rtt nor uart:DEVICE[@BAUD]"));
        };
        let (device, baud) = port.rsplit_once('@').unwrap_or((port, "115200"));
        let baud = baud
            .parse()
            .map_err(|_| format!("`{baud}` bits per second are no number"))?;
        let device = device.into();
        Ok(Self::Uart { device, baud })
    }
}

impl fmt::Display for BootTest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rtt => formatter.write_str("RTT"),
            Self::Uart { device, baud } => write!(formatter, "{device} at {baud} bits per second"),
        }
    }
}

impl Unit {
    /// Resets the unit, and waits for a line in which `serial` stands; returns the line.
    ///
    /// # Errors
    /// There is none within `patience`: what was heard instead is told.
    pub fn boot_test(
        &mut self,
        test: &BootTest,
        serial: &str,
        patience: Duration,
    ) -> Result<String, Error> {
        let mut heard = Vec::new();
        let line = match test {
            BootTest::Rtt => self.listen_to_rtt(serial, patience, &mut heard)?,
            BootTest::Uart { device, baud } => {
                self.listen_to_uart(device, *baud, serial, patience, &mut heard)?
            }
        };
        line.ok_or_else(|| {
            let text = String::from_utf8_lossy(&heard);
            let found = match text.lines().rfind(|line| !line.trim().is_empty()) {
                Some(last) => format!("`{}` as the last line", last.trim()),
                None => "silence".into(),
            };
            Error::new(
                format!("{found} on {test}, {} s after the reset", patience.as_secs()),
                format!("a line with the serial number {serial}"),
                "look whether the firmware says it there, and whether bootloader and image are the right ones",
            )
        })
    }

    fn listen_to_rtt(
        &mut self,
        serial: &str,
        patience: Duration,
        heard: &mut Vec<u8>,
    ) -> Result<Option<String>, Error> {
        self.stop()?;
        // What an earlier firmware left in RAM, which a reset does not clear, is not this one's.
        let cleared = Rtt::clear_control_block(&mut self.core()?, &ScanRegion::Ram);
        match cleared {
            Ok(()) | Err(rtt::Error::MultipleControlBlocksFound(_)) => {}
            Err(error) => return Err(Error::probe("RAM that can be written")(error)),
        }
        self.start()?;
        let begun = Instant::now();
        let mut channels = None;
        while begun.elapsed() < patience {
            let core = &mut self.core()?;
            if channels.is_none() {
                channels = Rtt::attach_region(core, &ScanRegion::Ram).ok();
            }
            let mut buffer = [0; 1024];
            for channel in channels.iter_mut().flat_map(|rtt| rtt.up_channels()) {
                // A block that is half written reads wrong once; the patience has an end.
                let read = channel.read(core, &mut buffer).unwrap_or(0);
                heard.extend_from_slice(buffer.get(..read).unwrap_or_default());
            }
            if let Some(line) = line_with(heard, serial) {
                return Ok(Some(line));
            }
            std::thread::sleep(POLL);
        }
        Ok(None)
    }

    fn listen_to_uart(
        &mut self,
        device: &str,
        baud: u32,
        serial: &str,
        patience: Duration,
        heard: &mut Vec<u8>,
    ) -> Result<Option<String>, Error> {
        let mut port = serialport::new(device, baud)
            .timeout(POLL)
            .open()
            .map_err(Error::probe("a serial port that can be opened"))?;
        self.start()?;
        let begun = Instant::now();
        let mut buffer = [0; 1024];
        while begun.elapsed() < patience {
            match port.read(&mut buffer) {
                Ok(read) => heard.extend_from_slice(buffer.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                Err(error) => return Err(Error::probe("a serial port that can be read")(error)),
            }
            if let Some(line) = line_with(heard, serial) {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }
}

/// The first whole line in which `serial` stands as a word.
fn line_with(heard: &[u8], serial: &str) -> Option<String> {
    let text = String::from_utf8_lossy(heard);
    let whole = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let mut with = whole.filter(|line| {
        line.match_indices(serial).any(|(at, _)| {
            let inside = |neighbour: Option<char>| {
                neighbour.is_some_and(|it| it.is_alphanumeric() || it == '-' || it == '_')
            };
            let before = line[..at].chars().next_back();
            let after = line[at + serial.len()..].chars().next();
            !inside(before) && !inside(after)
        })
    });
    with.next().map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_heard_as_a_word_in_a_whole_line_only() {
        let heard = |text: &str| line_with(text.as_bytes(), "BST-42").is_some();
        assert!(heard("noise\nunit BST-42, slot A\r\n"));
        assert!(!heard("unit BST-42"), "more may come");
        assert!(!heard("unit BST-421\n"));
        assert!(!heard("unit OLD-BST-42\n"));
        assert!(heard("BST-421 BST-42\n"));
    }

    #[test]
    fn a_boot_test_is_rtt_or_a_serial_port() {
        assert_eq!("rtt".parse(), Ok(BootTest::Rtt));
        let device = String::from("/dev/ttyACM0");
        let uart = BootTest::Uart { device, baud: 9600 };
        assert_eq!("uart:/dev/ttyACM0@9600".parse(), Ok(uart));
        assert!("uart:".parse::<BootTest>().is_err());
        assert!("uart:x@fast".parse::<BootTest>().is_err());
    }
}
