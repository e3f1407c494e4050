//! Lists what is wrong with a file that isn't a complete CLIP: all problems at once, the first few of each kind by name.

use std::collections::BTreeSet;
use std::fmt;

use super::layouts::{Assembly, is_bookkeeping};
use super::options::LoadOptions;
use super::sizes::{HEAD_WIDTH, Shapes, Sizes};
use super::stored::TensorFile;
use super::towers::Tower;
use crate::error::{Control, Error, Hint, Result, hint};
use crate::recipe::Recipe;

/// Problems of one kind that are named; the others are counted.
const NAMED_MAX: usize = 5;

/// An error for a file in which no name is a CLIP's.
pub(super) fn not_a_clip(file: &TensorFile) -> Error {
    let names: Vec<&str> = file.tensors.keys().map(String::as_str).collect();
    Error::NotWeights {
        path: file.path.clone(),
        expected:
            "weights of a CLIP (names such as `visual.conv1.weight` or `vision_model.embeddings.class_embedding`)"
                .into(),
        found: match names.len() {
            0 => "no tensors".into(),
            n => format!(
                "{n} tensors, {}",
                listed(names.into_iter().map(|name| format!("`{name}`")).collect()).join(", ")
            ),
        },
    }
}

/// The towers of a file. One without a tower that is needed is refused here: a list of missing tensors would be less clear.
pub(super) fn towers(shapes: &Shapes<'_>, needed: &[Tower]) -> Result<Vec<Tower>> {
    let (found, absent): (Vec<Tower>, Vec<Tower>) = Tower::BOTH.into_iter().partition(|tower| shapes.has(*tower));
    match (found.as_slice(), absent.iter().find(|tower| needed.contains(tower))) {
        ([_], Some(absent)) => Err(without(shapes, *absent)),
        ([], _) => Err(bad(shapes, vec!["no image tower and no text tower".into()], None)),
        _ => Ok(found),
    }
}

/// An error for a file without a tower that is needed.
pub(super) fn without(shapes: &Shapes<'_>, tower: Tower) -> Error {
    let problem = format!("no {}: a CLIP has both a text and an image tower", tower.name());
    bad(shapes, vec![problem], Some(tower.advice().into()))
}

/// The biases of both projections, which few models have.
pub(super) const PROJECTION_BIASES: [&str; 2] = ["visual.proj_bias", "text_projection_bias"];

/// Upstream's names and shapes of all tensors that these towers have.
pub(super) fn expected(
    shapes: &Shapes<'_>,
    sizes: &Sizes,
    recipe: &Recipe,
    towers: &[Tower],
) -> Vec<(String, Vec<usize>)> {
    let mut expected = sizes.tensors();
    expected.extend(PROJECTION_BIASES.map(|bias| (bias.to_owned(), vec![sizes.embed_dim])));
    expected.retain(|(name, _)| recipe.has(name));
    if shapes.has_residual_positions() {
        expected.push((
            "positional_embedding_res".into(),
            vec![sizes.stored_context_length, sizes.text_width],
        ));
    }
    // Without both towers nothing is scored, and many files have no temperature.
    expected.retain(|(name, _)| match Tower::of(name) {
        Some(tower) => towers.contains(&tower),
        None => towers == Tower::BOTH || shapes.of(name).is_some(),
    });
    expected
}

/// Compares all tensors with those that a CLIP of these sizes has.
pub(super) fn check(
    shapes: &Shapes<'_>,
    sizes: &Sizes,
    recipe: &Recipe,
    towers: &[Tower],
    options: &LoadOptions,
) -> Result<()> {
    let expected = expected(shapes, sizes, recipe, towers);
    let mut findings = Findings::default();
    findings.misshapen.extend(disagreement(shapes));
    let mut used = BTreeSet::new();
    for (name, shape) in &expected {
        let assembly = (shapes.layout.assembly)(shapes.file, name);
        used.extend(assembly.parts().into_iter().map(str::to_owned));
        findings.compare(&assembly, shape, shapes);
    }
    let names = shapes.file.tensors.keys();
    let unknown = names.filter(|name| {
        !used.contains(*name) && !is_bookkeeping(name) && !shapes.layout.unused.contains(&name.as_str())
    });
    let (of_towers, others): (Vec<&String>, Vec<&String>) = unknown.partition(|name| may_change_numbers(name));
    findings.changes_numbers = !of_towers.is_empty();
    let refused = match options.ignores_surplus {
        false => [of_towers, others].concat(),
        true => of_towers,
    };
    findings.surplus = refused.iter().map(|name| format!("`{name}`")).collect();
    let hint = match towers {
        [only] if findings.misses_projection() => Some(without_projection(*only)),
        _ => findings.advice(),
    };
    let problems = match findings.listed() {
        // Only if there is no other problem: a missing tensor also leaves a size of 0.
        none if none.is_empty() => odd_sizes(sizes, towers),
        some => some,
    };
    match problems.is_empty() {
        true => Ok(()),
        false => Err(bad(shapes, problems, hint)),
    }
}

