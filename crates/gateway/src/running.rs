//! The gateway's thread: how it begins, and how it ends.

use crate::access::Access;
use crate::app::App;
use crate::limits::Limits;
use crate::link::{Address, Link};
use crate::live::{Hub, Tap};
use crate::meters::Meters;
use crate::serve::{Times, serve};
use crate::socket::messages::OtherNode;
use crate::{Figures, Readiness, api, health, metrics, pages, socket};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use client::NodeEntry;
use paxos::NodeId;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use transport::{TokenKeyError, TokenKeys};

/// WebSockets hear that the node stops, and may say goodbye for so long.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a gateway is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which node it is the gateway of.
    pub node: NodeId,
    /// Where that is.
    pub region: String,
    /// All nodes of the cluster.
    pub nodes: Vec<NodeEntry>,
    /// What verifies tokens.
    pub tokens: TokenKeys,
    /// The directory with the node's keys.
    pub keys: PathBuf,
    /// A certificate chain and its key (PEM) for the public address; with them, HTTP is HTTPS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The origins whose pages may use the API; `*` for all.
    pub allow_origins: Vec<String>,
    /// Whether pages are told of the other nodes.
    pub tell_nodes: bool,
    /// Commands that a player may give in a second.
    pub commands_per_s: u32,
    /// Requests that one address may make in a second.
    pub requests_per_s: u32,
    /// WebSockets at a time.
    pub sockets: usize,
    /// How long clients may keep it waiting, and it them.
    pub times: Times,
}

/// What a gateway knows of its node.
pub struct OwnNode {
    /// Whether it is ready.
    pub readiness: Arc<dyn Readiness>,
    /// Its figures.
    pub figures: Arc<dyn Figures>,
    /// What its replicas apply.
    pub tap: Tap,
    /// Where to count.
    pub meters: Meters,
}

