//! What this gateway and clients in other languages must agree on to the bit.

use world::Banner;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../game-client/packages/sdk/vectors/");

fn read<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let text = std::fs::read_to_string(format!("{VECTORS}{name}")).expect("the repository has its vectors");
    serde_json::from_str(&text).expect("a list of pairs")
}

#[test]
fn names_have_the_banners_of_the_vectors() {
    let vectors: Vec<(String, usize)> = read("banners.json");
    assert!(vectors.len() > 10);
    for (name, banner) in vectors {
        assert_eq!(Banner::of(&name.parse().unwrap()).index(), banner, "{name}");
    }
}

#[test]
fn whole_numbers_travel_as_the_bytes_of_the_vectors() {
    let vectors: Vec<(String, String)> = read("u64.json");
    assert!(vectors.len() > 15);
    for (digits, hex) in vectors {
        let number: u64 = digits.parse().unwrap();
        let bytes = rmp_serde::to_vec(&number).unwrap();
        let expected: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        assert_eq!(bytes, expected, "{digits}");
        assert_eq!(rmp_serde::from_slice::<u64>(&bytes).unwrap(), number);
    }
}
