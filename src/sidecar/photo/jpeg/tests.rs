//! Lists of images, and IPTC, in photos that get keywords.

use super::super::tests::{LIGHTROOM, fixture, photo, refused, tags};
use super::super::{Kind, spliced};
use md5::{Digest, Md5};

/// A segment of a JPEG.
fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u16 + 2).to_be_bytes();
    [&[0xff, marker][..], &length, content].concat()
}

fn packet(text: &str) -> Vec<u8> {
    segment(0xe1, &[b"http://ns.adobe.com/xap/1.0/\0", text.as_bytes()].concat())
}

/// The order of bytes in a list.
#[derive(Debug, Clone, Copy)]
enum Order {
    Little,
    Big,
}

fn number(number: usize, order: Order) -> [u8; 4] {
    match order {
        Order::Little => (number as u32).to_le_bytes(),
        Order::Big => (number as u32).to_be_bytes(),
    }
}

/// A list of two images, of which the second begins `offset` after the list's base.
fn list_of_two(size: usize, (offset, second_size): (usize, usize), order: Order) -> Vec<u8> {
    let number = |of| number(of, order);
    let pair = |a: u16, b: u16| match order {
        Order::Little => [a.to_le_bytes(), b.to_le_bytes()].concat(),
        Order::Big => [a.to_be_bytes(), b.to_be_bytes()].concat(),
    };
    let start: &[u8] = match order {
        Order::Little => b"MPF\0II*\0",
        Order::Big => b"MPF\0MM\0*",
    };
    // One field, then the position of the next directory, which is missing, and the entries.
    let n_fields = &pair(1, 1)[..2];
    let field = [&pair(0xb002, 7)[..], &number(32), &number(26)].concat();
    let first = [number(0x2003_0000), number(size), number(0), [0; 4]].concat();
    let second = [number(0), number(second_size), number(offset), [0; 4]].concat();
    let content = [start, &number(8), n_fields, &field, &number(0), &first, &second];
    segment(0xe2, &content.concat())
}

/// A photo with another one after it, which its list names; `before` and `after` are around the list.
fn with_second(before: &[u8], after: &[u8], order: Order) -> (Vec<u8>, Vec<u8>) {
    let (first, second) = (fixture("exif-6-240x160.jpg"), fixture("grey-451x300-q85.jpg"));
    let place = Kind::Jpeg.find(&first).unwrap().container;
    let made = |size: usize| {
        let base = place.start + before.len() + 8;
        let list = list_of_two(size, (size - base, second.len()), order);
        spliced(&first, &place, &[before, &list, after].concat())
    };
    let size = made(first.len()).len();
    ([made(size), second.clone()].concat(), second)
}

#[test]
fn a_list_of_the_images_in_a_file_stays_right() {
    let theirs = packet(LIGHTROOM);
    for (before, after) in [(&[][..], &[][..]), (&theirs, &[]), (&[], &theirs)] {
        for order in [Order::Little, Order::Big] {
            let (bytes, second) = with_second(before, after, order);
            let edited = photo(&bytes).tagged(&tags(&["animal|cat"])).unwrap().unwrap();
            assert!(edited.len() > bytes.len() && edited.ends_with(&second));
            let base = edited.windows(4).position(|four| four == b"MPF\0").unwrap() + 4;
            let entries = &edited[base + 26..][..32];
            let size = edited.len() - second.len();
            assert_eq!(entries[4..8], number(size, order), "its size");
            assert_eq!(entries[20..24], number(second.len(), order));
            assert_eq!(entries[24..28], number(size - base, order), "where the second one is");
            assert!(photo(&edited).untagged().unwrap().unwrap() == bytes);
        }
    }
    let (bytes, _) = with_second(&[], &[], Order::Little);
    let base = bytes.windows(4).position(|four| four == b"MPF\0").unwrap() + 4;
    for (at, value) in [(4, 1 << 20), (18, 9_999), (26 + 4, 0xffff_ffff)] {
        let mut damaged = bytes.clone();
        damaged[base + at..][..4].copy_from_slice(&number(value, Order::Little));
        let problem = refused(&damaged);
        assert!(
            problem.starts_with("its list of the images in the file"),
            "{at}: {problem}"
        );
    }
}

#[test]
fn two_packets_are_refused() {
    let jpeg = fixture("exif-6-240x160.jpg");
    let place = Kind::Jpeg.find(&jpeg).unwrap();
    let twice = packet(LIGHTROOM).repeat(2);
    assert_eq!(
        refused(&spliced(&jpeg, &place.container, &twice)),
        "it has two XMP packets"
    );
}

/// One of Photoshop's resources.
fn resource(id: u16, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_be_bytes();
    let padding = &[0][..content.len() % 2];
    [&b"8BIM"[..], &id.to_be_bytes(), &[0, 0], &length, content, padding].concat()
}

