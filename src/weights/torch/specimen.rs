//! Makes small archives and pickles for the tests, a part at a time, as `torch.save` would write them.

/// A zip archive of stored records as torch writes it, in the folder `model`; `method` is 0 for records stored as they are.
pub(super) fn archive_with_method(method: u16, records: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut zip, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in records {
        let name = format!("model/{name}");
        let start = zip.len() as u32;
        // Version, flags, method, time, date, checksum, both sizes, lengths of the name and of the extra field.
        let mut common = vec![0; 4];
        common.extend(method.to_le_bytes());
        common.extend([0; 8]);
        common.extend((bytes.len() as u32).to_le_bytes());
        common.extend((bytes.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0; 2]);
        zip.extend(b"PK\x03\x04");
        zip.extend(&common);
        zip.extend(name.as_bytes());
        zip.extend(*bytes);
        directory.extend(b"PK\x01\x02\0\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(start.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = zip.len() as u32;
    zip.extend(&directory);
    zip.extend(b"PK\x05\x06\0\0\0\0");
    zip.extend((records.len() as u16).to_le_bytes());
    zip.extend((records.len() as u16).to_le_bytes());
    zip.extend((directory.len() as u32).to_le_bytes());
    zip.extend(start.to_le_bytes());
    zip.extend([0; 2]);
    zip
}

pub(super) fn archive(records: &[(&str, &[u8])]) -> Vec<u8> {
    archive_with_method(0, records)
}

pub(super) fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

pub(super) fn int(value: i64) -> Vec<u8> {
    [&[0x8a, 8][..], &value.to_le_bytes()].concat()
}

pub(super) fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(", &items.concat()[..], b"t"].concat()
}

pub(super) fn ints(values: &[i64]) -> Vec<u8> {
    tuple(&values.iter().map(|v| int(*v)).collect::<Vec<_>>())
}

pub(super) fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<u8> = entries
        .iter()
        .flat_map(|(key, value)| [text(key), value.clone()].concat())
        .collect();
    [b"}(", &items[..], b"u"].concat()
}

/// A view of `storage_type` in record `data/0`, which holds `n_elements`.
pub(super) fn view(storage_type: &str, n_elements: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let class = format!("ctorch\n{storage_type}\n").into_bytes();
    let id = tuple(&[text("storage"), class, text("0"), text("cpu"), int(n_elements)]);
    let storage = [&id[..], b"Q"].concat();
    let hooks = b"ccollections\nOrderedDict\n)R".to_vec();
    let arguments = tuple(&[storage, int(offset), ints(shape), ints(strides), vec![0x89], hooks]);
    [b"ctorch._utils\n_rebuild_tensor_v2\n", &arguments[..], b"R"].concat()
}

pub(super) fn pickled(object: &[u8]) -> Vec<u8> {
    [b"\x80\x02", object, b"."].concat()
}

/// Six f32, 1 to 6, as the record that every view here is of.
pub(super) fn six() -> Vec<u8> {
    (1u8..=6).flat_map(|v| f32::from(v).to_le_bytes()).collect()
}
