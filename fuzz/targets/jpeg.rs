#![no_main]

use longclip::preprocess::Decoding;
use longclip_fuzz::image::decode;

longclip_fuzz::target!(|data| {
    decode(data, &[b"\xff\xd8\xff"], Decoding::Whole);
    decode(data, &[b"\xff\xd8\xff"], Decoding::Reduced);
});
