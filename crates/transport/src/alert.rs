//! TLS's alerts, told in our words.

use crate::alpn;
use quinn::TransportErrorCode;
use std::ops::RangeInclusive;

/// `bad_certificate` to `unknown_ca` (RFC 8446, section 6).
const CERTIFICATE: RangeInclusive<u8> = 42..=48;
/// `decrypt_error`: a certificate whose signature is wrong.
const SIGNATURE: u8 = 51;
/// `no_application_protocol`.
const NO_PROTOCOL: u8 = 120;

/// Whether a handshake failed over a certificate.
pub(crate) fn is_certificate(code: TransportErrorCode) -> bool {
    CERTIFICATE.chain([SIGNATURE]).any(|alert| code == TransportErrorCode::crypto(alert))
}

/// Whether a handshake failed for want of a common protocol.
pub(crate) fn is_no_protocol(code: TransportErrorCode) -> bool {
    code == TransportErrorCode::crypto(NO_PROTOCOL)
}

/// What this side found wrong.
pub(crate) fn found_here(code: TransportErrorCode, detail: &str) -> String {
    if is_certificate(code) {
        return format!(
            "the other side is not who it should be ({detail}): check the address, and that both are of the same cluster"
        );
    }
    no_protocol(code).unwrap_or_else(|| detail.to_owned())
}

/// What the other side found wrong.
pub(crate) fn found_there(code: TransportErrorCode, detail: &str) -> String {
    if is_certificate(code) {
        return format!(
            "the other side does not accept our certificate ({detail}): check that both are of the same cluster"
        );
    }
    no_protocol(code).unwrap_or_else(|| detail.to_owned())
}

fn no_protocol(code: TransportErrorCode) -> Option<String> {
    let text =
        format!("no common protocol: this side speaks {} and {}, the other side neither", alpn::NODE, alpn::CLIENT);
    is_no_protocol(code).then_some(text)
}
