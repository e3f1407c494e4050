//! A batch of CIFAR: a pickle, or bytes of a fixed length.

#![no_main]

longclip_fuzz::target!(|data| {
    if let Some((name, bytes)) = longclip_fuzz::chosen(data, &["test_batch", "test_batch.bin", "test", "test.bin"]) {
        longclip_fuzz::data::read(name, bytes);
    }
});
