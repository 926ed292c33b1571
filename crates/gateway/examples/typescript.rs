//! Prints the WebSocket's message types for TypeScript; `cargo xtask generate` keeps them in
//! `game-client/packages/sdk/src/messages.ts`, and `cargo xtask tidy` fails when that file is another.

use gateway::socket::messages::{ALL_SHARDS, Frame, FromGateway, MAX_MESSAGE, PROTOCOL, ToGateway};
use gateway::socket::{MAX_BLOCKS, MAX_SIDE};
use std::collections::BTreeMap;
use ts_rs::{Config, TS, TypeVisitor};

/// Every type that a message is made of, by name.
struct Declarations {
    config: Config,
    found: BTreeMap<String, String>,
}

impl TypeVisitor for Declarations {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // Numbers and strings are TypeScript's own.
        if T::output_path().is_none() {
            return;
        }
        let name = T::ident(&self.config);
        let declaration = format!("{}export {}", T::docs().unwrap_or_default(), T::decl(&self.config));
        if let Some(known) = self.found.get(&name) {
            assert_eq!(*known, declaration, "two types are called {name}: one of them needs a `ts(rename)`");
            return;
        }
        self.found.insert(name, declaration);
        T::visit_dependencies(self);
    }
}

fn main() {
    let mut declarations = Declarations { config: Config::default(), found: BTreeMap::new() };
    declarations.visit::<ToGateway>();
    declarations.visit::<FromGateway>();
    declarations.visit::<Frame>();
    declarations.visit::<json::PlayerAnswer>();
    declarations.visit::<json::EstateAnswer>();
    declarations.visit::<json::Registered>();
    declarations.visit::<json::Cluster>();
    declarations.visit::<json::Figures>();
    println!(
        "// Made from the gateway's Rust types by `cargo xtask generate`: change them there. docs/protocol.md says what they mean."
    );
    println!();
    println!("/** The protocol that this speaks. */\nexport const PROTOCOL = {PROTOCOL};");
    println!("/** The longest message to a gateway, in bytes. */\nexport const MAX_MESSAGE = {MAX_MESSAGE};");
    println!("/** The most cells that a view is wide or high. */\nexport const MAX_SIDE = {MAX_SIDE};");
    println!("/** The most blocks that it touches. */\nexport const MAX_BLOCKS = {MAX_BLOCKS};");
    println!("/** The shard that a receipt names which speaks of many. */\nexport const ALL_SHARDS = {ALL_SHARDS};");
    for declaration in declarations.found.values() {
        println!("\n{}", declaration.trim_end());
    }
}
