//! A bare pickle, in an archive that is whole.

#![no_main]

use longclip_fuzz::model::{Saved, archive, open};

longclip_fuzz::target!(|data| {
    let Some((saved, pickle)) = longclip_fuzz::chosen(data, &[Saved::Whole, Saved::Scripted]) else {
        return;
    };
    open("w.pt", archive(pickle, saved));
});
