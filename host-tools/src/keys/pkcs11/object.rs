//! The one private key that is meant among a token's objects, and its public half.

use std::fmt::{self, Display};

use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::uri::{Uri, id_text};
use super::{either, refused};
use crate::Error;

/// How tokens write the curve of Ed25519 in `CKA_EC_PARAMS` (DER): the object id 1.3.101.112 (RFC 8410),
/// an older one, and PKCS#11 3.0's `PrintableString` "edwards25519".
const ED25519: [&[u8]; 3] = [
    b"\x06\x03\x2b\x65\x70",
    b"\x06\x09\x2b\x06\x01\x04\x01\xda\x47\x0f\x01",
    b"\x13\x0cedwards25519",
];

/// DER of an octet string of 32 bytes, which most tokens put around a public key.
const OCTETS: &[u8] = b"\x04\x20";

/// A key object, as far as it can be read.
pub(super) struct Object {
    pub(super) handle: ObjectHandle,
    label: String,
    id: Vec<u8>,
    kind: Option<KeyType>,
    curve: Option<Vec<u8>>,
    point: Option<Vec<u8>>,
    /// Whether the token wants the PIN again before each signature.
    pub(super) asks_always: bool,
}

/// The private Ed25519 key that the URI means; `place` is the token.
pub(super) fn private_key(session: &Session, uri: &Uri, place: &str) -> Result<Object, Error> {
    let all = objects(session, ObjectClass::PRIVATE_KEY, place)?;
    let found = found(&all, uri);
    let mut usable = all
        .into_iter()
        .filter(|key| key.is_meant_by(uri) && key.may_be_ed25519());
    match (usable.next(), usable.next()) {
        (Some(key), None) => Ok(key),
        _ => Err(Error::argument(
            place,
            found,
            format_args!("one private Ed25519 key for `{uri}`"),
            "name the key by `object=` or `id=`",
        )),
    }
}

/// What there is: the keys that the URI means, or all if it means none.
fn found(all: &[Object], uri: &Uri) -> String {
    let (meant, others): (Vec<_>, Vec<_>) = all.iter().partition(|key| key.is_meant_by(uri));
    match meant.is_empty() {
        true => format!("no such private key, but {}", either(&others)),
        false => either(&meant),
    }
}

/// The public half of `key`: what the public objects with its id say, and the private one itself.
pub(super) fn public_half(session: &Session, key: &Object, place: &str) -> Result<[u8; 32], Error> {
    let public = objects(session, ObjectClass::PUBLIC_KEY, place)?;
    // A key without an id is known by its label.
    let belongs = |object: &&Object| match key.id.is_empty() {
        true => object.id.is_empty() && object.label == key.label,
        false => object.id == key.id,
    };
    let halves = public.iter().filter(belongs);
    let edwards = halves
        .chain([key])
        .filter(|it| it.kind == Some(KeyType::EC_EDWARDS));
    let mut points: Vec<_> = edwards.filter_map(|it| it.point.as_deref()).collect();
    points.sort_by_key(|point| unwrapped(point));
    points.dedup_by_key(|point| unwrapped(point));
    match points.as_slice() {
        [point] => unwrapped(point).ok_or_else(|| {
            let found = format!("a public key of {} bytes", point.len());
            let hint = "is it a key for Ed448? Make one for Ed25519";
            Error::argument(
                format_args!("{place}: {key}"),
                found,
                "an Ed25519 key of 32 bytes",
                hint,
            )
        }),
        [] => Err(Error::argument(
            format_args!("{place}: {key}"),
            "no public key beside it",
            "one with the same id",
            "import the public key into the token under the private key's id",
        )),
        _ => Err(Error::argument(
            format_args!("{place}: {key}"),
            format_args!("{} different public keys with this id", points.len()),
            "one",
            "give each key an id of its own",
        )),
    }
}

/// The key itself, with or without the octet string around it.
fn unwrapped(point: &[u8]) -> Option<[u8; 32]> {
    let inner = point.strip_prefix(OCTETS).filter(|inner| inner.len() == 32);
    inner.unwrap_or(point).try_into().ok()
}

/// In the order of their labels: a token's own order may differ each time.
fn objects(session: &Session, class: ObjectClass, place: &str) -> Result<Vec<Object>, Error> {
    let refuse = || refused(place, "list its keys");
    let template = [Attribute::Class(class), Attribute::Token(true)];
    let handles = session.find_objects(&template).map_err(refuse())?;
    let wanted = [
        AttributeType::Label,
        AttributeType::Id,
        AttributeType::KeyType,
        AttributeType::EcParams,
        AttributeType::EcPoint,
        AttributeType::AlwaysAuthenticate,
    ];
    let read = |handle| {
        let mut object = Object::new(handle);
        // One by one: a token that does not know one of them may refuse them all.
        for attribute in wanted {
            let value = session.get_attributes(handle, &[attribute]);
            value
                .unwrap_or_default()
                .into_iter()
                .for_each(|value| object.set(value));
        }
        object
    };
    let mut objects: Vec<_> = handles.into_iter().map(read).collect();
    objects.sort_by(|a, b| (&a.label, &a.id).cmp(&(&b.label, &b.id)));
    Ok(objects)
}

impl Object {
    fn new(handle: ObjectHandle) -> Self {
        Self {
            handle,
            label: String::new(),
            id: Vec::new(),
            kind: None,
            curve: None,
            point: None,
            asks_always: false,
        }
    }

    fn set(&mut self, value: Attribute) {
        let some = |bytes: Vec<u8>| Some(bytes).filter(|bytes| !bytes.is_empty());
        match value {
            Attribute::Label(label) => self.label = String::from_utf8_lossy(&label).into(),
            Attribute::Id(id) => self.id = id,
            Attribute::KeyType(kind) => self.kind = Some(kind),
            Attribute::EcParams(curve) => self.curve = some(curve),
            Attribute::EcPoint(point) => self.point = some(point),
            Attribute::AlwaysAuthenticate(always) => self.asks_always = always,
            _ => {}
        }
    }

    fn is_meant_by(&self, uri: &Uri) -> bool {
        uri.object.as_ref().is_none_or(|label| *label == self.label)
            && uri.id.as_ref().is_none_or(|id| *id == self.id)
    }

    /// An Edwards key whose curve is the right one, or is not told.
    fn may_be_ed25519(&self) -> bool {
        let curve = self.curve.as_deref();
        self.kind == Some(KeyType::EC_EDWARDS) && curve.is_none_or(|it| ED25519.contains(&it))
    }
}

impl Display for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Some(KeyType::EC_EDWARDS) if self.may_be_ed25519() => "Ed25519",
            Some(KeyType::EC_EDWARDS) => "Edwards, but not Ed25519",
            Some(KeyType::EC) => "ECDSA",
            Some(KeyType::RSA) => "RSA",
            _ => "another kind",
        };
        let id = id_text(&self.id);
        write!(formatter, "key `{}` (id={id}, {kind})", self.label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_is_read_with_and_without_the_octet_string_around_it() {
        let key = [7; 32];
        assert_eq!(unwrapped(&key), Some(key));
        assert_eq!(unwrapped(&[OCTETS, &key].concat()), Some(key));
    }

    #[test]
    fn a_key_that_looks_like_an_octet_string_is_a_key() {
        let mut key = [9; 32];
        key[..2].copy_from_slice(OCTETS);
        assert_eq!(unwrapped(&key), Some(key));
    }

    #[test]
    fn a_public_key_of_another_length_is_none() {
        assert_eq!(unwrapped(&[1; 57]), None);
        assert_eq!(unwrapped(&[4, 0x20, 1]), None);
    }
}
