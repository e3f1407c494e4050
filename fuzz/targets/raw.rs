#![no_main]

use longclip::preprocess::Decoding;
use longclip_fuzz::image::decode;

const SIGNATURES: [&[u8]; 10] = [
    b"FUJIFILMCCD-RAW",
    b"????ftypcrx ",
    b"??????HEAPCCDR",
    b"IIRO",
    b"IIRS",
    b"MMOR",
    b"IIU\0",
    b"FOVb",
    b"\0MRM",
    // A TIFF file with a camera's tags: NEF, DNG, CR2.
    b"II*\0",
];

longclip_fuzz::target!(|data| decode(data, &SIGNATURES, Decoding::Whole));
