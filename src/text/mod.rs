//! Text: cleaning, byte-pair encoding, and the cut at the context length.