/// A photo with these resources, and a packet after them if there is one.
fn with_resources(resources: &[Vec<u8>], xmp: Option<&str>) -> Vec<u8> {
    let jpeg = fixture("exif-6-240x160.jpg");
    let place = Kind::Jpeg.find(&jpeg).unwrap();
    let resources = segment(0xed, &[&b"Photoshop 3.0\0"[..], &resources.concat()].concat());
    let packet = xmp.map(packet).unwrap_or_default();
    spliced(&jpeg, &place.container, &[packet, resources].concat())
}

fn iptc(datasets: &[(u8, u8, &[u8])]) -> Vec<u8> {
    let dataset = |(record, dataset, content): &(u8, u8, &[u8])| {
        [
            &[0x1c, *record, *dataset][..],
            &(content.len() as u16).to_be_bytes(),
            content,
        ]
        .concat()
    };
    datasets.iter().flat_map(dataset).collect()
}

/// The keywords of `dc:subject` that a photo has after it got the tag `cat`.
#[track_caller]
fn subject(bytes: &[u8]) -> Vec<String> {
    let edited = photo(bytes)
        .tagged(&tags(&["animal|cat"]))
        .unwrap()
        .expect("a tag is added");
    assert_eq!(
        photo(&edited).tagged(&tags(&["animal|cat"])).unwrap(),
        None,
        "a second run"
    );
    assert!(photo(&edited).untagged().unwrap().unwrap() == bytes, "removed again");
    let packet = Kind::Jpeg.find(&edited).unwrap().packet.unwrap();
    let text = std::str::from_utf8(&edited[packet]).unwrap();
    let list = text
        .split("<dc:subject")
        .nth(1)
        .unwrap()
        .split("</dc:subject>")
        .next()
        .unwrap();
    let items = list.split("<rdf:li>").skip(1);
    items
        .map(|item| item.split("</rdf:li>").next().unwrap().to_owned())
        .collect()
}

#[test]
fn keywords_that_are_only_in_iptc_are_not_hidden() {
    let block = iptc(&[
        (2, 0, b"\0\x04"),
        (2, 25, b"holiday"),
        (2, 5, b"a title"),
        (2, 25, b"Tom & Anna"),
        (2, 25, b"holiday"),
    ]);
    let theirs = ["holiday", "Tom &amp; Anna", "cat"];
    assert_eq!(subject(&with_resources(&[resource(0x0404, &block)], None)), theirs);
    // Other resources are before it, and a program noted what it wrote.
    let noted = [
        resource(0x03ed, b"resolution"),
        resource(0x0404, &block),
        resource(0x0425, &Md5::digest(&block)),
    ];
    assert_eq!(subject(&with_resources(&noted, None)), theirs);
    // Programs show those of XMP.
    let with_xmp = subject(&with_resources(&noted, Some(LIGHTROOM)));
    assert!(
        with_xmp.len() > 1 && !with_xmp.contains(&"holiday".to_owned()),
        "{with_xmp:?}"
    );
    for (declared, word, expected) in [
        (&b"\x1b%G"[..], "Küche".as_bytes(), "Küche"),
        (b"", "Küche".as_bytes(), "Küche"),
        (b"", b"K\xfcche", "Küche"),
    ] {
        let block = iptc(&[(1, 90, declared), (2, 25, word), (2, 25, b" "), (2, 25, b"")]);
        assert_eq!(
            subject(&with_resources(&[resource(0x0404, &block)], None)),
            [expected, "cat"]
        );
    }
    for whole in [&b"Photoshop 3.0\0"[..], b"8BIM\x04\x04\0\0\xff\xff\xff\xff\x1c\x02\x19"] {
        let bytes = with_resources(&[whole.to_vec()], None);
        assert_eq!(subject(&bytes), ["cat"]);
    }
    let cut_off = resource(0x0404, &[&block[..], b"\x1c\x02\x19\x70\0x"].concat());
    assert_eq!(subject(&with_resources(&[cut_off], None)), theirs);
}

#[test]
fn iptc_that_was_changed_after_the_xmp_is_refused() {
    let block = iptc(&[(2, 25, b"holiday")]);
    let resources = [resource(0x0404, &block), resource(0x0425, &[7; 16])];
    for xmp in [None, Some(LIGHTROOM)] {
        let problem = refused(&with_resources(&resources, xmp));
        assert_eq!(
            problem,
            "its IPTC keywords were changed after its XMP, and photo programs show only those"
        );
    }
    let without = [
        resource(0x0404, &iptc(&[(2, 5, b"a title")])),
        resource(0x0425, &[7; 16]),
    ];
    assert_eq!(subject(&with_resources(&without, None)), ["cat"]);
}