/// Why a gateway could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The node's keys.
    #[error(
        "the gateway's keys: {0}; a cluster founded by an older version has none: found it again (`icefarm up --fresh`)"
    )]
    Keys(#[from] TokenKeyError),
    /// The certificate for the public address, or its key.
    #[error("{}: {detail}", path.display())]
    Tls {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// An origin that cannot be one.
    #[error("allow_origins: '{0}' is no origin: write `*`, or origins like https://play.example.org")]
    Origin(String),
    /// The system.
    #[error("cannot {doing}: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// A gateway that runs.
#[derive(Debug)]
pub struct Running {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Tells it to stop: sockets hear so at once, requests under way may finish.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until it has, for at most so long.
    pub async fn ended(self, within: Duration) {
        self.stop();
        let ended = tokio::task::spawn_blocking(move || self.thread.join());
        if timeout(within, ended).await.is_err() {
            tracing::warn!("the gateway did not end in time");
        }
    }
}

/// Begins to serve on `listener`, on a thread of its own.
pub fn start(listener: TcpListener, settings: Settings, node: OwnNode) -> Result<Running, StartError> {
    let system = |doing| move |source| StartError::System { doing, source };
    let access = Access::load(settings.tokens, &settings.keys)?;
    crate::access::own_token(&settings.keys)?;
    let tls = settings.tls.as_ref().map(|(chain, key)| acceptor(chain, key)).transpose()?;
    let cors = cors(&settings.allow_origins)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("start the gateway's runtime"))?;
    let (stop, stopping) = watch::channel(false);
    let work = async move {
        if let Err(error) = run(listener, settings, node, access, tls, cors, stopping).await {
            tracing::error!(%error, "the gateway has ended");
        }
    };
    let thread = thread::Builder::new().name("gateway".into()).spawn(move || runtime.block_on(work));
    Ok(Running { stop, thread: thread.map_err(system("start the gateway's thread"))? })
}

async fn run(
    listener: TcpListener,
    settings: Settings,
    node: OwnNode,
    access: Access,
    tls: Option<TlsAcceptor>,
    cors: CorsLayer,
    stopping: watch::Receiver<bool>,
) -> Result<(), StartError> {
    let system = |doing| move |source| StartError::System { doing, source };
    let listener = tokio::net::TcpListener::from_std(listener).map_err(system("listen"))?;
    let OwnNode { readiness, figures, tap, meters } = node;
    let link = Link::begin(Address {
        cluster: settings.tokens.cluster,
        node: settings.node,
        nodes: settings.nodes.clone(),
        keys: settings.keys.clone(),
    })?;
    let hub = Hub::begin(settings.node, link.clone(), tap, meters.clone());
    let others = if settings.tell_nodes { others(&settings) } else { Vec::new() };
    let addresses: Vec<String> = others.iter().map(|other| other.http.clone()).collect();
    let any = settings.allow_origins.iter().any(|origin| origin == "*");
    let app = Arc::new(App {
        cluster: settings.tokens.cluster.to_string(),
        node: settings.node.to_string(),
        region: settings.region.clone(),
        others,
        origins: (!any).then(|| settings.allow_origins.clone()),
        access,
        limits: Limits::new(settings.requests_per_s, settings.commands_per_s),
        link,
        hub,
        meters,
        sockets: Arc::new(Semaphore::new(settings.sockets)),
        stopping: stopping.clone(),
        viewers: AtomicU64::new(0),
        report: Mutex::new(None),
    });
    let limited = api::routes(app.clone())
        .merge(socket::routes(app.clone()))
        .layer(middleware::from_fn_with_state(app.clone(), limit))
        .layer(cors);
    let routes =
        own_routes(readiness, figures).merge(pages::routes(&addresses)).merge(limited).layer(CompressionLayer::new());
    let mut told = stopping;
    let until = async move {
        // An error means that whoever could tell is gone, which is the same.
        let _ = told.wait_for(|stop| *stop).await;
    };
    let sockets = app.sockets.clone();
    serve(listener, routes, tls, settings.times, until).await.map_err(system("take connections"))?;
    let all = u32::try_from(settings.sockets).unwrap_or(u32::MAX);
    let _ = timeout(FAREWELL, sockets.acquire_many(all)).await;
    Ok(())
}

/// What a node says of itself.
pub fn own_routes(readiness: Arc<dyn Readiness>, figures: Arc<dyn Figures>) -> Router {
    health::routes(readiness).merge(metrics::routes(figures))
}

/// So often and no more. (Not for those who watch over the node: they must see it when it is busy.)
async fn limit(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<api::Peer>,
    request: Request,
    next: Next,
) -> Response {
    app.meters.requests.increment(1);
    match app.limits.request(peer.0, 1) {
        Ok(()) => next.run(request).await,
        Err(problem) => {
            app.meters.limited.increment(1);
            problem.into_response()
        }
    }
}

/// The other nodes' gateways, as far as others can reach them.
fn others(settings: &Settings) -> Vec<OtherNode> {
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let reachable = |node: &&NodeEntry| {
        let address = node.http.parse::<std::net::SocketAddr>();
        !node.http.is_empty() && address.map_or(true, |address| !address.ip().is_unspecified())
    };
    let others = settings.nodes.iter().filter(|node| node.id != settings.node).filter(reachable);
    let other = |node: &NodeEntry| OtherNode {
        node: node.id.to_string(),
        region: node.region.clone(),
        http: format!("{scheme}://{}", node.http),
    };
    others.map(other).collect()
}

fn cors(origins: &[String]) -> Result<CorsLayer, StartError> {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let known = origins.iter().map(|origin| {
            let value = HeaderValue::from_str(origin).ok().filter(|_| origin.contains("://"));
            value.ok_or_else(|| StartError::Origin(origin.clone()))
        });
        AllowOrigin::list(known.collect::<Result<Vec<_>, _>>()?)
    };
    let key = HeaderName::from_static("idempotency-key");
    Ok(CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE, key])
        .expose_headers([header::RETRY_AFTER])
        .max_age(Duration::from_hours(1)))
}

fn acceptor(chain: &Path, key: &Path) -> Result<TlsAcceptor, StartError> {
    let wrong = |path: &Path, detail: String| StartError::Tls { path: path.to_owned(), detail };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect)
        .map_err(|error| wrong(chain, error.to_string()));
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(chain, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(certificates?, secret)
        .map_err(|error| wrong(chain, error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl std::fmt::Debug for OwnNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the node's own")
    }
}
