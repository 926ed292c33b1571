//! Who asks: bearer tokens, and the tokens that new players get.

use crate::Problem;
use axum::http::{HeaderMap, header};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use transport::{SignedToken, Subject, Token, TokenKey, TokenKeyError, TokenKeys};
use world::{Millis, PlayerName};

/// Among a node's keys: the secret half of the key that signs players' tokens.
pub const PLAYERS_KEY: &str = "players.key";
/// Among a node's keys: the token with which its gateway speaks to the cluster.
pub const GATEWAY_TOKEN: &str = "gateway.token";

/// Checks tokens, and makes players'.
#[derive(Debug)]
pub struct Access {
    keys: TokenKeys,
    players: TokenKey,
}

impl Access {
    /// With the node's keys in this directory.
    pub fn load(keys: TokenKeys, directory: &Path) -> Result<Self, TokenKeyError> {
        Ok(Self { keys, players: TokenKey::load(&directory.join(PLAYERS_KEY))? })
    }

    /// Whom a token, as text, speaks for.
    pub fn subject(&self, token: &str) -> Result<Subject, Problem> {
        let signed: SignedToken = token.parse().map_err(|error| Problem::bad_token(format!("{error}")))?;
        self.keys.verify(signed.as_bytes(), now()).map_err(|error| Problem::bad_token(error.to_string()))
    }

    /// The player that a token, as text, speaks for.
    pub fn player(&self, token: &str) -> Result<PlayerName, Problem> {
        match self.subject(token)? {
            Subject::Player(name) => Ok(name),
            Subject::LocalOperator | Subject::Gateway(_) => {
                Err(Problem::not_allowed("this is no player's token: `POST /v1/players` gives a player its own"))
            }
        }
    }

    /// The player who asks. Without a word about it, nobody.
    pub fn caller(&self, headers: &HeaderMap) -> Result<Option<PlayerName>, Problem> {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
        let token = value.to_str().ok().and_then(|value| value.split_once(' '));
        let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let (_, token) = token.ok_or_else(|| Problem::bad_token("`Authorization` must be `Bearer TOKEN`"))?;
        self.player(token.trim()).map(Some)
    }

    /// The player who commands.
    pub fn commander(&self, headers: &HeaderMap) -> Result<PlayerName, Problem> {
        self.caller(headers)?.ok_or_else(Problem::no_token)
    }

    /// A token for a player.
    pub fn issue(&self, player: PlayerName) -> SignedToken {
        let cluster = self.keys.cluster;
        self.players.issue(&Token { cluster, subject: Subject::Player(player), issued: now(), expires: None })
    }
}

/// The token of a node's gateway, among the node's keys.
pub(crate) fn own_token(directory: &Path) -> Result<SignedToken, TokenKeyError> {
    SignedToken::load(&directory.join(GATEWAY_TOKEN))
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
