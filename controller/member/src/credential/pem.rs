//! Just enough PEM: blocks of certificates, and the look of a private key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// The DER of every certificate, or what is wrong; at least one, and nothing but certificates.
pub(super) fn certificates(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let blocks = blocks(text)?;
    if blocks.is_empty() {
        return Err("holds no PEM certificate".to_owned());
    }
    blocks
        .into_iter()
        .map(|(label, der)| match label {
            // Every certificate is a DER SEQUENCE.
            "CERTIFICATE" if der.first() == Some(&0x30) => Ok(der),
            "CERTIFICATE" => Err("holds a certificate that is not DER".to_owned()),
            other => Err(format!("holds a PEM block {other:?}, not a certificate")),
        })
        .collect()
}

/// Checks that there is exactly one private key that needs no passphrase.
pub(super) fn private_key(text: &str) -> Result<(), String> {
    let blocks = blocks(text)?;
    let mut keys = blocks
        .iter()
        .filter(|(label, _)| label.ends_with("PRIVATE KEY"));
    match (keys.next(), keys.next()) {
        (Some((label, _)), None) if !label.starts_with("ENCRYPTED") => Ok(()),
        (Some(_), None) => Err("is encrypted".to_owned()),
        (None, _) => Err("holds no PEM private key".to_owned()),
        (Some(_), Some(_)) => Err("holds more than one private key".to_owned()),
    }
}

/// Label and content of every block.
fn blocks(text: &str) -> Result<Vec<(&str, Vec<u8>)>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(BEGIN) {
        let after = &rest[start + BEGIN.len()..];
        let (label, body) = after
            .split_once("-----")
            .ok_or("holds a broken PEM block")?;
        let (content, tail) = body
            .split_once(&format!("{END}{label}-----"))
            .ok_or_else(|| format!("holds a PEM block {label:?} without an end"))?;
        let packed: String = content.split_whitespace().collect();
        let der = BASE64
            .decode(packed)
            .map_err(|_| format!("holds a PEM block {label:?} that is not base64"))?;
        found.push((label, der));
        rest = tail;
    }
    Ok(found)
}
