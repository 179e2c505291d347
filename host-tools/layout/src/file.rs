//! `layout.toml` as it is written: shapes only, nothing is believed yet.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};

use crate::product::{Architecture, Flash, Partition, Ram, Stays, Trial};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) product: ProductIds,
    pub(crate) flash: BTreeMap<String, Flash>,
    pub(crate) ram: BTreeMap<String, Ram>,
    pub(crate) handover: Handover,
    pub(crate) bootloader: Bootloader,
    pub(crate) journal: Journal,
    pub(crate) ledger: Option<Journal>,
    pub(crate) slots: Slots,
    #[serde(default)]
    pub(crate) partition: BTreeMap<String, Partition>,
    pub(crate) trial: Trial,
    pub(crate) health: Health,
    pub(crate) security: Security,
    #[serde(default)]
    pub(crate) factory: Factory,
    pub(crate) keys: Keys,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProductIds {
    pub(crate) vendor: String,
    pub(crate) class: String,
    #[serde(default)]
    pub(crate) emulated: bool,
    #[serde(default)]
    pub(crate) architecture: Architecture,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Handover {
    pub(crate) address: u32,
    pub(crate) size: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bootloader {
    pub(crate) flash: String,
    pub(crate) offset: u32,
    pub(crate) size: u32,
    #[serde(default)]
    pub(crate) head: u32,
    pub(crate) ram: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Journal {
    pub(crate) flash: String,
    pub(crate) offset: u32,
    pub(crate) sectors: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slots {
    pub(crate) flash: SlotFlashes,
    pub(crate) a: u32,
    pub(crate) b: u32,
    pub(crate) size: u32,
    pub(crate) payload_offset: u32,
    pub(crate) chunk_size: u32,
    pub(crate) vector_alignment: u32,
    pub(crate) ram: String,
}

/// One flash for both slots, as a name, or one for each: `{ a = "internal", b = "qspi" }`.
pub(crate) struct SlotFlashes {
    pub(crate) a: String,
    pub(crate) b: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TwoFlashes {
    a: String,
    b: String,
}

impl<'de> Deserialize<'de> for SlotFlashes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrTwo;

        impl<'de> Visitor<'de> for OneOrTwo {
            type Value = SlotFlashes;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a flash, or `{ a = \"…\", b = \"…\" }`")
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<SlotFlashes, E> {
                let [a, b] = [name, name].map(Into::into);
                Ok(SlotFlashes { a, b })
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<SlotFlashes, M::Error> {
                let two = TwoFlashes::deserialize(MapAccessDeserializer::new(map))?;
                Ok(SlotFlashes { a: two.a, b: two.b })
            }
        }

        deserializer.deserialize_any(OneOrTwo)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Health {
    pub(crate) checks: Vec<String>,
    #[serde(default)]
    pub(crate) stays: Stays,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Security {
    pub(crate) factory_floor: u32,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Factory {
    pub(crate) calibration: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keys {
    pub(crate) ring: String,
}
