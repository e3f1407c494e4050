//! How many floating-point operations the towers take, products and sums counted apart: what a measured time is compared with.

use crate::weights::Sizes;

/// Operations of the image tower for one image.
pub fn image_flop(sizes: &Sizes) -> f64 {
    let (width, patches) = (sizes.vision_width as f64, (sizes.grid() * sizes.grid()) as f64);
    let ends =
        2.0 * patches * width * (3 * sizes.patch_px * sizes.patch_px) as f64 + 2.0 * width * sizes.embed_dim as f64;
    ends + blocks_flop(
        patches + 1.0,
        width,
        sizes.vision_mlp_dim as f64,
        sizes.vision_layers as f64,
    )
}

/// Operations of the text tower for one text.
pub fn text_flop(sizes: &Sizes, tokens: usize) -> f64 {
    let width = sizes.text_width as f64;
    2.0 * width * sizes.embed_dim as f64
        + blocks_flop(
            tokens as f64,
            width,
            sizes.text_mlp_dim as f64,
            sizes.text_layers as f64,
        )
}

/// Operations of a tower's blocks on one sequence. The last block computes keys and values of all rows, the rest for one.
fn blocks_flop(n: f64, width: f64, mlp_dim: f64, layers: f64) -> f64 {
    let a_row = |attended: f64| 2.0 * (2.0 * width * width + 2.0 * width * mlp_dim + 2.0 * attended * width);
    let keys_and_values = 4.0 * width * width;
    (layers - 1.0) * n * (a_row(n) + keys_and_values) + n * keys_and_values + a_row(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vit_b_16_is_known_to_take_35_gigaflop_before_the_last_block_is_cut() {
        let (n, width): (f64, f64) = (197.0, 768.0);
        let whole = 12.0 * n * (2.0 * 12.0 * width * width + 4.0 * n * width);
        let cut = blocks_flop(n, width, 4.0 * width, 12.0);
        assert!((whole / 1e9 - 34.9).abs() < 0.1, "{whole}");
        assert!((1.0 - cut / whole - 0.069).abs() < 0.005, "{}", 1.0 - cut / whole);
    }
}
