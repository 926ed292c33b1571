//! Tokens: who a client is, signed by the cluster's token key.
//!
//! A token is a signature (Ed25519, 64 bytes) followed by the MessagePack of [`Token`]. The signature also covers a fixed
//! prefix, so that it means nothing anywhere else. Nothing of a token is decoded before its signature has been checked.

use crate::hex;
use crate::key_file::{self, KeyFileError};
use paxos::NodeId;
use placement::ClusterId;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use world::{Millis, PlayerName};

const CONTEXT: &[u8] = b"icefarm-token/1\0";
const SIGNATURE: usize = 64;
/// No token is longer.
pub const MAX_TOKEN: usize = 512;

/// Who a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// Whoever can read a local cluster's files: may do everything and play as anybody.
    LocalOperator,
    /// One player.
    Player(PlayerName),
    /// The gateway of a node: commands for any player, whose own token it has checked, and may ask for reports.
    Gateway(NodeId),
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Where it is valid.
    pub cluster: ClusterId,
    /// Whom it speaks for.
    pub subject: Subject,
    /// When it was made.
    pub issued: Millis,
    /// From when on it is worth nothing; `None` for never.
    pub expires: Option<Millis>,
}

/// Why a token was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Far too short or too long.
    #[error("a token of {0} bytes cannot be one of ours: ask the cluster's operator for a token")]
    Length(usize),
    /// Changed on the way, or made by somebody else.
    #[error("the token's signature is not this cluster's: ask the cluster's operator for a token")]
    Signature,
    /// Signed by us, but not readable: made by another version.
    #[error("the token is of another version ({0}): ask the cluster's operator for a new one")]
    Malformed(String),
    /// Signed with the key that is for players' tokens alone.
    #[error(
        "a gateway signed this token, and gateways sign players' tokens alone: ask the cluster's operator for a token"
    )]
    NotAPlayers,
    /// Of another cluster.
    #[error("the token is for cluster {theirs}, this is cluster {ours}: use the profile of this cluster")]
    OtherCluster {
        /// Named in the token.
        theirs: ClusterId,
        /// Where it was shown.
        ours: ClusterId,
    },
    /// Too old.
    #[error("the token expired at {expired} (now {now}): ask for a new one")]
    Expired {
        /// When it did.
        expired: Millis,
        /// When it was shown.
        now: Millis,
    },
}

/// Why a token key could not be made or loaded.
#[derive(Debug, thiserror::Error)]
pub enum TokenKeyError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The file holds something else.
    #[error("{} holds something else than it should: {detail}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The operating system gave no randomness, or the key could not be made of it.
    #[error("cannot make a token key")]
    Generate,
}

/// The key that signs a cluster's tokens.
pub struct TokenKey {
    pair: Ed25519KeyPair,
    pkcs8: Vec<u8>,
}

impl TokenKey {
    /// A new key.
    pub fn create() -> Result<Self, TokenKeyError> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| TokenKeyError::Generate)?;
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(|_| TokenKeyError::Generate)?;
        Ok(Self { pair, pkcs8: pkcs8.as_ref().to_vec() })
    }

    /// Reads a PKCS#8 file.
    pub fn load(path: &Path) -> Result<Self, TokenKeyError> {
        let pkcs8 = key_file::read_secret(path)?;
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8)
            .map_err(|error| TokenKeyError::Malformed { path: path.to_owned(), detail: error.to_string() })?;
        Ok(Self { pair, pkcs8 })
    }

    /// Writes a PKCS#8 file (mode 0600).
    pub fn save(&self, path: &Path) -> Result<(), TokenKeyError> {
        Ok(key_file::write_secret(path, &self.pkcs8)?)
    }

    /// What verifies this key's tokens.
    pub fn public(&self) -> TokenPublic {
        TokenPublic(self.pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes"))
    }

    /// Signs a token.
    pub fn issue(&self, token: &Token) -> SignedToken {
        let mut signed = CONTEXT.to_vec();
        rmp_serde::encode::write(&mut signed, token).expect("a Vec takes every write, and every token has a form");
        let mut bytes = self.pair.sign(&signed).as_ref().to_vec();
        bytes.extend_from_slice(&signed[CONTEXT.len()..]);
        SignedToken(bytes)
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token key of {:?}", self.public())
    }
}

/// The public half of a [`TokenKey`]; 64 hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TokenPublic([u8; 32]);

