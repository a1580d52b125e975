//! Cooperative matrices: matrices that the invocations of a subgroup hold and multiply together (tensor
//! cores, simdgroup matrices). wgpu offers them as an experiment, so that limbeck uses them only where it is
//! asked to.
//!
//! What wgpu and naga 30 have is square matrices of 8 x 8 or 16 x 16 that belong to a subgroup, of f32 or
//! f16. limbeck multiplies D = A B + C with C and D of f32, and uses two configurations:
//!
//! - A and B of f32, 8 x 8 x 8: Metal from Apple7 on;
//! - A and B of f16, 16 x 16 x 16 or 8 x 8 x 8, for products whose both operands are stored as f16 (mixed
//!   precision), which changes no bit of an operand: NVIDIA from Turing on and AMD from RDNA 3 on (16), Metal
//!   and the lavapipe of newer Mesa (8; that of 26.2 has no other).
//!
//! Sizes that are not square (16 x 8 x 16, 8 x 16 x 16), sums in f16, and integers are not used. An adapter
//! has to offer subgroups too, of at most 64 invocations: each must know which one of its workgroup it is.

use wgpu::{CooperativeMatrixProperties as Offer, CooperativeScalarType as Scalar};

use crate::{Error, Result};

/// Which cooperative matrices a device multiplies for limbeck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Matrices {
    /// The size of f32 matrices; only 8 is used.
    pub full: Option<usize>,
    /// The size of f16 matrices that are added up in f32: 8 or 16.
    pub half: Option<usize>,
    /// The most invocations of a subgroup.
    pub lanes: usize,
    /// The engine runs on plain arithmetic, an invocation a row of a matrix: for tests, on any device.
    pub emulated: bool,
}

/// What limbeck can use, for messages.
const NEEDED: &str = "8x8x8 of f32, or 8x8x8 or 16x16x16 of f16 with sums of f32, by subgroups of at most 64";
/// Subgroups of more invocations would leave too few of them in a workgroup.
const MOST_LANES: usize = 64;

impl Matrices {
    /// What limbeck can use of an adapter.
    pub(super) fn offered(adapter: &wgpu::Adapter) -> Option<Self> {
        let (info, features) = (adapter.get_info(), adapter.features());
        let wanted = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SUBGROUP;
        let lanes = match info.backend {
            // wgpu knows no more than what any Metal device may have; those with matrices have 32.
            wgpu::Backend::Metal => 32,
            _ => info.subgroup_max_size as usize,
        };
        let f16 = features.contains(wgpu::Features::SHADER_F16);
        let all = adapter.cooperative_matrix_properties();
        Self::choose(&all, f16, lanes).filter(|_| features.contains(wanted))
    }

    /// The largest size of each kind among what is offered; none where there is none.
    fn choose(all: &[Offer], f16: bool, lanes: usize) -> Option<Self> {
        let has = |ab: Scalar, size: u32| {
            all.iter().any(|o| {
                [o.m_size, o.n_size, o.k_size] == [size; 3] && o.ab_type == ab && o.cr_type == Scalar::F32
            })
        };
        let full = has(Scalar::F32, 8).then_some(8);
        let half = [16, 8].into_iter().find(|&size| f16 && has(Scalar::F16, size)).map(|size| size as usize);
        let some = (full.is_some() || half.is_some()) && (1..=MOST_LANES).contains(&lanes);
        some.then_some(Self { full, half, lanes, emulated: false })
    }

    /// [`Matrices::offered`], or an error that says what is missing.
    pub(super) fn need(adapter: &wgpu::Adapter) -> Result<Self> {
        Self::offered(adapter).ok_or_else(|| {
            let info = adapter.get_info();
            let offers = configurations(adapter);
            refusal(&format!("{} ({})", info.name, info.backend), &offers)
        })
    }
}

impl std::fmt::Display for Matrices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = |size: Option<usize>, of: &str| size.map(|s| format!("{s}x{s}x{s} of {of}"));
        let kinds = [kind(self.full, "f32"), kind(self.half, "f16 with sums of f32")];
        write!(f, "{}", kinds.into_iter().flatten().collect::<Vec<_>>().join(" and "))
    }
}

fn refusal(adapter: &str, offers: &[String]) -> Error {
    let offers = if offers.is_empty() { "none".to_string() } else { offers.join(", ") };
    let hint = "leave out `cooperative_matrix` and LIMBECK_COOPERATIVE_MATRIX, or choose another adapter \
                (limbeck adapters says which offer them)";
    let message = format!("{adapter} has no cooperative matrices that limbeck can use: needed {NEEDED}");
    Error::config("cooperative_matrix", format!("{message}; it offers {offers}; {hint}"))
}

/// All that an adapter offers, in words, as `16x16x16 of f16 with sums of f32`.
pub(super) fn configurations(adapter: &wgpu::Adapter) -> Vec<String> {
    let mut all: Vec<String> = adapter.cooperative_matrix_properties().iter().map(words).collect();
    all.sort();
    all.dedup();
    all
}

fn words(offer: &Offer) -> String {
    let Offer { m_size, n_size, k_size, .. } = offer;
    let scalar = |scalar: Scalar| format!("{scalar:?}").to_lowercase();
    format!("{m_size}x{n_size}x{k_size} of {} with sums of {}", scalar(offer.ab_type), scalar(offer.cr_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer([m_size, n_size, k_size]: [u32; 3], ab_type: Scalar, cr_type: Scalar) -> Offer {
        Offer { m_size, n_size, k_size, ab_type, cr_type, saturating_accumulation: false }
    }

    #[test]
    fn only_square_matrices_with_f32_sums_are_taken() {
        use Scalar::{F16, F32, I32};
        let metal = [offer([8; 3], F32, F32), offer([8; 3], F16, F16), offer([8; 3], F16, F32)];
        let nvidia = [offer([16; 3], F16, F16), offer([16; 3], F16, F32), offer([16, 8, 16], F16, F32)];
        let taken = |all: &[Offer], f16, lanes| Matrices::choose(all, f16, lanes).map(|m| (m.full, m.half));
        assert_eq!(taken(&metal, true, 32), Some((Some(8), Some(8))));
        assert_eq!(taken(&metal, false, 32), Some((Some(8), None)));
        assert_eq!(taken(&nvidia, true, 32), Some((None, Some(16))));
        // Without f16 in shaders nothing is left of it.
        assert_eq!(taken(&nvidia, false, 32), None);
        assert_eq!(taken(&metal, true, 128), None);
        assert_eq!(taken(&metal, true, 0), None);
        let others = [offer([8, 16, 16], F16, F32), offer([16; 3], F16, F16), offer([8; 3], I32, I32)];
        assert_eq!(taken(&others, true, 32), None);
        assert_eq!(taken(&[], true, 32), None);
    }

    #[test]
    fn a_refusal_names_the_adapter_what_is_needed_and_what_is_there() {
        let offers = [words(&offer([8, 16, 16], Scalar::F16, Scalar::F32))];
        let message = refusal("Arc (vulkan)", &offers).to_string();
        let parts =
            ["Arc (vulkan)", "8x8x8 of f32", "it offers 8x16x16 of f16 with sums of f32", "limbeck adapters"];
        for part in parts {
            assert!(message.contains(part), "{part} in {message}");
        }
        assert!(refusal("x", &[]).to_string().contains("it offers none;"));
    }
}
