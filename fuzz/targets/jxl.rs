#![no_main]

use longclip::preprocess::Decoding;
use longclip_fuzz::image::decode;

longclip_fuzz::target!(|data| decode(data, &[b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n"], Decoding::Whole));
