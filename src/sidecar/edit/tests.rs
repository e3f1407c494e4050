//! Edits of sidecars as programs write them.

use super::*;

const DARKTABLE: &str = include_str!("../../../tests/data/xmp/darktable.xmp");
const LIGHTROOM: &str = include_str!("../../../tests/data/xmp/lightroom.xmp");
const DIGIKAM: &str = include_str!("../../../tests/data/xmp/digikam.xmp");
const RDF_OPEN: &str = "<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">";

fn tags(paths: &[&str]) -> Vec<TagPath> {
    let parts = |path: &&str| TagPath(path.split('|').map(str::to_owned).collect());
    paths.iter().map(parts).collect()
}

/// The lists of a text, ours too.
fn lists(text: &str) -> [Vec<String>; PROPERTIES.len()] {
    let packet = read(text).unwrap();
    std::array::from_fn(|i| packet.texts(i).map(str::to_owned).collect())
}

/// Adds tags, and checks that nothing else changes, that a second run changes nothing, and that removal undoes it.
#[track_caller]
fn check(text: &str, paths: &[&str]) -> String {
    let edited = tagged(text, &tags(paths)).unwrap().expect("something is added");
    assert_eq!(tagged(&edited, &tags(paths)).unwrap(), None, "a second run");
    let mut rest = edited.chars();
    let is_kept = text.chars().all(|c| rest.any(|other| other == c));
    assert!(is_kept, "something is lost: {edited}");
    assert_eq!(untagged(&edited).unwrap(), Untagged::Text(text.to_owned()), "a removal");
    edited
}

