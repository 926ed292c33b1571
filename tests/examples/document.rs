//! Whether the API of real nodes answers as its OpenAPI document says, whatever it is asked. Schemathesis asks; the argument is
//! its program. `cargo xtask test api` brings it and runs this.

use cluster_tests::http::ask;
use cluster_tests::{Cluster, Options};
use paxos::NodeId;
use std::process::{Command, ExitCode};

/// What is checked. (Not whether all that the document allows is accepted: names are those of the rule book, which a schema
/// does not know.)
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
                      response_headers_conformance,unsupported_method";

fn main() -> ExitCode {
    let Some(schemathesis) = std::env::args_os().nth(1) else {
        eprintln!("say where schemathesis is; or run `cargo xtask test api`, which knows");
        return ExitCode::from(2);
    };
    let mut cluster = Cluster::prepare("document", Options { nodes: 3, shards: 8 });
    cluster.found();
    for node in cluster.nodes() {
        // Else much of what it asks would have one answer: too often.
        cluster.configure(node, &["requests_per_s = 100000", "commands_per_s = 100000"]);
    }
    cluster.up();
    let addr = cluster.http(NodeId(1));
    let entered = ask(&addr, "POST /v1/players", &[], Some(r#"{"name": "scrat"}"#)).expect("it answers").expect(201);
    let bearer = format!("Authorization: Bearer {}", entered["token"].as_str().expect("a token"));
    for (seed, headers) in [("1", vec![]), ("2", vec!["--header", &bearer])] {
        let mut asks = Command::new(&schemathesis);
        // (What it writes down on the way goes with the cluster's files.)
        asks.current_dir(cluster.folder())
            .args(["run", &format!("http://{addr}/openapi.json"), "--checks", CHECKS])
            .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "60", "--seed", seed])
            .args(["--continue-on-failure", "--no-color", "--generation-database", "none"])
            .args(headers);
        if !asks.status().expect("it starts").success() {
            eprintln!("what it found is above");
            return ExitCode::FAILURE;
        }
    }
    for node in cluster.nodes() {
        let ready = ask(&cluster.http(node), "GET /readyz", &[], None).expect("it answers");
        assert_eq!(ready.status, 200, "{node} afterwards: {ready:#?}");
    }
    cluster.down();
    ExitCode::SUCCESS
}