/// Whether a tensor that a CLIP doesn't have is part of a tower or of the score, by its name, so that a model without it
/// computes other numbers.
fn may_change_numbers(name: &str) -> bool {
    const BEGINNINGS: [&str; 9] = [
        "visual",
        "vision",
        "text",
        "transformer.",
        "token_embedding",
        "positional_embedding",
        "class_embedding",
        "ln_",
        "logit_",
    ];
    BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

/// The problems, one line per stored tensor, with the file's own names and shapes.
#[derive(Default)]
struct Findings {
    missing: Vec<String>,
    misshapen: Vec<String>,
    mistyped: Vec<String>,
    surplus: Vec<String>,
    /// Whether some of the surplus is part of a tower.
    changes_numbers: bool,
}

impl Findings {
    /// Checks the stored parts of one of upstream's tensors.
    fn compare(&mut self, assembly: &Assembly, shape: &[usize], shapes: &Shapes<'_>) {
        for (part, expected) in assembly.stored_shapes(shape, shapes.file) {
            let Some(tensor) = shapes.file.tensors.get(part) else {
                self.missing.push(format!("`{part}`, expected {}", Shape(&expected)));
                continue;
            };
            let (found, stored_type) = (tensor.shape(), tensor.stored_type());
            let fits_rows = assembly.is_per_row(part) && tensor.n_elements() == expected[0];
            if tensor.n_elements() == 0 {
                self.misshapen.push(format!("`{part}`, which is empty: {found:?}"));
            } else if !fits(found, &expected) && !fits_rows {
                let expected = Shape(&expected);
                self.misshapen
                    .push(format!("`{part}`, expected {expected}, found {found:?}"));
            }
            if !stored_type.is_float() && !assembly.is_scaled(part, stored_type) {
                self.mistyped
                    .push(format!("`{part}`, expected f32, f16, bf16 or f64, found {stored_type}"));
            }
        }
    }

    fn listed(&self) -> Vec<String> {
        [
            ("missing", &self.missing),
            ("of another shape", &self.misshapen),
            ("of another number type", &self.mistyped),
            ("not a CLIP's", &self.surplus),
        ]
        .into_iter()
        .filter(|(_, found)| !found.is_empty())
        .map(|(kind, found)| format!("{} {kind}: {}", found.len(), listed(found.clone()).join(", ")))
        .collect()
    }

    /// Whether only the projection is missing.
    fn misses_projection(&self) -> bool {
        matches!(self.missing.as_slice(), [only] if only.contains("proj") && !only.contains("resblocks") && !only.contains("layers"))
    }

    fn advice(&self) -> Option<Hint> {
        const NO_POSITIONS: [&str; 3] = [
            "positional_embedding`",
            "position_embedding.weight`",
            "position_embedding_ori.weight`",
        ];
        let is_text_positions = |missing: &String| {
            let name = missing.split(',').next().unwrap_or_default();
            NO_POSITIONS.iter().any(|end| name.ends_with(end)) && !name.contains("vis")
        };
        if matches!(self.missing.as_slice(), [only] if is_text_positions(only)) {
            Some(
                "the file is incomplete, or this is a TULIP with rotary text positions, which can't be computed here"
                    .into(),
            )
        } else if !self.missing.is_empty() {
            Some("the file is incomplete: fetch or save it again".into())
        } else if !self.misshapen.is_empty() {
            Some("the file mixes models of different sizes: fetch or save it again".into())
        } else if !self.mistyped.is_empty() {
            Some("quantised weights can't be read: use the file they were made from".into())
        } else if self.changes_numbers {
            Some(
                "these change what the model computes, so they can't be ignored: use a file of a CLIP without them"
                    .into(),
            )
        } else if !self.surplus.is_empty() {
            let hint = hint!(
                "if the rest is what you want, ignore these with {}",
                Control::IgnoreSurplus
            );
            Some(hint)
        } else {
            None
        }
    }
}

/// Says that the two projections lead to different spaces; no other tensor shows which of them is wrong.
fn disagreement(shapes: &Shapes<'_>) -> Option<String> {
    let dim = |name| shapes.axis(name, 2, 1);
    let (text, vision) = (dim("text_projection")?, dim("visual.proj")?);
    (text != vision)
        .then(|| format!("the text projection leads to {text} dimensions, the image projection to {vision}"))
}

/// Whether a shape is the expected one, in which 0 is any number; a single number may have axes.
fn fits(found: &[usize], expected: &[usize]) -> bool {
    let same_axes = found.len() == expected.len() && found.iter().zip(expected).all(|(f, e)| *e == 0 || f == e);
    same_axes || (expected.is_empty() && found.iter().all(|n| *n == 1))
}

/// A shape for a message, with `?` for an unknown axis.
struct Shape<'a>(&'a [usize]);

