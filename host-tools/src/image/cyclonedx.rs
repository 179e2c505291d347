//! The part of CycloneDX 1.6 (ECMA-424, JSON) that these tools write, and read of what others wrote.
//!
//! Read is leniently: whatever else a document holds is not looked at.

use serde::{Deserialize, Serialize};

/// What [`Bom::format`] says.
pub const FORMAT: &str = "CycloneDX";
/// The version that is written.
pub const SPECIFICATION: &str = "1.6";

/// A bill of materials.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Bom {
    /// [`FORMAT`].
    #[serde(rename = "bomFormat")]
    pub format: String,
    /// [`SPECIFICATION`].
    #[serde(rename = "specVersion")]
    pub specification: String,
    /// `urn:uuid:…`.
    #[serde(rename = "serialNumber", skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<String>,
    /// Of this document; 1 for the first.
    #[serde(default)]
    pub version: u32,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// What that consists of.
    #[serde(default)]
    pub components: Vec<Component>,
    /// Which component needs which.
    #[serde(default)]
    pub dependencies: Vec<Dependency>,
}

/// What a document is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Metadata {
    /// What the document describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<Component>,
}

/// A component.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Component {
    /// `library`, `firmware`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// By which [`Dependency`] names it.
    #[serde(rename = "bom-ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Its name.
    pub name: String,
    /// Its version, in whatever form its makers give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `required` if it is in the product, `excluded` if it is needed for making it only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Of the package that it came in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<Hash>,
    /// How it may be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub licenses: Vec<License>,
    /// Package URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// What it consists of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Component>,
}

/// A digest.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hash {
    /// `SHA-256`, …
    #[serde(rename = "alg")]
    pub algorithm: String,
    /// In hexadecimal digits.
    pub content: String,
}

/// A licence: an SPDX expression, or a licence by id or name.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct License {
    /// SPDX licence expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// A single licence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<SingleLicense>,
}

/// A licence by its id or by its name.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SingleLicense {
    /// Of the SPDX list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Of one that is not on that list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What a component needs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Dependency {
    /// The component.
    #[serde(rename = "ref")]
    pub of: String,
    /// What it needs itself.
    #[serde(rename = "dependsOn", default)]
    pub on: Vec<String>,
}

impl Bom {
    /// Reads a document; `None` if it is something else.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bom: Self = serde_json::from_slice(bytes).ok()?;
        (bom.format == FORMAT).then_some(bom)
    }

    /// What is in the product: what it is about and all components, those within others too, except what
    /// was only needed for making it.
    #[must_use]
    pub fn contained(&self) -> Vec<&Component> {
        let about = self.metadata.as_ref().and_then(|it| it.component.as_ref());
        let mut found = Vec::new();
        let mut waiting: Vec<_> = self.components.iter().rev().chain(about).collect();
        while let Some(component) = waiting.pop() {
            if component.scope.as_deref() != Some("excluded") {
                found.push(component);
                waiting.extend(component.components.iter().rev());
            }
        }
        found
    }
}

impl Component {
    /// Its licences in one line.
    #[must_use]
    pub fn license(&self) -> Option<String> {
        let names = self.licenses.iter().filter_map(|license| {
            let single = license.license.as_ref();
            let single = single.and_then(|it| it.id.as_ref().or(it.name.as_ref()));
            license.expression.as_ref().or(single)
        });
        let names: Vec<_> = names.map(String::as_str).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_read_with_components_within_components() {
        let text = br#"{ "bomFormat": "CycloneDX", "specVersion": "1.4", "$schema": "http://x",
            "metadata": { "timestamp": "2026-01-01T00:00:00Z", "tools": [],
                "component": { "type": "firmware", "name": "lamp" } },
            "components": [
                { "type": "framework", "name": "rtos", "version": "10.4-custom",
                  "licenses": [{ "license": { "id": "MIT" } }],
                  "components": [{ "type": "library", "name": "tcp", "version": "2.1" }] },
                { "type": "application", "name": "gcc", "scope": "excluded" } ] }"#;
        let bom = Bom::parse(text).unwrap();
        let names: Vec<_> = bom.contained().iter().map(|it| it.name.clone()).collect();
        assert_eq!(names, ["lamp", "rtos", "tcp"]);
        assert_eq!(bom.components[0].license().as_deref(), Some("MIT"));
    }

    #[test]
    fn what_is_no_bill_of_materials_is_not_taken_for_one() {
        assert_eq!(Bom::parse(b"{}"), None);
        assert_eq!(Bom::parse(b"SPDXVersion: SPDX-2.3"), None);
        let other = br#"{ "bomFormat": "SPDX", "specVersion": "2.3" }"#;
        assert_eq!(Bom::parse(other), None);
    }
}
