//! The text of a profile. Strict, because a slip in it sends people to the wrong cluster: what is not understood is refused,
//! and every error names file, line and field.

use crate::profile::{NodeEntry, Profile, ProfileError};
use paxos::NodeId;
use serde::Deserialize;
use std::fmt::Write;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use transport::{ClusterId, SignedToken};
use world::PlayerName;

/// The most nodes a profile may name.
const MAX_NODES: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    cluster: Spanned<String>,
    ca: Spanned<String>,
    token: Option<Spanned<String>>,
    token_file: Option<Spanned<String>>,
    player: Option<Spanned<String>>,
    #[serde(default)]
    nodes: Vec<Spanned<Node>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    id: Spanned<String>,
    quic: Spanned<String>,
    #[serde(default)]
    http: String,
    #[serde(default)]
    region: String,
}

/// A profile whose token may be in another file.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub cluster: ClusterId,
    pub ca: String,
    pub token: Option<Spanned<String>>,
    token_file: Option<(usize, String)>,
    pub nodes: Vec<NodeEntry>,
    pub player: Option<PlayerName>,
}

impl Parsed {
    /// The line and name of the file with the token.
    pub fn token_file(&self) -> Option<(usize, &str)> {
        self.token_file.as_ref().map(|(line, name)| (*line, name.as_str()))
    }

    pub fn inline_token(&self, path: &Path, text: &str) -> Result<SignedToken, ProfileError> {
        let Some(token) = &self.token else {
            return Err(fault(path, text, 0..0, "there is no token: set token = \"...\" or token_file = \"...\""));
        };
        token.get_ref().parse().map_err(|error| fault(path, text, token.span(), format!("token: {error}")))
    }
}

/// Reads the text of the profile at `path`.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Parsed, ProfileError> {
    let page: Page = toml::from_str(text).map_err(|error| {
        // Not the offending text, which might be the token.
        let problem = error.message().trim().replace('\n', "; ");
        fault(path, text, error.span().unwrap_or_default(), problem)
    })?;
    let cluster = checked(path, text, "cluster", &page.cluster)?;
    let player = page.player.as_ref().map(|player| {
        PlayerName::new(player.get_ref()).map_err(|error| fault(path, text, player.span(), format!("player: {error}")))
    });
    if page.ca.get_ref().is_empty() {
        return Err(fault(path, text, page.ca.span(), "ca: name the file with the cluster's certificate"));
    }
    if let (Some(_), Some(file)) = (&page.token, &page.token_file) {
        return Err(fault(path, text, file.span(), "token_file: there is a token already; keep one of the two"));
    }
    if page.nodes.is_empty() || page.nodes.len() > MAX_NODES {
        let problem = format!("nodes: {} of them; a profile needs 1 to {MAX_NODES} [[nodes]]", page.nodes.len());
        return Err(fault(path, text, 0..0, problem));
    }
    let mut nodes: Vec<NodeEntry> = Vec::with_capacity(page.nodes.len());
    for node in page.nodes {
        let node = node.into_inner();
        let id: NodeId = checked(path, text, "id", &node.id)?;
        if nodes.iter().any(|other| other.id == id) {
            return Err(fault(path, text, node.id.span(), format!("id: {id} is listed twice")));
        }
        let quic = node.quic.get_ref();
        let port = quic.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(1..))) {
            let problem = format!("quic: '{quic}' is not an address; write HOST:PORT, for example 127.0.0.1:9001");
            return Err(fault(path, text, node.quic.span(), problem));
        }
        nodes.push(NodeEntry { id, quic: quic.clone(), http: node.http, region: node.region });
    }
    let token_file = page.token_file.map(|file| (line_of(text, file.span()), file.into_inner()));
    Ok(Parsed { cluster, ca: page.ca.into_inner(), token: page.token, token_file, nodes, player: player.transpose()? })
}

/// The text of a profile whose certificate is at `ca`.
pub(crate) fn render(profile: &Profile, ca: &str) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let mut text =
        String::from("# How to reach a cluster, and as whom. The token is a secret: keep this file to yourself.\n");
    let mut line = |key: &str, value: &str| {
        writeln!(text, "{key} = {}", quoted(value)).expect("a String takes every write");
    };
    line("cluster", &profile.cluster.to_string());
    line("ca", ca);
    line("token", &profile.token.to_hex());
    if let Some(player) = &profile.player {
        line("player", player.as_str());
    }
    for NodeEntry { id, quic, http, region } in &profile.nodes {
        write!(
            text,
            "\n[[nodes]]\nid = {}\nquic = {}\nhttp = {}\nregion = {}\n",
            quoted(&id.to_string()),
            quoted(quic),
            quoted(http),
            quoted(region)
        )
        .expect("a String takes every write");
    }
    text
}

fn checked<T>(path: &Path, text: &str, field: &str, value: &Spanned<String>) -> Result<T, ProfileError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    value.get_ref().parse().map_err(|error| fault(path, text, value.span(), format!("{field}: {error}")))
}

fn fault(path: &Path, text: &str, span: Range<usize>, problem: impl Into<String>) -> ProfileError {
    ProfileError::Content { path: path.to_owned(), line: line_of(text, span), problem: problem.into() }
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count()
}
