//! Kernels: the CPU's arithmetic, each with a plain twin as its oracle.
