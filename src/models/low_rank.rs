//! A network whose matrices are low-rank factors (Eckart and Young 1936): `resnet20+lowrank:0.5` is a
//! resnet20 in which every linear layer (m, n) is two, (r, n) and (m, r), and every convolution (m, c, k, k)
//! one of r filters k x k and one of m filters 1 x 1, with r half of the full rank min(m, c k k), rounded up.
//! Where two factors have as many values as the matrix, or more, it stays; so do depthwise convolutions.

use super::{ModelConfig, Network};
use crate::nn::{Param, ParamKind};
use crate::{Error, Result};

/// What stands between the two names.
const MARK: &str = "+lowrank:";

/// The name of `base` in factors of this share of the full rank.
pub fn name(base: &str, share: f32) -> String {
    format!("{base}{MARK}{share}")
}

/// The base network's name and the rest, where `name` has a share.
pub(super) fn split(name: &str) -> Option<(&str, &str)> {
    name.split_once(MARK)
}

/// The network of this name, without initial values.
/// `text` is that of a `.cfg` as which `base` is known.
pub(super) fn outline(
    name: &str,
    base: &str,
    share: &str,
    config: &ModelConfig,
    text: Option<&str>,
) -> Result<Network> {
    let share = share.trim().parse().ok().filter(|s: &f32| *s > 0.0 && *s < 1.0).ok_or_else(|| {
        let message =
            format!("\"{name}\": expected after {MARK} a share of the full rank above 0 and below 1");
        Error::config("model", message)
    })?;
    let mut network = super::outline(base, config, text)?;
    network.params.factorise(|param| rank(param, share));
    Ok(Network { name: name.to_string(), ..network })
}

/// The rank of a weight's factors, where it becomes two.
fn rank(param: &Param, share: f32) -> Option<usize> {
    let dims = param.shape.dims();
    let depthwise = dims.len() == 4 && dims[1] == 1;
    if param.kind == ParamKind::State || !matches!(dims.len(), 2 | 4) || depthwise {
        return None;
    }
    let (m, n) = (dims[0], dims[1..].iter().product::<usize>());
    let rank = (f64::from(share) * m.min(n) as f64).ceil() as usize;
    (rank * (m + n) < m * n).then_some(rank)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::build;

    #[test]
    fn a_share_of_the_full_rank() {
        let config = ModelConfig::classifier([3, 16, 16], 10);
        let network = build("resnet8+lowrank:0.5", &config).unwrap();
        let dims = |name: &str| network.params.find(name).map(|p| p.shape.dims().to_vec());
        assert_eq!(dims("layer3.0.conv1.inner.weight"), Some(vec![32, 32, 3, 3]));
        assert_eq!(dims("layer3.0.conv1.outer.weight"), Some(vec![64, 32, 1, 1]));
        assert_eq!(
            (dims("fc.inner.weight"), dims("fc.outer.weight")),
            (Some(vec![5, 64]), Some(vec![10, 5]))
        );
        assert_eq!((dims("fc.weight"), dims("fc.bias")), (None, Some(vec![10])));
        // 9 * (10 + 64) values are more than 10 * 64.
        let most = build("resnet8+lowrank:0.9", &config).unwrap();
        assert_eq!(most.params.find("fc.weight").map(|p| p.shape.dims()), Some(&[10, 64][..]));
        assert_eq!(network.layer_of("layer3.0.conv1.outer.weight"), "layer3.0.conv1");
        let base = build("resnet8", &config).unwrap();
        assert!(network.params.trainable_elements() < base.params.trainable_elements() * 6 / 10);
        for wrong in ["resnet8+lowrank:", "resnet8+lowrank:1", "resnet8+lowrank:0"] {
            let message = build(wrong, &config).err().expect("an error").to_string();
            assert!(message.contains("share of the full rank"), "{wrong}: {message}");
        }
    }
}
