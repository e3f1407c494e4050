//! A Parquet file: as an index of embeddings, and as a data set.

#![no_main]

use longclip::search::Index;

longclip_fuzz::target!(|data| {
    let path = longclip_fuzz::file("a.parquet", data);
    if let Ok(index) = Index::open(&path) {
        let _ = index.pictures();
        let _ = index.pictures_of(&[0]);
        assert_eq!(index.embeddings().len(), index.len());
    }
    longclip_fuzz::data::read("a.parquet", data);
});
