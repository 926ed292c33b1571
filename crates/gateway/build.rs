//! The built web page is part of the program: with other files it is another program.

fn main() {
    println!("cargo:rerun-if-changed=../../game-client/dist");
}
