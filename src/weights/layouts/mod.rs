//! Key layouts: what each family of files calls upstream's tensors, and how it stores them.
//!
//! There is one file per layout, with two functions: whether a file has this layout, and how one of upstream's tensors is
//! assembled from the file's. A new layout is one such file and one line in [`LAYOUTS`].

mod factorised;
mod fgclip;
mod gmp;
mod huggingface;
mod layout;
mod openai;
mod openclip;
mod timm;

pub(super) use self::huggingface::LAYOUT as HUGGING_FACE;
pub(super) use self::layout::{Assembly, Layout};
pub(super) use self::openai::LAYOUT as OPENAI;

/// All layouts, the most specific first.
static LAYOUTS: [Layout; 8] = [
    timm::LAYOUT,
    factorised::LAYOUT,
    gmp::LAYOUT,
    fgclip::LONG,
    huggingface::NESTED,
    huggingface::LAYOUT,
    openclip::CUSTOM_TEXT,
    openai::LAYOUT,
];

/// Whether the tensors have the names of transformers.
pub(super) fn is_transformers(layout: &Layout) -> bool {
    [huggingface::LAYOUT.name, huggingface::NESTED.name].contains(&layout.name) || is_fgclip(layout)
}

/// Whether the tensors are an FG-CLIP's.
pub(super) fn is_fgclip(layout: &Layout) -> bool {
    [fgclip::LONG.name, fgclip::SHORT.name].contains(&layout.name)
}

/// The layout in which the same file is read for short texts, if it has one.
pub(super) fn for_short_texts(layout: &Layout) -> Option<&'static Layout> {
    is_fgclip(layout).then_some(&fgclip::SHORT)
}

/// Whether the tensors are open_clip's with a custom text tower.
pub(super) fn is_custom_text(layout: &Layout) -> bool {
    layout.name == openclip::CUSTOM_TEXT.name
}

/// Whether the image tower is one of timm.
pub(super) fn is_timm(layout: &Layout) -> bool {
    layout.name == timm::LAYOUT.name
}

/// Whether tensors are stored as factors, which only models made from OpenAI's are.
pub(super) fn is_factored(layout: &Layout) -> bool {
    [factorised::LAYOUT.name, gmp::LAYOUT.name].contains(&layout.name)
}

/// All layouts of files that can be read without a config, for tests.
#[cfg(test)]
pub(super) fn all() -> Vec<&'static Layout> {
    LAYOUTS.iter().filter(|layout| !is_timm(layout)).collect()
}

/// The layout of models with an image tower of timm, for tests.
#[cfg(test)]
pub(super) fn of_timm() -> &'static Layout {
    LAYOUTS
        .iter()
        .find(|layout| is_timm(layout))
        .expect("it is one of them")
}

/// The layout of a file with tensors of these names, if it is known.
pub(super) fn recognise<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Option<&'static Layout> {
    LAYOUTS.iter().find(|layout| names.clone().any(layout.owns))
}

/// Whether an entry is not a weight of a CLIP: counters, masks and sizes, which some files store as tensors, and the network of
/// SmartCLIP that its training uses alone.
pub(super) fn is_bookkeeping(name: &str) -> bool {
    const LAST_PARTS: [&str; 6] = [
        "position_ids",
        "attn_mask",
        "input_resolution",
        "context_length",
        "vocab_size",
        "n_averaged", // of torch's AveragedModel
    ];
    let last = name.rsplit('.').next().unwrap_or(name);
    LAST_PARTS.contains(&last) || name.starts_with("mask_net.")
}
