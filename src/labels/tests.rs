use super::*;
use crate::nano;

fn nano() -> LongClip {
    LongClip::load(nano::NAME).unwrap()
}

fn list(labels: &[(&str, &[&str])]) -> LabelList {
    let mut list = LabelList::default();
    list.extend(labels.iter().map(|(name, prompts)| Label {
        name: (*name).to_owned(),
        prompts: prompts.iter().map(|prompt| (*prompt).to_owned()).collect(),
        group: None,
    }))
    .unwrap();
    list
}

fn row<'a>(set: &'a LabelSet, label: &str) -> &'a [f32] {
    let index = set.labels().iter().position(|one| one == label).unwrap();
    assert_eq!(set.rows()[index].len(), 1);
    set.embeddings().0.row(set.rows()[index].start)
}

/// Upstream's formula, in its order of operations: `normalize(mean(normalize(encode(template(name)))))`, here in f64.
fn reference(model: &LongClip, prompts: &[String]) -> Vec<f64> {
    let unit = |row: Vec<f64>| {
        let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt();
        row.into_iter().map(|v| v / norm).collect::<Vec<f64>>()
    };
    let rows = prompts.iter().map(|prompt| {
        let row = model.encode_text(prompt).unwrap().0;
        unit(row.row(0).iter().map(|v| f64::from(*v)).collect())
    });
    let rows: Vec<Vec<f64>> = rows.collect();
    let n = rows.len() as f64;
    unit(
        (0..rows[0].len())
            .map(|i| rows.iter().map(|row| row[i]).sum::<f64>() / n)
            .collect(),
    )
}

#[test]
fn combines_prompts_as_upstreams_zero_shot_classifier() {
    let model = nano();
    let templates = PublishedTemplates::ImageNet7.templates();
    let recipe = Recipe {
        templates: &templates,
        ..Recipe::default()
    };
    let labels = list(&[("cat", &[]), ("own", &["a tabby", "a cat asleep on a sofa", "cats"])]);
    let set = LabelSet::encode(&labels, &recipe, &mut PromptEncoder::new(&model)).unwrap();
    let filled: Vec<String> = templates.iter().map(|template| template.fill("cat")).collect();
    let own = ["a tabby", "a cat asleep on a sofa", "cats"].map(str::to_owned);
    for (label, prompts) in [("cat", filled.as_slice()), ("own", &own)] {
        for (ours, expected) in row(&set, label).iter().zip(reference(&model, prompts)) {
            assert!((f64::from(*ours) - expected).abs() < 1e-6, "{label}: {ours} {expected}");
        }
    }
}

#[test]
fn keeps_the_embedding_of_a_single_prompt_unchanged() {
    let model = nano();
    let set = LabelSet::new(&model, vec!["a cat".into()]).unwrap();
    assert_eq!(set.embeddings().0, model.encode_text("a cat").unwrap().0);
}

#[test]
fn the_order_of_labels_does_not_change_a_bit_of_their_rows() {
    let model = nano();
    let labels: [(&str, &[&str]); 3] = [
        ("a cat", &[]),
        ("dog", &["a dog", "a puppy"]),
        ("a paragraph about a bird", &[]),
    ];
    let forward = list(&labels);
    let backward = list(&[labels[2], labels[1], labels[0]]);
    let recipe = Recipe::default();
    let forward = LabelSet::encode(&forward, &recipe, &mut PromptEncoder::new(&model)).unwrap();
    let backward = LabelSet::encode(&backward, &recipe, &mut PromptEncoder::new(&model)).unwrap();
    for (label, _) in labels {
        assert_eq!(row(&forward, label), row(&backward, label));
    }
}

#[test]
fn max_keeps_one_row_per_prompt() {
    let model = nano();
    let recipe = Recipe {
        templates: &[],
        combine: Combine::Max,
        ..Recipe::default()
    };
    let labels = list(&[("a cat", &[]), ("dog", &["a dog", "a puppy"])]);
    let set = LabelSet::encode(&labels, &recipe, &mut PromptEncoder::new(&model)).unwrap();
    assert_eq!(set.rows(), [0..1, 1..3]);
    assert_eq!(
        set.embeddings().0.row(2),
        model.encode_text("a puppy").unwrap().0.row(0)
    );
}

#[test]
fn reports_templates_that_have_no_effect() {
    let model = nano();
    let templates = PublishedTemplates::ImageNet7.templates();
    let recipe = Recipe {
        templates: &templates,
        combine: Combine::Mean,
        ..Recipe::default()
    };
    let labels = list(&[("dog", &["a dog"])]);
    let set = LabelSet::encode(&labels, &recipe, &mut PromptEncoder::new(&model)).unwrap();
    assert_eq!(set.notices(), [Notice::TemplatesUnused]);
    assert_eq!(row(&set, "dog"), model.encode_text("a dog").unwrap().0.row(0));
}

/// 300 words of one token each, in sentences of 10 words.
fn long_text() -> String {
    let sentence = "The cat sat on a mat with a small dog.";
    [sentence; 30]
        .iter()
        .enumerate()
        .map(|(i, s)| format!("{s} {} ", ["One.", "Two."][i % 2]))
        .collect()
}

