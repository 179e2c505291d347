//! The flash chip that the bootloader of QEMU's `virt` lies in.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use object::elf::{FileHeader32, PT_LOAD};
use object::endian::LittleEndian;
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use crate::Error;

/// Where the processor sees the chip, and where it starts.
const START: u32 = 0x2000_0000;

/// Bytes of the chip: the emulator takes no other number.
const SIZE: u64 = 32 << 20;

/// Makes a file of the whole chip that holds the program in `elf`, each part where it is loaded from.
pub(crate) fn make(elf: &Path, chip: &Path) -> Result<(), Error> {
    let bytes = fs::read(elf).map_err(failed("read", elf))?;
    let segments = segments(&bytes)
        .map_err(|problem| io::Error::new(io::ErrorKind::InvalidData, problem))
        .map_err(failed("take the program from", elf))?;
    let written = File::create(chip).and_then(|file| {
        file.set_len(SIZE)?;
        let write = |(offset, data): &(u64, &[u8])| file.write_all_at(data, *offset);
        segments.iter().try_for_each(write)
    });
    written.map_err(failed("write", chip))
}

/// What is loaded, and its place in the chip.
fn segments(elf: &[u8]) -> Result<Vec<(u64, &[u8])>, String> {
    let broken = |cause: object::Error| cause.to_string();
    let header = FileHeader32::<LittleEndian>::parse(elf).map_err(broken)?;
    let headers = header.program_headers(LittleEndian, elf).map_err(broken)?;
    let mut segments = Vec::new();
    for segment in headers {
        let data = segment.data(LittleEndian, elf);
        let data = data.map_err(|()| "a segment that is not in the file".to_owned())?;
        if segment.p_type.get(LittleEndian) != PT_LOAD || data.is_empty() {
            continue;
        }
        let address = segment.p_paddr.get(LittleEndian);
        let offset = address.checked_sub(START).map(u64::from);
        match offset {
            Some(offset) if offset + data.len() as u64 <= SIZE => segments.push((offset, data)),
            _ => return Err(format!("a segment at {address:#x}, outside the chip")),
        }
    }
    Ok(segments)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_path_buf();
    move |cause| Error::File {
        action,
        path,
        cause,
    }
}
