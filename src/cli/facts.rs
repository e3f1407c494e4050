//! What decides whether shards belong together: everything that a record depends on, by name.
//!
//! All flags of a command count, except those that say `#[serde(skip)]`, each with its reason. What flags name (a model, a
//! file of labels) counts by what was found there.

use longclip::session::Loaded;
use longclip::session::shards::Facts;
use serde::Serialize;
use serde_json::Value;

/// A command's flags, and the model that they name.
pub(super) fn facts(command: &str, flags: &impl Serialize, loaded: &Loaded) -> Facts {
    let mut facts = of_flags(flags);
    facts.insert("command".into(), command.into());
    facts.insert("model".into(), loaded.name.clone().into());
    facts.insert("weights".into(), loaded.model.weights_identity().into());
    facts.insert("dtype".into(), loaded.dtype().into());
    facts
}

fn of_flags(flags: &impl Serialize) -> Facts {
    match serde_json::to_value(flags) {
        Ok(Value::Object(facts)) => facts,
        other => unreachable!("flags have names and values: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::super::help::{Length, command};
    use super::super::{Cli, Command};
    use super::*;

    /// Flags that are not facts, as each says next to its `#[serde(skip)]`.
    const NOT_FACTS: [&str; 19] = [
        "shard",
        "url_timeout",
        "no_url",
        "format_in",
        "format",
        "output",
        "resume",
        "force",
        "batch",
        "on_error",
        "max_errors",
        "model",
        "device",
        "threads",
        "ignore_surplus",
        "positions",
        // The facts that only `embed` or only `classify` has.
        "text",
        "texts_file",
        "explain",
    ];
    /// Flags of `classify` that are facts by what is read from them.
    const READ: [&str; 6] = ["label", "labels_file", "template", "raw_dot", "neutral", "no_cache"];

    fn facts_of(name: &str) -> Facts {
        let cli = Cli::try_parse_from(["longclip", name, "a.jpg"]).unwrap();
        match &cli.command {
            Command::Classify(args) => of_flags(args),
            Command::Embed(args) => of_flags(args),
            Command::Score(args) => of_flags(args),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn check(name: &str) {
        let facts = facts_of(name);
        let command = command(Length::Long);
        let flags = command.find_subcommand(name).unwrap().get_arguments();
        for flag in flags.map(|flag| flag.get_id().as_str()) {
            let is_listed = NOT_FACTS.contains(&flag) || READ.contains(&flag);
            assert!(
                facts.contains_key(flag) != is_listed,
                "`{flag}` of `{name}`: either records depend on it, or it has `#[serde(skip)]` with a reason and is listed here"
            );
        }
    }

    #[test]
    fn every_flag_is_a_fact_or_says_why_it_is_not() {
        check("classify");
        check("embed");
        check("score");
    }

    #[test]
    fn flags_that_are_not_given_are_facts_of_nothing() {
        let facts = facts_of("classify");
        assert_eq!(facts["max_depth"], Value::Null);
        assert_eq!((&facts["follow"], &facts["wide"]), (&json!(false), &json!(false)));
        assert_eq!(
            (&facts["combine"], &facts["shard_by"]),
            (&json!("mean"), &json!("image"))
        );
    }
}