#[test]
fn truncates_rejects_or_chunks_a_long_text() {
    let model = nano();
    let text = long_text();
    let encode = |long_text| {
        let mut encoder = PromptEncoder::new(&model).long_text(long_text);
        let row = encoder.encode(std::slice::from_ref(&text))?;
        Ok::<_, Error>((row, encoder.take_notices()))
    };
    let (cut, notices) = encode(LongText::Truncate).unwrap();
    assert_eq!(cut, model.encode_text(&text).unwrap().0);
    assert!(
        notices[0].to_string().contains("tokens; this model reads 248"),
        "{}",
        notices[0]
    );

    let refused = encode(LongText::Refuse).unwrap_err().to_string();
    assert!(
        refused.starts_with("label `The cat sat on a mat with a small dog. O…` has"),
        "{refused}"
    );

    let (whole, notices) = encode(LongText::Chunk).unwrap();
    assert!(
        matches!(notices[0], Notice::Chunked { n_parts: 2, .. }),
        "{}",
        notices[0]
    );
    assert_ne!(whole, cut);
}

#[test]
fn caches_embeddings_for_the_same_model_only() {
    let model = nano();
    let dir = tempfile::tempdir().unwrap();
    let labels = list(&[("a cat", &[]), ("dog", &["a dog", "a puppy"])]);
    let encode = |model| {
        let mut encoder = PromptEncoder::new(model).cache(VectorCache::open(dir.path(), model));
        LabelSet::encode(&labels, &Recipe::default(), &mut encoder).unwrap()
    };
    let folders = || std::fs::read_dir(dir.path()).unwrap().count();
    let plain = LabelSet::encode(&labels, &Recipe::default(), &mut PromptEncoder::new(&model)).unwrap();
    assert_eq!(encode(&model), plain);
    assert_eq!(encode(&model), plain);
    assert_eq!(folders(), 1);

    let mut weights = nano::safetensors().to_vec();
    let at = weights.len() - 2; // an f16 of the last tensor
    weights[at] ^= 1;
    let load = |bytes| crate::weights::Checkpoint::from_bytes("other", bytes, &Default::default()).unwrap();
    let other = LongClip::from_checkpoint(load(weights), &Default::default()).unwrap();
    encode(&other);
    assert_eq!(folders(), 2);
}

/// The labels that are left, and what is said about the others.
fn distinct(labels: &[&str], long_text: LongText) -> (Vec<String>, Vec<String>) {
    let model = nano();
    let mut list = LabelList::default();
    list.extend(labels.iter().map(|&name| Label::plain(name))).unwrap();
    let mut encoder = PromptEncoder::new(&model).long_text(long_text);
    let set = LabelSet::encode(&list, &Recipe::default(), &mut encoder).unwrap();
    let same = |notice: &&Notice| matches!(notice, Notice::SameTokens { .. });
    let notices = set.notices().iter().filter(same).map(ToString::to_string);
    let places: Option<Vec<usize>> = labels.iter().map(|name| set.place(name.trim())).collect();
    assert!(places.unwrap().iter().all(|place| *place < set.labels().len()));
    (set.labels().to_vec(), notices.collect())
}

#[test]
fn labels_with_the_same_tokens_count_once() {
    let long = "cat ".repeat(260);
    for (one, other) in [
        ("Cat", "cat"),
        ("a  cat", "a cat"),
        ("a cat .", "a cat."),
        ("caf\u{e9}", "cafe\u{301}"),
        (&format!("{long}and a dog"), &format!("{long}and a bird")),
    ] {
        let (left, notices) = distinct(&[one, "a cup of coffee", other], LongText::Truncate);
        assert_eq!(left, [one, "a cup of coffee"]);
        assert!(
            notices.len() == 1 && notices[0].ends_with("; it counts once"),
            "{notices:?}"
        );
    }
    assert_eq!(
        distinct(&["Cat", "cat", "CAT"], LongText::Truncate).1,
        [
            "label `cat` has the same tokens as `Cat`; it counts once",
            "label `CAT` has the same tokens as `Cat`; it counts once",
        ]
    );
    let prompts: [(&str, &[&str]); 3] = [("a", &["x", "y"]), ("b", &["X", "z"]), ("c", &["x", "Y"])];
    let set = LabelSet::encode(&list(&prompts), &Recipe::default(), &mut PromptEncoder::new(&nano())).unwrap();
    assert_eq!(
        (set.labels(), set.place("c")),
        (&["a".to_owned(), "b".to_owned()][..], Some(0))
    );
    let parts = [&*format!("{long}and a dog"), &format!("{long}and a bird")];
    assert_eq!(
        distinct(&parts, LongText::Chunk).0.len(),
        2,
        "in parts, nothing is cut off"
    );
}

#[test]
fn labels_with_the_same_tokens_are_in_one_group_or_refused() {
    let model = nano();
    let encoded = |groups: [Option<&str>; 2]| {
        let mut list = LabelList::default();
        let labels = ["Cat", "cat"].into_iter().zip(groups).map(|(name, group)| Label {
            group: group.map(str::to_owned),
            ..Label::plain(name)
        });
        list.extend(labels).unwrap();
        LabelSet::encode(&list, &Recipe::default(), &mut PromptEncoder::new(&model))
    };
    assert_eq!(encoded([None, Some("animal")]).unwrap().groups().names(), ["animal"]);
    let error = encoded([Some("animal"), Some("pet")]).unwrap_err().to_string();
    assert!(
        error.contains("the same tokens, and are in two groups, `animal` and `pet`"),
        "{error}"
    );
}

#[test]
fn an_evaluation_keeps_classes_that_the_model_cannot_distinguish() {
    let model = nano();
    let recipe = Recipe {
        same_tokens: SameTokens::Keep,
        ..Recipe::default()
    };
    let labels = list(&[("missile", &[]), ("Missile", &[])]);
    let set = LabelSet::encode(&labels, &recipe, &mut PromptEncoder::new(&model)).unwrap();
    assert_eq!((set.labels().len(), set.notices().len()), (2, 0));
}
