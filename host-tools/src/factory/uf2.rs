//! UF2: blocks of 512 bytes, each complete in itself, for boot loaders that show themselves as a drive
//! (Microsoft, "USB Flashing Format (UF2)", github.com/microsoft/uf2).
//!
//! ```text
//!   0       4       8       12        16    20       24       28       32             508
//!   │ magic │ magic │ flags │ address │ len │ number │ blocks │ family │ data, zeros … │ magic │
//! ```

/// What a block begins with, twice, and ends with.
const MAGIC: [u32; 3] = [0x0A32_4655, 0x9E5D_5157, 0x0AB1_6F30];

/// The flag that says that the family is there.
const FAMILY_PRESENT: u32 = 0x2000;

/// A block's room for data in bytes.
const DATA_LEN: usize = 476;

/// The processors that a file is for: the boot loader of any other refuses it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Family(pub u32);

/// Some families of the list that Microsoft keeps (`utils/uf2families.json`), and those of the RP2350's data sheet
/// (section 5.5.3).
const FAMILIES: [(&str, u32); 28] = [
    ("ESP32", 0x1C5F_21B0),
    ("ESP32C3", 0xD42B_A06C),
    ("ESP32C6", 0x540D_DF62),
    ("ESP32S2", 0xBFDD_4EEE),
    ("ESP32S3", 0xC47E_5767),
    ("GD32VF103", 0x9AF0_3E33),
    ("LPC55", 0x2ABC_77EC),
    ("MIMXRT10XX", 0x4FB2_D5BD),
    ("NRF52", 0x1B57_745F),
    ("NRF52833", 0x621E_937A),
    ("NRF52840", 0xADA5_2840),
    ("RP2040", 0xE48B_FF56),
    ("RP2350-ARM-S", 0xE48B_FF59),
    ("RP2350-RISCV", 0xE48B_FF5A),
    ("SAMD21", 0x68ED_2B88),
    ("SAMD51", 0x5511_4460),
    ("SAML21", 0x1851_780A),
    ("STM32F0", 0x6478_24B6),
    ("STM32F1", 0x5EE2_1072),
    ("STM32F3", 0x6B84_6188),
    ("STM32F4", 0x5775_5A57),
    ("STM32F7", 0x53B8_0F00),
    ("STM32G0", 0x300F_5633),
    ("STM32G4", 0x4C71_240A),
    ("STM32H7", 0x6DB6_6082),
    ("STM32L4", 0x00FF_6919),
    ("STM32L5", 0x0424_0BDF),
    ("STM32WB", 0x70D1_6653),
];

impl Family {
    /// For the command line: a name, or `0x` and up to 8 hexadecimal digits.
    ///
    /// # Errors
    /// The names that are known.
    pub fn parse(text: &str) -> Result<Self, String> {
        let named = FAMILIES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text));
        if let Some((_, number)) = named {
            return Ok(Self(*number));
        }
        let digits = text
            .strip_prefix("0x")
            .map(|digits| digits.replace('_', ""));
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let number = digits.and_then(|digits| u32::from_str_radix(&digits, 16).ok());
        number.map(Self).ok_or_else(|| {
            let names: Vec<_> = FAMILIES.iter().map(|(name, _)| *name).collect();
            let names = names.join(", ");
            format!("a family is a number such as 0xe48bff56, or one of {names}")
        })
    }
}

/// The file that programs these `pages` of up to 476 bytes, each with its address.
pub(crate) fn file<'p>(
    pages: impl Iterator<Item = (u32, &'p [u8])>,
    family: Option<Family>,
) -> Vec<u8> {
    let pages: Vec<_> = pages.collect();
    let count = pages.len() as u32;
    let mut file = Vec::with_capacity(512 * pages.len());
    for (number, (address, page)) in (0..).zip(pages) {
        let (flags, family) = match family {
            Some(Family(family)) => (FAMILY_PRESENT, family),
            None => (0, 0),
        };
        let [first, second, last] = MAGIC;
        let len = page.len() as u32;
        let header = [first, second, flags, address, len, number, count, family];
        header
            .iter()
            .for_each(|word| file.extend_from_slice(&word.to_le_bytes()));
        file.extend_from_slice(page);
        file.resize(file.len() + DATA_LEN.saturating_sub(page.len()), 0);
        file.extend_from_slice(&last.to_le_bytes());
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(bytes: &[u8]) -> Vec<u32> {
        let words = bytes.chunks_exact(4);
        words
            .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
            .collect()
    }

    #[test]
    fn each_block_says_where_it_belongs_and_how_many_there_are() {
        let pages: [(u32, &[u8]); 2] = [(0x1000_0000, &[7; 256]), (0x1000_1000, &[8; 64])];
        let file = file(pages.into_iter(), Some(Family(0xE48B_FF56)));
        assert_eq!(file.len(), 1024);
        let second = words(&file[512..544]);
        assert_eq!(&file[512..516], b"UF2\n");
        let expected = [0x9E5D_5157, 0x2000, 0x1000_1000, 64, 1, 2, 0xE48B_FF56];
        assert_eq!(second[1..], expected);
        assert_eq!(&file[544..608], [8; 64]);
        assert!(file[608..1020].iter().all(|byte| *byte == 0));
        assert_eq!(words(&file[1020..]), [0x0AB1_6F30]);
    }

    #[test]
    fn without_a_family_the_field_says_nothing() {
        let file = file([(0, [1; 256].as_slice())].into_iter(), None);
        assert_eq!([words(&file)[2], words(&file)[7]], [0, 0]);
    }

    #[test]
    fn a_family_is_a_name_or_a_number() {
        assert_eq!(Family::parse("rp2040"), Ok(Family(0xE48B_FF56)));
        assert_eq!(Family::parse("0xADA5_2840"), Ok(Family(0xADA5_2840)));
        for wrong in ["RP", "12", "0x", "0x+1", "0x123456789"] {
            let said = Family::parse(wrong).unwrap_err();
            assert!(said.contains("STM32F4"), "{said}");
        }
    }
}
