//! The GDB remote protocol, as far as stopping at an address and looking at memory needs it.
//!
//! GDB manual, appendix E: a packet is `$data#checksum`, acknowledged by `+`; numbers are hexadecimal.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

/// How long the emulator may run until it stops. Generous: machines are shared.
const PATIENCE: Duration = Duration::from_secs(120);

/// Bytes of memory in one packet: QEMU takes 4096 characters.
const AT_ONCE: usize = 1024;

/// What a running program is stopped by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// The instruction at this address is the next one.
    At(u32),
    /// Something was stored to the word at this address.
    Written(u32),
}

impl Stop {
    /// The packet that sets it (`Z`) or takes it away (`z`).
    fn packet(self, letter: char) -> String {
        match self {
            Self::At(address) => format!("{letter}0,{address:x},2"),
            Self::Written(address) => format!("{letter}2,{address:x},4"),
        }
    }
}

/// A connection to a processor that stands still.
pub(crate) struct Gdb(UnixStream);

impl Gdb {
    pub(crate) fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)
            .with_context(|| format!("the emulator's debugger port, {}", socket.display()))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    /// Runs until `stop`.
    pub(crate) fn run(&mut self, stop: Stop) -> Result<()> {
        self.acknowledged(&stop.packet('Z'))?;
        let why = self.ask("c")?;
        ensure!(
            why.starts_with("T05") || why.starts_with("S05"),
            "expected to stop at {stop:x?}, the emulator says {why:?}"
        );
        self.acknowledged(&stop.packet('z'))
    }

    /// The processor's general registers, in GDB's order, 32 bits each.
    pub(crate) fn registers(&mut self) -> Result<Vec<u32>> {
        let bytes = from_hex(&self.ask("g")?)?;
        let words = bytes.as_chunks().0.iter();
        Ok(words.map(|word| u32::from_le_bytes(*word)).collect())
    }

    /// What lies at `address`.
    pub(crate) fn read(&mut self, address: u32, length: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let count = AT_ONCE.min(length - bytes.len());
            let from = address + bytes.len() as u32;
            let answer = from_hex(&self.ask(&format!("m{from:x},{count:x}"))?)?;
            ensure!(answer.len() == count, "no memory at {from:#x}");
            bytes.extend(answer);
        }
        Ok(bytes)
    }

    /// Puts `bytes` at `address`.
    pub(crate) fn write(&mut self, mut address: u32, bytes: &[u8]) -> Result<()> {
        for part in bytes.chunks(AT_ONCE) {
            let digits: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
            self.acknowledged(&format!("M{address:x},{:x}:{digits}", part.len()))?;
            address += part.len() as u32;
        }
        Ok(())
    }

    fn acknowledged(&mut self, command: &str) -> Result<()> {
        match self.ask(command)?.as_str() {
            "OK" => Ok(()),
            answer => bail!("the emulator answers {answer:?} to {command:.40}"),
        }
    }

    fn ask(&mut self, command: &str) -> Result<String> {
        let sum = checksum(command.as_bytes());
        write!(self.0, "${command}#{sum:02x}")?;
        let mut data = Vec::new();
        loop {
            match self.byte()? {
                b'$' => data.clear(),
                b'#' => break,
                byte => data.push(byte),
            }
        }
        let expected = [self.byte()?, self.byte()?];
        let found = format!("{:02x}", checksum(&data));
        ensure!(found.as_bytes() == expected, "a garbled packet: {data:?}");
        self.0.write_all(b"+")?;
        Ok(String::from_utf8(data)?)
    }

    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        let read = self.0.read_exact(&mut byte);
        read.context("the emulator did not stop where it was told to")?;
        Ok(byte[0])
    }
}

fn checksum(data: &[u8]) -> u8 {
    data.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

fn from_hex(digits: &str) -> Result<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    ensure!(rest.is_empty(), "an odd number of digits: {digits:?}");
    let byte = |pair: &[u8; 2]| {
        let pair = std::str::from_utf8(pair)?;
        u8::from_str_radix(pair, 16).with_context(|| format!("expected two digits, found {pair:?}"))
    };
    pairs.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_they_were_written() {
        assert_eq!(from_hex("00ff5a").unwrap(), [0, 0xFF, 0x5A]);
        // What the emulator answers where there is no memory.
        assert!(from_hex("E14").is_err());
        assert!(from_hex("xx").is_err());
    }

    #[test]
    fn a_checksum_is_the_sum_of_all_bytes() {
        assert_eq!(checksum(b"OK"), 0x9A);
    }
}
