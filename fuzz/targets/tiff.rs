#![no_main]

use longclip::preprocess::Decoding;
use longclip_fuzz::image::decode;

longclip_fuzz::target!(|data| decode(data, &[b"II*\0", b"MM\0*", b"II\x2b\0", b"MM\0\x2b"], Decoding::Whole));
