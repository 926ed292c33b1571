//! The gateway over loopback, spoken to byte by byte.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use gateway::running::own_routes;
use gateway::serve::serve;
use gateway::{BindError, Figures, Missing, Readiness, Rendering, Times, bind};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

const ANY_PORT: &str = "127.0.0.1:0";

/// A node whose readiness the test decides.
#[derive(Default)]
struct Node(Mutex<Vec<Missing>>);

impl Readiness for Node {
    fn missing(&self) -> Vec<Missing> {
        self.0.lock().unwrap().clone()
    }
}

impl Figures for Node {
    fn render(&self, per_shard: bool) -> Rendering {
        let stopping = !self.0.lock().unwrap().is_empty();
        Box::pin(async move { (!stopping).then(|| format!("shards {per_shard}\n")) })
    }
}

struct Server {
    addr: SocketAddr,
    node: Arc<Node>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    fn start() -> Self {
        Self::with(Times::default())
    }

    fn with(times: Times) -> Self {
        let listener = tokio::net::TcpListener::from_std(bind(ANY_PORT.parse().unwrap()).unwrap()).unwrap();
        let addr = listener.local_addr().unwrap();
        let node = Arc::new(Node::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let state: Arc<dyn Readiness> = node.clone();
        let task = tokio::spawn(serve(listener, own_routes(state, node.clone()), None, times, async {
            let _ = stopped.await;
        }));
        Self { addr, node, stop, task }
    }

    /// Sends `head`, asks to close, and returns everything that comes back.
    async fn say(&self, head: &str) -> Heard {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(format!("{head}\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
        Heard::read(&mut stream).await
    }

    async fn get(&self, path: &str) -> Heard {
        self.say(&format!("GET {path} HTTP/1.1")).await
    }
}

/// A response, taken apart.
#[derive(Debug)]
struct Heard {
    status: u16,
    header: String,
    body: String,
}

impl Heard {
    async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await.expect("the server closes").unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (header, body) = text.split_once("\r\n\r\n").unwrap_or((text.as_str(), ""));
        let status = header.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        Self { status, header: header.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn problem(&self) -> Value {
        assert!(self.header.contains("\r\ncontent-type: application/problem+json"), "{self:?}");
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"], json!(self.status), "the body repeats the status");
        problem
    }
}

#[tokio::test]
async fn a_living_process_is_healthy_even_while_it_is_not_ready() {
    let server = Server::start();
    server.node.0.lock().unwrap().push(Missing { what: "leader", detail: "shard 7".into() });
    let heard = server.get("/healthz").await;
    assert_eq!((heard.status, heard.body.as_str()), (200, "ok\n"));
    assert!(heard.header.contains("cache-control: no-store"), "{heard:?}");
}

#[tokio::test]
async fn readiness_follows_the_node_and_says_what_is_missing() {
    let server = Server::start();
    assert_eq!(server.get("/readyz").await.status, 200);
    server.node.0.lock().unwrap().push(Missing { what: "leader", detail: "shard 7 has no leader".into() });
    let heard = server.get("/readyz").await;
    let problem = heard.problem();
    assert_eq!(heard.status, 503);
    assert_eq!(problem["type"], "urn:icefarm:problem:not-ready");
    assert_eq!(problem["missing"], json!([{ "what": "leader", "detail": "shard 7 has no leader" }]));
    server.node.0.lock().unwrap().clear();
    assert_eq!(server.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn an_unknown_path_is_a_404_with_problem_details_that_name_it() {
    let heard = Server::start().get("/v9/fields").await;
    let problem = heard.problem();
    assert_eq!((heard.status, &problem["type"]), (404, &json!("urn:icefarm:problem:no-such-path")));
    assert!(problem["detail"].as_str().unwrap().contains("/v9/fields"), "{problem}");
}

#[tokio::test]
async fn a_wrong_method_is_a_405_that_says_which_are_right() {
    let heard = Server::start().say("DELETE /healthz HTTP/1.1").await;
    assert_eq!((heard.status, &heard.problem()["type"]), (405, &json!("urn:icefarm:problem:method-not-allowed")));
    assert!(heard.header.contains("\r\nallow: get,head"), "{heard:?}");
}

#[tokio::test]
async fn too_many_header_fields_and_too_long_a_header_are_refused_and_the_next_client_is_served() {
    let server = Server::start();
    let fields = ["\r\nx-many: 1"; 65].concat();
    let heard = server.say(&format!("GET /healthz HTTP/1.1{fields}")).await;
    assert_eq!(heard.status, 431, "{heard:?}");
    let heard = server.say(&format!("GET /healthz HTTP/1.1\r\nx-long: {}", "a".repeat(20 << 10))).await;
    assert_eq!(heard.status, 431, "{heard:?}");
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn garbage_is_refused_and_the_next_client_is_served() {
    let server = Server::start();
    let heard = server.say("\u{1}\u{2}not http at all").await;
    assert_eq!(heard.status, 400, "{heard:?}");
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_client_that_never_finishes_its_header_is_closed() {
    let server = Server::with(Times { header: Duration::from_millis(50), ..Times::default() });
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: ").await.unwrap();
    let heard = Heard::read(&mut stream).await;
    assert!(heard.status == 408 || heard.status == 0, "{heard:?}");
}

#[tokio::test]
async fn a_client_that_never_takes_its_answers_is_closed() {
    let server = Server::with(Times { taken: Duration::from_millis(100), ..Times::default() });
    let stream = TcpStream::connect(server.addr).await.unwrap();
    let (mut answers, mut requests) = stream.into_split();
    // The system takes some megabytes of what it reads; then nothing goes on, in neither direction.
    let ask = async move {
        let many = "GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n".repeat(1_000);
        while requests.write_all(many.as_bytes()).await.is_ok() {}
    };
    timeout(Duration::from_mins(1), ask).await.expect("the connection ends");
    let mut rest = Vec::new();
    // The end may be orderly or not; it comes.
    let _ = timeout(Duration::from_secs(20), answers.read_to_end(&mut rest)).await.expect("it is at an end");
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn told_to_stop_it_ends_idle_connections_and_frees_the_port() {
    let server = Server::start();
    let mut idle = TcpStream::connect(server.addr).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    let mut first = [0; 8];
    idle.read_exact(&mut first).await.unwrap();
    server.stop.send(()).unwrap();
    timeout(Duration::from_secs(10), server.task).await.expect("it ends").unwrap().unwrap();
    assert!(Heard::read(&mut idle).await.header.contains("ok"), "the rest of the answer came, then the end");
    bind(server.addr).expect("the port is free again");
}

#[tokio::test]
async fn a_port_in_use_is_an_error_of_its_own_that_names_the_address() {
    let held = tokio::net::TcpListener::from_std(bind(ANY_PORT.parse().unwrap()).unwrap()).unwrap();
    let addr = held.local_addr().unwrap();
    let error = bind(addr).unwrap_err();
    assert!(matches!(error, BindError::InUse { addr: named } if named == addr), "{error:?}");
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}

#[tokio::test]
async fn an_address_of_another_machine_is_an_error_of_its_own() {
    let addr: SocketAddr = "192.0.2.1:8080".parse().unwrap(); // TEST-NET-1: nobody's
    let error = bind(addr).unwrap_err();
    assert!(matches!(error, BindError::NotHere { addr: named } if named == addr), "{error:?}");
}

#[tokio::test]
async fn figures_come_in_prometheus_own_type_for_each_shard_on_request_only_and_not_while_the_node_stops() {
    let server = Server::start();
    let heard = server.get("/metrics").await;
    assert_eq!((heard.status, heard.body.as_str()), (200, "shards false\n"));
    assert!(heard.header.contains("text/plain; version=0.0.4"), "{}", heard.header);
    assert_eq!(server.get("/metrics?per=shard").await.body, "shards true\n");
    let odd = server.get("/metrics?per=field").await;
    assert_eq!(odd.status, 400);
    assert!(odd.body.contains("urn:icefarm:problem:unknown-query") && odd.body.contains("per=shard"), "{}", odd.body);
    server.node.0.lock().unwrap().push(Missing { what: "node", detail: "it stops".to_owned() });
    assert_eq!(server.get("/metrics").await.status, 503);
}
