#![no_main]

longclip_fuzz::target!(|data| longclip_fuzz::model::open("w.pt", data.to_vec()));
