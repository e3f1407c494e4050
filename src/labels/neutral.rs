//! The built-in neutral prompts, used if the user gives none.

/// Captions of all kinds of photos, some of which fit any image. If several labels may be right, or none, labels are
/// compared with these. They are in `data/neutral.txt`; `docs/scores.md` says how they were chosen.
pub fn neutral_prompts() -> Vec<String> {
    let lines = include_str!("data/neutral.txt").lines();
    lines.filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn there_are_several_distinct_neutral_prompts() {
        let mut prompts = super::neutral_prompts();
        let n = prompts.len();
        prompts.sort();
        prompts.dedup();
        assert!(n >= 8 && prompts.len() == n);
        assert!(prompts.iter().all(|prompt| !prompt.trim().is_empty()));
    }
}
