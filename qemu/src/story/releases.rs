//! Building and publishing the releases of the story: one build of the application, patched.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use bistable_core::digest::Digest;
use bistable_core::manifest::MANIFEST_LEN;

use super::timeline::observed;
use super::world::World;

/// What the behaviour's byte stands behind in the application's ELF file.
const BEHAVIOUR: &[u8] = b"demo behaviour:";

/// What the supply voltage stands behind, two bytes of millivolts.
const SUPPLY: &[u8] = b"demo supply, mV:";

/// A release of the demo application.
#[derive(Clone, Debug)]
pub(super) struct Release {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) sequence: u32,
    /// `h`ealthy. On trial: `f`ails its self-test, hangs (`x`), feeds the `w`atchdog for ever, goes `d`eep down in
    /// its stack, loses its update `s`ource. Once confirmed: `c`rashes, resets and `a`nnounces it, crashes
    /// `l`ater (when the one after it was rejected).
    pub(super) behaviour: u8,
    /// What it takes for its supply, in millivolts.
    pub(super) supply: u16,
    pub(super) security_counter: u32,
    pub(super) revoke_below: u32,
    pub(super) attempts: u8,
    pub(super) trial_seconds: u16,
    /// Another layout than the product's, or another key than the development key.
    pub(super) layout: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

impl Release {
    pub(super) const fn new(name: &'static str, version: &'static str, sequence: u32) -> Self {
        Self {
            name,
            version,
            sequence,
            behaviour: b'h',
            supply: 3300,
            security_counter: 1,
            revoke_below: 1,
            attempts: 3,
            trial_seconds: 120,
            layout: None,
            key: None,
        }
    }
}

impl World {
    /// Where the image of a release is kept.
    pub(super) fn image(&self, name: &str) -> PathBuf {
        self.places.file(format!("images/{name}.img"))
    }

    /// Builds the image of `release`: the first one with cargo, for both slots, the others from the
    /// same two ELF files with another behaviour. Returns its name in 64 digits.
    pub(super) fn build(&self, release: &Release) -> Result<String> {
        let image = self.image(release.name);
        let layout = release
            .layout
            .clone()
            .unwrap_or_else(|| self.places.layout());
        let key = release.key.clone().unwrap_or_else(|| self.places.key());
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let mut arguments: Vec<String> = ["image", "build"].map(String::from).to_vec();
        let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        let elf = |slot: &str| self.places.file(format!("images/v1.img.{slot}.elf"));
        if elf("a").exists() {
            for slot in ["a", "b"] {
                let patched = self.places.file(format!("{}.{slot}.elf", release.name));
                patch(&elf(slot), &patched, release)?;
                add(&format!("--elf-{slot}"), text(&patched));
            }
        } else {
            add("--package", self.package.clone());
            add("--target", self.places.board.target().into());
            add("--profile", "firmware".into());
            add(
                "--manifest-path",
                text(&self.places.repository.join("Cargo.toml")),
            );
        }
        add("--layout", text(&layout));
        add("--key", text(&key));
        add("--version", release.version.into());
        add("--sequence", release.sequence.to_string());
        add("--security-counter", release.security_counter.to_string());
        add("--revoke-below", release.revoke_below.to_string());
        add("--attempts", release.attempts.to_string());
        add("--trial-seconds", release.trial_seconds.to_string());
        add("--out", text(&image));
        let said = self.bistable(&arguments)?;
        let digest = name_of(&fs::read(&image)?)?;
        let (name, sequence) = (release.name, release.sequence);
        observed(
            "tools",
            format!("{name} is {}, sequence {sequence}", &digest[..8]),
        );
        if release.name == "v1" {
            observed("tools", said.trim_end());
        }
        Ok(digest)
    }

    /// Makes an image the newest one on the server.
    pub(super) fn publish(&self, name: &str) -> Result<()> {
        let (store, image) = (self.places.file("store"), self.image(name));
        let arguments = [Path::new("publish"), store.as_path(), image.as_path()];
        self.bistable(&arguments)?;
        observed("server", format!("{name} is the newest"));
        Ok(())
    }

    /// Makes bytes that are no whole image the newest one on the server, under the name of the image
    /// that they were made from.
    pub(super) fn publish_bytes(&self, what: &str, digest: &str, bytes: &[u8]) -> Result<()> {
        let image = self.places.file(format!("store/images/{digest}.img"));
        let replacement = image.with_extension("new");
        fs::write(&replacement, bytes)?;
        fs::rename(&replacement, image)?;
        let latest = self.places.file("store/latest");
        let channel = fs::read_dir(&latest)?.next().context("a channel")??.path();
        let replacement = self.places.file("store/latest.new");
        fs::write(&replacement, format!("{digest}\n"))?;
        fs::rename(&replacement, channel)?;
        observed("server", format!("{what} is the newest"));
        Ok(())
    }
}

/// The name of the image that begins with these bytes, in 64 digits.
pub(super) fn name_of(image: &[u8]) -> Result<String> {
    let manifest = image.get(..MANIFEST_LEN).context("a manifest")?;
    Ok(Digest::of(manifest).to_string())
}

/// Copies an ELF file with the behaviour of `release`.
pub(super) fn patch(elf: &Path, patched: &Path, release: &Release) -> Result<()> {
    let mut bytes = fs::read(elf).with_context(|| format!("read {}", elf.display()))?;
    put(&mut bytes, BEHAVIOUR, &[release.behaviour])
        .and_then(|()| put(&mut bytes, SUPPLY, &release.supply.to_le_bytes()))
        .with_context(|| elf.display().to_string())?;
    fs::write(patched, bytes)?;
    Ok(())
}

/// Puts `bytes` behind `marker`.
fn put(elf: &mut [u8], marker: &[u8], bytes: &[u8]) -> Result<()> {
    let windows = elf.windows(marker.len()).enumerate();
    let found = windows.filter(|(_, window)| *window == marker);
    let places: Vec<usize> = found.map(|(at, _)| at + marker.len()).collect();
    let [place] = places[..] else {
        bail!(
            "found the marker {:?} {} times, expected once",
            String::from_utf8_lossy(marker),
            places.len()
        );
    };
    let place = elf.get_mut(place..place + bytes.len());
    place
        .context("the file ends behind the marker")?
        .copy_from_slice(bytes);
    Ok(())
}
