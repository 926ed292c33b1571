//! Prints the floor: echoes per second and their latency over this transport, on this machine.
//!
//! `cargo run --release -p transport --example echo [SECONDS]`

use std::time::Duration;
use transport::floor::{FloorError, MESSAGE, echo_floor};

fn main() -> Result<(), FloorError> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(3);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    println!("echo of {MESSAGE} B messages over QUIC, {seconds} s each");
    for in_flight in [1, 64, 1_024, 4_096] {
        println!("{}", runtime.block_on(echo_floor(in_flight, Duration::from_secs(seconds)))?);
    }
    Ok(())
}
