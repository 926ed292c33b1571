//! `icefarm node`: one node in the foreground.

use crate::exit::{Exit, Failure};
use node::{Node, NodeConfig, NodeError};
use std::fs::{self, File};
use std::future::Future;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};
use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::filter::LevelFilter;

/// Log files kept, one a day.
const LOGS_KEPT: usize = 7;

/// `icefarm node`.
#[derive(Clone, Debug, clap::Args)]
pub struct NodeArgs {
    /// The node's configuration, as `icefarm up` and `icefarm cluster init` write it
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Write the log to files in DIR, one a day, a week of them (default: to stderr)
    #[arg(long, value_name = "DIR")]
    pub log_dir: Option<PathBuf>,
    /// How much to log: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info", env = "ICEFARM_LOG")]
    pub log: LevelFilter,
    /// Stop when stdin is closed (so that a node does not outlive the `up` that started it)
    #[arg(long, hide = true)]
    pub until_stdin_closes: bool,
}

/// Runs the node until it is told to stop (SIGTERM, Ctrl-C), or must not go on.
pub fn run(args: &NodeArgs) -> Result<(), Failure> {
    start_logging(args)?;
    let config = NodeConfig::load(&args.config).map_err(|error| refused(&error.into()))?;
    let name = config.node;
    // One thread runs the turns, the network and HTTP; the two stores have threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Machine, format!("cannot start the runtime: {error}")))?;
    let result = runtime.block_on(async {
        let stop = stop_signal(args.until_stdin_closes)?;
        let node = Node::open(config).await.map_err(|error| refused(&error))?;
        // Only now: the node holds its data directory, so no other one of this name is running.
        let pid = PidFile::write(&args.config)?;
        if args.log_dir.is_none() {
            eprintln!("{name} is running; Ctrl-C stops it");
        }
        let result = node.run(stop).await.map_err(|error| refused(&error));
        drop(pid);
        result
    });
    if let Err(failure) = &result
        && args.log_dir.is_some()
    {
        tracing::error!("{failure}");
    }
    result
}

fn start_logging(args: &NodeArgs) -> Result<(), Failure> {
    let builder = tracing_subscriber::fmt().with_max_level(args.log).with_target(false);
    let Some(dir) = &args.log_dir else {
        builder.with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr).init();
        return Ok(());
    };
    let files = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("node")
        .filename_suffix("log")
        .max_log_files(LOGS_KEPT)
        .build(dir)
        .map_err(|error| Failure::new(Exit::Machine, format!("cannot log to {}: {error}", dir.display())))?;
    builder.with_ansi(false).with_writer(std::sync::Mutex::new(files)).init();
    Ok(())
}

/// Done when the process is told to stop.
fn stop_signal(until_stdin_closes: bool) -> Result<impl Future<Output = ()>, Failure> {
    let listen =
        |kind| signal(kind).map_err(|error| Failure::new(Exit::Machine, format!("cannot listen for signals: {error}")));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let (closed, stdin_closed) = tokio::sync::oneshot::channel();
    if until_stdin_closes {
        std::thread::spawn(move || {
            let mut byte = [0];
            while matches!(std::io::stdin().read(&mut byte), Ok(1..)) {}
            let _ = closed.send(());
        });
    }
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = interrupt.recv() => tracing::info!("interrupted: stopping"),
            Ok(()) = stdin_closed => tracing::info!("whoever started this node has gone: stopping"),
        }
    })
}

/// `pid` beside the configuration, as long as the node runs.
struct PidFile {
    path: PathBuf,
}

impl PidFile {
    fn write(config: &Path) -> Result<Self, Failure> {
        let path = config.with_file_name("pid");
        let pid = format!("{}\n", std::process::id());
        // What a killed process left is written over rather than given up first: on a full disk there is no other space.
        let written = File::options().write(true).create(true).truncate(false).open(&path).and_then(|mut file| {
            file.write_all(pid.as_bytes())?;
            file.set_len(pid.len() as u64)
        });
        written.map_err(|error| Failure::new(Exit::Machine, format!("cannot write {}: {error}", path.display())))?;
        Ok(Self { path })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let ours = fs::read_to_string(&self.path).is_ok_and(|text| text.trim() == std::process::id().to_string());
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A configuration's mistake is the caller's, a thread's that ended without a word ours; everything else is this machine's.
fn refused(error: &NodeError) -> Failure {
    let status = match error {
        NodeError::Config(_) => Exit::Usage,
        NodeError::Thread(_) => Exit::Bug,
        _ => Exit::Machine,
    };
    Failure::new(status, error.to_string())
}
