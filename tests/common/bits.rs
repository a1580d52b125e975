//! Weights to be compared to the bit, NaN and the sign of 0 included.

use limbeck::models::Network;

/// Each parameter's name and the bits of its values.
pub type Bits = Vec<(String, Vec<u32>)>;

/// All parameters of a network, in order.
pub fn bits(network: &Network) -> Bits {
    let of = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect();
    network.params.iter().map(|param| (param.name.clone(), of(&param.values))).collect()
}
