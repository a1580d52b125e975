//! The WGSL that shaders share, by the name that they `#import` it by.

/// Every part, in alphabetical order. Besides these a kernel has the prelude, which every kernel gets, and its own file.
pub const PARTS: &[(&str, &str)] = &[
    ("activation", include_str!("../../shaders/shared/activation.wgsl")),
    ("boxes", include_str!("../../shaders/boxes/boxes.wgsl")),
    ("box_view", include_str!("../../shaders/augment/box_view.wgsl")),
    ("depthwise_rows", include_str!("../../shaders/conv/depthwise_rows.wgsl")),
    ("heads", include_str!("../../shaders/tokens/heads.wgsl")),
    ("norm_fold", include_str!("../../shaders/conv/norm_fold.wgsl")),
    ("row_loss", include_str!("../../shaders/loss/row_loss.wgsl")),
    ("rows", include_str!("../../shaders/shared/rows.wgsl")),
    ("tile_load", include_str!("../../shaders/tile/tile_load.wgsl")),
    ("tile_store", include_str!("../../shaders/tile/tile_store.wgsl")),
    ("update", include_str!("../../shaders/update/update.wgsl")),
];
