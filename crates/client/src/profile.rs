//! Where a cluster is and who we are there: the `client.toml` file.

use crate::profile_file;
use paxos::NodeId;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use transport::{ClusterId, SignedToken};
use world::PlayerName;

/// No profile is longer than this, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Everything a client needs to know to find a cluster and be let in.
///
/// ```toml
/// cluster = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
/// ca = "ca/ca.pem"           # beside this file, unless absolute
/// token = "5d41402abc4b..."  # or: token_file = "scrat.token"
/// player = "scrat"           # who plays unless told otherwise; may be left out
///
/// [[nodes]]
/// id = "n1"
/// quic = "127.0.0.1:9001"
/// http = "127.0.0.1:8080"    # may be left out, like the region
/// region = "local"
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Profile {
    /// Which cluster.
    pub cluster: ClusterId,
    /// Its authority's certificate, a PEM file.
    pub ca: PathBuf,
    /// Who we are, signed by the cluster. A secret.
    pub token: SignedToken,
    /// Its nodes.
    pub nodes: Vec<NodeEntry>,
    /// Who plays unless told otherwise.
    pub player: Option<PlayerName>,
}

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEntry {
    /// Which node.
    pub id: NodeId,
    /// `host:port` of its QUIC endpoint.
    pub quic: String,
    /// `host:port` of its HTTP endpoint; empty if not known.
    pub http: String,
    /// Its region; empty if not known.
    pub region: String,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The operating system said no.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
    /// Others may read the token.
    #[error("{} holds a token and can be read by others (mode {mode:03o}): run `chmod 600 {}` and think about who may have read it", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Something in it is wrong.
    #[error("{}:{line}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there, with field and value (but no secret).
        problem: String,
    },
    /// Far longer than a profile.
    #[error("{} has over {MAX_FILE} bytes: that is not a client profile", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

impl Profile {
    /// Reads a profile. Relative paths in it are from its own directory.
    pub fn load(path: &Path) -> Result<Self, ProfileError> {
        let (text, mode) = read(path)?;
        let page = profile_file::parse(path, &text)?;
        if page.token.is_some() {
            refuse_exposed(path, mode)?;
        }
        let beside = |name: &str| path.parent().unwrap_or(Path::new("")).join(name);
        let token = match page.token_file() {
            Some((line, name)) => {
                let token_path = beside(name);
                let (text, mode) = read(&token_path)?;
                refuse_exposed(&token_path, mode)?;
                let content = |error| ProfileError::Content {
                    path: path.to_owned(),
                    line,
                    problem: format!("token_file = '{name}': {error}"),
                };
                text.trim().parse::<SignedToken>().map_err(content)?
            }
            None => page.inline_token(path, &text)?,
        };
        Ok(Self { cluster: page.cluster, ca: beside(&page.ca), token, nodes: page.nodes, player: page.player })
    }

    /// Writes a profile that only its owner can read (mode 0600), replacing an old one at once. The certificate's path is
    /// written relative to the file where it lies below the same directory.
    pub fn save(&self, path: &Path) -> Result<(), ProfileError> {
        let directory = path.parent().unwrap_or(Path::new(""));
        let ca = if self.ca.is_absolute() == directory.is_absolute() {
            self.ca.strip_prefix(directory).unwrap_or(&self.ca)
        } else {
            &self.ca
        };
        let text = profile_file::render(self, &ca.to_string_lossy());
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}.new", std::process::id()));
        let draft = PathBuf::from(draft);
        let written = write_new(&draft, text.as_bytes()).and_then(|()| std::fs::rename(&draft, path));
        if let Err(source) = written {
            // Nobody refers to the draft; the first error is the one worth reporting.
            let _ = std::fs::remove_file(&draft);
            return Err(ProfileError::Io { doing: "write", path: path.to_owned(), source });
        }
        Ok(())
    }

    /// The entry of `node`.
    pub fn node(&self, node: NodeId) -> Option<&NodeEntry> {
        self.nodes.iter().find(|entry| entry.id == node)
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, ca, token: _, nodes, player } = self;
        f.debug_struct("Profile")
            .field("cluster", cluster)
            .field("ca", ca)
            .field("nodes", nodes)
            .field("player", player)
            .finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<(String, u32), ProfileError> {
    let failed = |doing| move |source| ProfileError::Io { doing, path: path.to_owned(), source };
    let file = File::open(path).map_err(failed("open"))?;
    let mode = file.metadata().map_err(failed("look at"))?.permissions().mode() & 0o777;
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(failed("read"))?;
    if text.len() as u64 > MAX_FILE {
        return Err(ProfileError::TooLarge { path: path.to_owned() });
    }
    Ok((text, mode))
}

fn refuse_exposed(path: &Path, mode: u32) -> Result<(), ProfileError> {
    if mode & 0o077 != 0 {
        return Err(ProfileError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    // What an earlier process of this number may have left; `create_new` makes sure that the mode is ours.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
