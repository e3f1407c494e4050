//! Makes small archives and pickles for the tests, as `torch.save` would write them.

/// How an archive is to be written.
#[derive(Clone, Copy)]
pub(super) enum Zip {
    /// Uncompressed records, sizes in 32 bits.
    Stored,
    /// Uncompressed records, sizes and offsets in 64 bits, as in a file of more than 4 GiB.
    Stored64,
    /// The records claim to be deflated.
    Deflated,
}

/// A zip archive with these records in the folder `model`.
pub(super) fn archive(zip: Zip, records: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, record) in records {
        let name = format!("model/{name}");
        let place = [record.len() as u64, record.len() as u64, bytes.len() as u64];
        let method: [u8; 2] = if matches!(zip, Zip::Deflated) { [8, 0] } else { [0, 0] };
        // The 32-bit sizes and offset, and the extra field that replaces them.
        let (narrow, extra) = match zip {
            Zip::Stored64 => (
                [u32::MAX; 3],
                [&[1, 0, 24, 0][..], &place.map(u64::to_le_bytes).concat()].concat(),
            ),
            Zip::Stored | Zip::Deflated => (place.map(|v| v as u32), Vec::new()),
        };
        let [packed, unpacked, start] = narrow.map(u32::to_le_bytes);
        let name_len = (name.len() as u16).to_le_bytes();
        // Version, flags, method, time, date, checksum, sizes, lengths of name and extra field.
        let common = [&[0; 4][..], &method, &[0; 8], &packed, &unpacked, &name_len].concat();
        bytes.extend([b"PK\x03\x04", &common[..], &[0; 2], name.as_bytes(), record].concat());
        let extra_len = (extra.len() as u16).to_le_bytes();
        directory.extend(
            [
                b"PK\x01\x02\0\0",
                &common[..],
                &extra_len,
                &[0; 10],
                &start,
                name.as_bytes(),
                &extra,
            ]
            .concat(),
        );
    }
    let end = end_of(zip, records.len(), directory.len(), bytes.len());
    [bytes, directory, end].concat()
}

/// The records after the directory, which say where it begins and how long it is.
fn end_of(zip: Zip, n_records: usize, len: usize, start: usize) -> Vec<u8> {
    let wide = [n_records, n_records, len, start]
        .map(|v| (v as u64).to_le_bytes())
        .concat();
    match zip {
        Zip::Stored64 => {
            let at = ((start + len) as u64).to_le_bytes();
            let end_64 = [b"PK\x06\x06", &[0; 20][..], &wide].concat();
            let locator = [b"PK\x06\x07", &[0; 4][..], &at, &[0; 4]].concat();
            [
                end_64,
                locator,
                b"PK\x05\x06".to_vec(),
                vec![0; 4],
                vec![0xff; 12],
                vec![0; 2],
            ]
            .concat()
        }
        Zip::Stored | Zip::Deflated => {
            let count = (n_records as u16).to_le_bytes();
            let (len, start) = ((len as u32).to_le_bytes(), (start as u32).to_le_bytes());
            [b"PK\x05\x06", &[0; 4][..], &count, &count, &len, &start, &[0; 2]].concat()
        }
    }
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
