//! Networks for the digits: images of 1 x 8 x 8 in 10 classes.

use limbeck::models::{ModelConfig, Network, build};

/// A network by its name, not initialised.
pub fn network(name: &str) -> Network {
    build(name, &ModelConfig::classifier([1, 8, 8], 10)).unwrap()
}

/// A network with the initial weights of `seed`.
pub fn seeded(name: &str, seed: u64) -> Network {
    let mut network = network(name);
    network.params.initialise(seed);
    network
}
