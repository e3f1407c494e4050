//! Writes the seeds of all targets: `seeds FOLDER`.

use std::env;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os().nth(1).ok_or("usage: seeds FOLDER")?;
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data");
    longclip_fuzz::seeds::write(Path::new(&folder), &data)
}
