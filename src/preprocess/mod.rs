//! Preprocessing: from the bytes of a picture to the normalised `(3, R, R)` pixels that the image tower reads.
