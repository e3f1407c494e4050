//! The neutral prompts that are used where a person gives none.

/// Photos of all kinds of things, of which any picture fits some: what labels are held against where several of them may
/// be right, or none. `docs/scores.md` says how they were chosen; the list lies in `data/neutral.txt`.
pub fn neutral_prompts() -> Vec<String> {
    let lines = include_str!("data/neutral.txt").lines();
    lines.filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn neutral_prompts_are_several_and_different() {
        let mut prompts = super::neutral_prompts();
        let n = prompts.len();
        prompts.sort();
        prompts.dedup();
        assert!(n >= 8 && prompts.len() == n);
        assert!(prompts.iter().all(|prompt| !prompt.trim().is_empty()));
    }
}
