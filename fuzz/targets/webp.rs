#![no_main]

use longclip::preprocess::Decoding;
use longclip_fuzz::image::decode;

longclip_fuzz::target!(|data| decode(data, &[b"RIFF????WEBP"], Decoding::Whole));