impl fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let axes = self
            .0
            .iter()
            .map(|n| if *n == 0 { "?".to_owned() } else { n.to_string() });
        write!(f, "[{}]", axes.collect::<Vec<_>>().join(", "))
    }
}

/// Advice for a tower as image generators and language models use it.
fn without_projection(tower: Tower) -> Hint {
    let text = format!(
        "this {} of a CLIP is made for reading its hidden states, as image generators and language models do: use a file with \
         the projection",
        tower.name()
    );
    text.into()
}

/// Sizes that no CLIP has.
fn odd_sizes(sizes: &Sizes, towers: &[Tower]) -> Vec<String> {
    let mut problems = Vec::new();
    let has = |of: &Tower| towers.contains(of);
    for (tower, width, heads) in [
        (Tower::Image, sizes.vision_width, sizes.vision_heads),
        (Tower::Text, sizes.text_width, sizes.text_heads),
    ]
    .into_iter()
    .filter(|(tower, ..)| has(tower))
    {
        let tower = tower.name();
        if heads == 0 || !width.is_multiple_of(heads) {
            problems.push(format!(
                "the {tower} is {width} wide, not a multiple of {HEAD_WIDTH}, and there is no config.json with its heads next to it"
            ));
        }
    }
    let zeros = [
        (&Tower::BOTH[..1], "image side", sizes.image_resolution_px),
        (&Tower::BOTH[..1], "patch side", sizes.patch_px),
        (&Tower::BOTH[..1], "image block", sizes.vision_layers),
        (&Tower::BOTH[1..], "text block", sizes.text_layers),
        (
            &Tower::BOTH[..1],
            "hidden number of the image MLPs",
            sizes.vision_mlp_dim,
        ),
        (&Tower::BOTH[1..], "hidden number of the text MLPs", sizes.text_mlp_dim),
        (&Tower::BOTH, "embedding dimension", sizes.embed_dim),
        (&Tower::BOTH[1..], "token id", sizes.vocab_size),
        (&Tower::BOTH[1..], "text position", sizes.context_length),
    ];
    let zeros = zeros.iter().filter(|(of, _, n)| *n == 0 && of.iter().any(has));
    problems.extend(zeros.map(|(_, what, _)| format!("no {what}, by the shapes of its tensors")));
    problems
}

/// The first few, and the number of the others.
pub(super) fn listed(mut all: Vec<String>) -> Vec<String> {
    let more = all.len().saturating_sub(NAMED_MAX);
    all.truncate(NAMED_MAX);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all
}

fn bad(shapes: &Shapes<'_>, problems: Vec<String>, hint: Option<Hint>) -> Error {
    Error::BadTensors {
        path: shapes.file.path.clone(),
        layout: shapes.layout.name.into(),
        problems,
        hint,
    }
}
/// The largest factor for cosines that is believed. CLIP stops its training at 100, and SigLIP's is 118.
const LOGIT_FACTOR_MAX: f64 = 1000.0;

/// What is wrong with a logit scale, of which a file stores the logarithm.
pub(super) fn no_logit_scale(values: &[f32]) -> Option<String> {
    let ln = values
        .iter()
        .copied()
        .map(f64::from)
        .find(|ln| ln.exp() > LOGIT_FACTOR_MAX)?;
    Some(format!(
        "`logit_scale` is {ln}, and cosines would be multiplied by its exponential, {:.1e}, where CLIP has 100: the file may store \
         the factor instead of its logarithm",
        ln.exp()
    ))
}