impl TokenPublic {
    /// What the token says, if this key signed it, for this cluster, and it has not expired.
    pub fn verify(&self, token: &[u8], now: Millis, cluster: ClusterId) -> Result<Token, TokenError> {
        if token.len() <= SIGNATURE || token.len() > MAX_TOKEN {
            return Err(TokenError::Length(token.len()));
        }
        let (signature, body) = token.split_at(SIGNATURE);
        let signed = [CONTEXT, body].concat();
        UnparsedPublicKey::new(&ED25519, self.0).verify(&signed, signature).map_err(|_| TokenError::Signature)?;
        let token: Token = rmp_serde::from_slice(body).map_err(|error| TokenError::Malformed(error.to_string()))?;
        if token.cluster != cluster {
            return Err(TokenError::OtherCluster { theirs: token.cluster, ours: cluster });
        }
        match token.expires {
            Some(expired) if expired <= now => Err(TokenError::Expired { expired, now }),
            _ => Ok(token),
        }
    }
}

/// What verifies all of a cluster's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenKeys {
    /// Which cluster.
    pub cluster: ClusterId,
    /// The operator's key: signs any token. Its secret half is kept where the cluster was founded.
    pub operator: TokenPublic,
    /// The gateways' key: signs players' tokens and no others. Its secret half is on every node.
    pub players: TokenPublic,
}

impl TokenKeys {
    /// Whom the token speaks for, if one of the keys signed it that may.
    pub fn verify(&self, token: &[u8], now: Millis) -> Result<Subject, TokenError> {
        match self.operator.verify(token, now, self.cluster) {
            Err(TokenError::Signature) => {}
            verified => return verified.map(|token| token.subject),
        }
        match self.players.verify(token, now, self.cluster)?.subject {
            player @ Subject::Player(_) => Ok(player),
            Subject::LocalOperator | Subject::Gateway(_) => Err(TokenError::NotAPlayers),
        }
    }
}

/// A token as it travels. As text, for a client's profile: hexadecimal. Whoever has it is its subject: a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SignedToken(Vec<u8>);

impl SignedToken {
    /// What goes into the greeting.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Writes it as text to a file that only its owner may read (mode 0600).
    pub fn save(&self, path: &Path) -> Result<(), TokenKeyError> {
        Ok(key_file::write_secret(path, self.to_hex().as_bytes())?)
    }

    /// Reads such a file.
    pub fn load(path: &Path) -> Result<Self, TokenKeyError> {
        let text = String::from_utf8_lossy(&key_file::read_secret(path)?).into_owned();
        text.trim().parse().map_err(|error: TokenTextError| TokenKeyError::Malformed {
            path: path.to_owned(),
            detail: error.to_string(),
        })
    }

    /// As text.
    pub fn to_hex(&self) -> String {
        hex::encode(&self.0)
    }
}

impl fmt::Debug for SignedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a token of {} bytes", self.0.len())
    }
}

/// Text that is no token, or no public key. Does not show the text, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is expected as hexadecimal digits; these {len} characters are not it")]
pub struct TokenTextError {
    what: &'static str,
    len: usize,
}

impl FromStr for SignedToken {
    type Err = TokenTextError;

    fn from_str(text: &str) -> Result<Self, TokenTextError> {
        let bytes = hex::decode(text).filter(|bytes| bytes.len() > SIGNATURE && bytes.len() <= MAX_TOKEN);
        bytes.map(Self).ok_or(TokenTextError { what: "a token", len: text.len() })
    }
}

impl FromStr for TokenPublic {
    type Err = TokenTextError;

    fn from_str(text: &str) -> Result<Self, TokenTextError> {
        let bytes = hex::decode(text).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(TokenTextError { what: "a token's public key", len: text.len() })
    }
}

impl fmt::Display for TokenPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for TokenPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token public key {}", &hex::encode(&self.0)[..8])
    }
}

impl From<SignedToken> for String {
    fn from(token: SignedToken) -> Self {
        token.to_hex()
    }
}

impl TryFrom<String> for SignedToken {
    type Error = TokenTextError;

    fn try_from(text: String) -> Result<Self, TokenTextError> {
        text.parse()
    }
}

impl From<TokenPublic> for String {
    fn from(key: TokenPublic) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for TokenPublic {
    type Error = TokenTextError;

    fn try_from(text: String) -> Result<Self, TokenTextError> {
        text.parse()
    }
}
