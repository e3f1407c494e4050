//! `longclip --licenses`: the notices that come with the program.

use crate::fixture::Desk;

#[test]
fn the_notices_name_the_data_and_the_crates_in_the_program() {
    let output = Desk::new().shell("longclip --licenses");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
    for part in [
        "CLIP, https://github.com/openai/CLIP. MIT License, Copyright (c) 2021 OpenAI.",
        "\nApache License, Version 2.0",
        "\ncandle-core (https://",
        "\nMIT\n",
        "Permission is hereby granted",
    ] {
        assert!(text.contains(part), "{part}");
    }
}