#[test]
fn a_new_sidecar_has_the_three_lists_and_says_what_is_ours() {
    let text = new_text(&tags(&["animal|cat", "animal", "Tom & <Anna>"])).unwrap();
    insta::assert_snapshot!(text, @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="longclip">
     <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
      <rdf:Description rdf:about="">
       <dc:subject xmlns:dc="http://purl.org/dc/elements/1.1/">
        <rdf:Bag>
         <rdf:li>cat</rdf:li>
         <rdf:li>animal</rdf:li>
         <rdf:li>Tom &amp; &lt;Anna&gt;</rdf:li>
        </rdf:Bag>
       </dc:subject>
       <lr:hierarchicalSubject xmlns:lr="http://ns.adobe.com/lightroom/1.0/">
        <rdf:Bag>
         <rdf:li>animal|cat</rdf:li>
         <rdf:li>Tom &amp; &lt;Anna&gt;</rdf:li>
        </rdf:Bag>
       </lr:hierarchicalSubject>
       <digiKam:TagsList xmlns:digiKam="http://www.digikam.org/ns/1.0/">
        <rdf:Seq>
         <rdf:li>animal/cat</rdf:li>
         <rdf:li>Tom &amp; &lt;Anna&gt;</rdf:li>
        </rdf:Seq>
       </digiKam:TagsList>
       <longclip:subject xmlns:longclip="https://github.com/longclip/longclip/ns/1.0/">
        <rdf:Bag>
         <rdf:li>cat</rdf:li>
         <rdf:li>animal</rdf:li>
         <rdf:li>Tom &amp; &lt;Anna&gt;</rdf:li>
        </rdf:Bag>
       </longclip:subject>
       <longclip:hierarchicalSubject xmlns:longclip="https://github.com/longclip/longclip/ns/1.0/">
        <rdf:Bag>
         <rdf:li>animal|cat</rdf:li>
         <rdf:li>Tom &amp; &lt;Anna&gt;</rdf:li>
        </rdf:Bag>
       </longclip:hierarchicalSubject>
       <longclip:TagsList xmlns:longclip="https://github.com/longclip/longclip/ns/1.0/">
        <rdf:Seq>
         <rdf:li>animal/cat</rdf:li>
         <rdf:li>Tom &amp; &lt;Anna&gt;</rdf:li>
        </rdf:Seq>
       </longclip:TagsList>
      </rdf:Description>
     </rdf:RDF>
    </x:xmpmeta>
    "#);
    assert_eq!(untagged(&text).unwrap(), Untagged::Nothing);
}

#[test]
fn sidecars_of_photo_programs_keep_every_byte() {
    let darktable = check(DARKTABLE, &["animal|cat", "Tom & Anna"]);
    assert_eq!(
        lists(&darktable)[0],
        ["Tom & Anna", "darktable", "people", "cat"],
        "the user's tag is not added twice"
    );
    assert_eq!(lists(&darktable)[3], ["cat"], "and it is not ours");
    assert_eq!(
        lists(&darktable)[1],
        ["darktable", "people|Tom & Anna", "animal|cat", "Tom & Anna"]
    );
    let lightroom = check(LIGHTROOM, &["animal|cat"]);
    assert_eq!(lists(&lightroom)[2], ["animal/cat"]);
    let digikam = check(DIGIKAM, &["animal|cat", "Urlaub|Küste"]);
    assert_eq!(lists(&digikam)[2], ["Urlaub/Küste", "animal/cat"]);
    assert!(digikam.starts_with("<?xpacket begin=\"\u{feff}\"") && digikam.ends_with("<?xpacket end=\"w\"?>"));
}

#[test]
fn a_byte_order_mark_moves_nothing() {
    for packet in [DARKTABLE, LIGHTROOM, DIGIKAM] {
        for marks in ["\u{feff}", "\u{feff}\u{feff}"] {
            let edited = check(&format!("{marks}{packet}"), &["animal|cat"]);
            assert_eq!(edited.strip_prefix(marks), Some(&*check(packet, &["animal|cat"])));
        }
    }
    let error = read("\u{feff}0<;<").unwrap_err();
    assert!(error.contains("line 1"), "{error}");
}

#[test]
fn line_ends_and_one_line_packets_stay_as_they_are() {
    let windows = LIGHTROOM.replace('\n', "\r\n");
    let edited = check(&windows, &["cat"]);
    assert_eq!(edited.matches('\n').count(), edited.matches("\r\n").count());
    let one_line = LIGHTROOM
        .lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
        .replace("> <", "><");
    let edited = check(&one_line, &["cat"]);
    assert!(!edited.contains('\n'));
}

#[test]
fn other_prefixes_and_other_forms_of_the_same_thing_are_understood() {
    let other = "<r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><r:Description r:about='' \
                 xmlns:d='http://purl.org/dc/elements/1.1/'><d:subject><r:Bag><r:li>a<![CDATA[ & ]]>b&#x21;</r:li></r:Bag>\
                 </d:subject></r:Description></r:RDF>";
    let edited = check(other, &["cat", "a & b!"]);
    assert!(
        edited.contains("</r:li><r:li>cat</r:li></r:Bag></d:subject>"),
        "{edited}"
    );
    for (inside, expected) in [
        ("<rdf:Description rdf:about=\"\" />", "cat"),
        (
            "<rdf:Description rdf:about=\"\"><a:b xmlns:a=\"a\"/></rdf:Description>",
            "cat",
        ),
        ("", "cat"),
    ] {
        let text = format!("{RDF_OPEN}{inside}</rdf:RDF>");
        let edited = tagged(&text, &tags(&["cat"])).unwrap().unwrap();
        assert_eq!(lists(&edited)[0], [expected], "{edited}");
    }
    for list in [
        "<dc:subject/>",
        "<dc:subject></dc:subject>",
        "<dc:subject><rdf:Bag/></dc:subject>",
        "<dc:subject>\n <rdf:Bag>\n </rdf:Bag>\n</dc:subject>",
    ] {
        let text = format!(
            "{RDF_OPEN}<rdf:Description rdf:about=\"\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\">{list}</rdf:Description></rdf:RDF>"
        );
        let edited = tagged(&text, &tags(&["cat"])).unwrap().unwrap();
        assert_eq!(lists(&edited)[0], ["cat"], "{edited}");
    }
}

#[test]
fn a_list_in_a_second_description_is_found_and_one_deeper_is_not_ours() {
    let text = format!(
        "{RDF_OPEN}\n <rdf:Description rdf:about=\"\"><x:deep xmlns:x=\"x\"><rdf:Description><dc:subject \
         xmlns:dc=\"http://purl.org/dc/elements/1.1/\"><rdf:Bag><rdf:li>deep</rdf:li></rdf:Bag></dc:subject>\
         </rdf:Description></x:deep></rdf:Description>\n <rdf:Description rdf:about=\"\"><dc:subject \
         xmlns:dc=\"http://purl.org/dc/elements/1.1/\"><rdf:Bag><rdf:li>own</rdf:li></rdf:Bag></dc:subject></rdf:Description>\n</rdf:RDF>"
    );
    let edited = check(&text, &["deep", "own"]);
    assert_eq!(lists(&edited)[0], ["own", "deep"]);
}

#[test]
fn a_tag_that_the_user_took_out_stays_out_until_ours_are_removed() {
    let edited = tagged(LIGHTROOM, &tags(&["cat", "sofa"])).unwrap().unwrap();
    let taken_out = edited.replacen("\n     <rdf:li>sofa</rdf:li>", "", 1);
    assert_eq!(lists(&taken_out)[0], ["Haustier", "Wohnung", "cat"]);
    assert_eq!(tagged(&taken_out, &tags(&["cat", "sofa"])).unwrap(), None);
    assert_eq!(untagged(&taken_out).unwrap(), Untagged::Text(LIGHTROOM.to_owned()));
    assert_eq!(untagged(LIGHTROOM).unwrap(), Untagged::Unchanged);
}

#[test]
fn what_is_not_a_sidecar_is_refused_with_a_reason() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let error = tagged(text, &tags(&["cat"])).unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(untagged(text).is_err());
    }
    check("", "no `rdf:RDF`");
    check("a diary", "no `rdf:RDF`");
    check("<a><b></a>", "line 1");
    check(&LIGHTROOM[..LIGHTROOM.len() / 2], "not XML");
    check(
        LIGHTROOM.strip_suffix("</x:xmpmeta>\n").unwrap(),
        "`<x:xmpmeta>` is never closed",
    );
    check(&LIGHTROOM.replace("&lt;auf", "&auf"), "not XML");
    check(
        &LIGHTROOM.replace("xmp:Rating=", "dc:subject="),
        "`dc:subject` is not a list",
    );
    check(
        &LIGHTROOM.replace("<rdf:Bag>\n     <rdf:li>Haustier", "Haustier<rdf:Bag>\n     <rdf:li>"),
        "`dc:subject` is not a list",
    );
    check(&DARKTABLE.replace("UTF-8", "ISO-8859-1"), "its encoding is ISO-8859-1");
}
