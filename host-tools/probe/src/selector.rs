//! Which probe, and which chip: real ones, or simulated ones.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use probe_rs::config::{Registry, Target};
use probe_rs::probe::list::Lister;
use probe_rs::probe::{DebugProbeSelector, Probe};

use crate::Error;
use crate::simulated::{self, Fault, Firmware};

/// Which probe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Selector {
    /// The only one that is plugged in.
    Only,
    /// The one with this USB id and serial number.
    Usb(DebugProbeSelector),
    /// A simulated one, on the chip in a file.
    Simulated {
        /// The chip's file; made if it is not there.
        file: PathBuf,
        /// What goes wrong.
        fault: Option<Fault>,
    },
}

impl FromStr for Selector {
    type Err = String;

    /// `VID:PID[:SERIAL]`, or `sim:FILE[,fault=NAME]`.
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(simulated) = text.strip_prefix("sim:") {
            let (file, fault) = match simulated.rsplit_once(",fault=") {
                Some((file, fault)) => (file, Some(fault.parse()?)),
                None => (simulated, None),
            };
            if file.is_empty() {
                return Err("a simulated chip lies in a file: sim:FILE".into());
            }
            let file = file.into();
            return Ok(Self::Simulated { file, fault });
        }
        let usb = text
            .parse()
            .map_err(|error| format!("{error}: VID:PID[:SERIAL], or sim:FILE"))?;
        Ok(Self::Usb(usb))
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Only => formatter.write_str("the only probe"),
            Self::Usb(usb) => write!(formatter, "{usb}"),
            Self::Simulated { file, .. } => write!(formatter, "sim:{}", file.display()),
        }
    }
}

/// The chips that are known, and the one that all units have.
pub struct ChipDescription {
    registry: Registry,
    target: Target,
}

impl ChipDescription {
    /// The chip called `name`: the simulated one, one of probe-rs', or one of `family` (the YAML of a probe-rs chip
    /// family).
    ///
    /// # Errors
    /// There is none of that name, more than one begins like that, or the description is wrong.
    pub fn find(name: &str, family: Option<&str>) -> Result<Self, Error> {
        let mut registry = Registry::new();
        for family in [simulated::FAMILY].into_iter().chain(family) {
            let described = "a chip family as probe-rs describes it";
            registry
                .add_target_family_from_yaml(family)
                .map_err(Error::probe(described))?;
        }
        // probe-rs' own are some thousand: they are unpacked only if they are asked for.
        let known = registry.get_target_by_name(name).or_else(|_| {
            registry = Registry::from_builtin_families();
            registry.get_target_by_name(name)
        });
        let target = known.map_err(|error| {
            Error::new(
                error,
                format!("one chip called `{name}`"),
                "`probe-rs chip list` shows the names; give others with --chip-description",
            )
        })?;
        Ok(Self { registry, target })
    }

    /// The chip's full name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.target.name
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn open(&self, selector: &Selector, firmware: Firmware) -> Result<Probe, Error> {
        let lister = Lister::new();
        let opened = "a probe that can be opened";
        match selector {
            Selector::Simulated { file, fault } => {
                simulated::probe(file, &self.target, firmware, *fault)
                    .map_err(Error::probe("the file of a simulated chip"))
            }
            Selector::Usb(usb) => lister.open(usb.clone()).map_err(Error::probe(opened)),
            Selector::Only => match lister.list_all().as_slice() {
                [only] => only.open().map_err(Error::probe(opened)),
                several => Err(Error::new(
                    format!("{} probes", several.len()),
                    "one",
                    "say which with --probe VID:PID:SERIAL (or sim:FILE for a simulated one)",
                )),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_probe_is_a_file_and_perhaps_a_fault() {
        let plain: Selector = "sim:unit,1.sim".parse().expect("it is one");
        let file = PathBuf::from("unit,1.sim");
        assert_eq!(
            plain,
            Selector::Simulated {
                file: file.clone(),
                fault: None
            }
        );
        let faulty: Selector = "sim:unit,1.sim,fault=silent".parse().expect("it is one");
        let fault = Some(Fault::Silent);
        assert_eq!(faulty, Selector::Simulated { file, fault });
        assert!("sim:".parse::<Selector>().is_err());
        let unknown = "sim:x,fault=gremlins".parse::<Selector>();
        assert!(
            unknown
                .expect_err("there are none")
                .contains("program-flips-bit")
        );
    }

    #[test]
    fn a_real_probe_is_its_usb_id() {
        let usb: Selector = "0d28:0204:SERIAL".parse().expect("it is one");
        assert!(matches!(usb, Selector::Usb(_)));
        assert!("anything".parse::<Selector>().is_err());
    }

    #[test]
    fn a_chip_that_there_is_not_is_refused_by_name() {
        let refused = ChipDescription::find("no-such-chip", None)
            .err()
            .expect("there is none");
        assert!(refused.to_string().contains("`no-such-chip`"), "{refused}");
    }
}
