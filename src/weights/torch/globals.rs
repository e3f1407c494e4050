//! The functions and classes that a pickle of weights may name; all others are refused. None is ever called: each name
//! here stands for what the interpreter does instead.

use crate::weights::stored::StoredType;

/// Which program wrote the pickle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `torch.save`: Python's own pickler.
    TorchSave,
    /// `torch.jit.save`: classes under `__torch__` are compiled modules, and plain data here.
    TorchScript,
    /// Arrays of numpy in lists and dictionaries, written by Python 2 or 3.
    Numpy,
}

/// What an allowed name means.
#[derive(Debug, Clone, Copy)]
pub(super) enum Global {
    /// A dictionary class; a call makes an empty one, which is filled afterwards.
    DictClass,
    /// The type of a storage; it is only named.
    Storage(StoredType),
    /// `_rebuild_tensor_v2` and the older `_rebuild_tensor`: a tensor from storage, offset, shape and strides.
    RebuildTensor,
    /// A function that, as far as weights go, returns its first argument: a parameter from its tensor.
    FirstArgument,
    /// `_rebuild_from_type_v2(function, class, arguments, state)`: a tensor that carried Python attributes.
    RebuildFromType,
    /// A module's class in a TorchScript archive.
    ScriptClass,
    /// `_reconstruct`: an array whose shape, type and bytes follow as its state.
    NumpyArray,
    /// `dtype`: a type of numbers.
    NumpyType,
    /// `_frombuffer`: an array over bytes.
    NumpyBuffer,
    /// `_codecs.encode(text, "latin1")`: bytes, as Python 3 writes them for Python 2.
    Encode,
    /// Harmless settings of a training checkpoint, which don't affect weights.
    Other,
}

/// What `module.name` means, if it is allowed.
pub(super) fn find(module: &str, name: &str, dialect: Dialect) -> Option<Global> {
    if dialect == Dialect::Numpy {
        return numpy_name(module, name);
    }
    Some(match (module, name) {
        ("collections", "OrderedDict" | "defaultdict" | "Counter") => Global::DictClass,
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Global::FirstArgument,
        ("torch.jit._pickle", "restore_type_tag") => Global::FirstArgument,
        ("torch._tensor", "_rebuild_from_type_v2") => Global::RebuildFromType,
        ("torch", _) => torch_name(name)?,
        _ if is_harmless(module, name) => Global::Other,
        _ if dialect == Dialect::TorchScript && (module == "__torch__" || module.starts_with("__torch__.")) => {
            Global::ScriptClass
        }
        _ => return None,
    })
}

/// The names in pickled arrays of numpy.
fn numpy_name(module: &str, name: &str) -> Option<Global> {
    Some(match (module, name) {
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Global::NumpyArray,
        ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Global::NumpyBuffer,
        ("numpy", "dtype") => Global::NumpyType,
        ("numpy", "ndarray") => Global::Other,
        ("_codecs", "encode") => Global::Encode,
        _ => return None,
    })
}

/// Classes of the `torch` module itself.
fn torch_name(name: &str) -> Option<Global> {
    let stored_type = match name {
        "DoubleStorage" => StoredType::F64,
        "FloatStorage" => StoredType::F32,
        "HalfStorage" => StoredType::F16,
        "BFloat16Storage" => StoredType::BF16,
        "LongStorage" => StoredType::I64,
        "IntStorage" => StoredType::I32,
        "ShortStorage" => StoredType::I16,
        "CharStorage" => StoredType::I8,
        "ByteStorage" => StoredType::U8,
        "BoolStorage" => StoredType::Bool,
        "Size" | "device" | "Tensor" | "float64" | "float32" | "float16" | "bfloat16" | "int64" | "int32" | "int16"
        | "int8" | "uint8" | "bool" => return Some(Global::Other),
        _ => return None,
    };
    Some(Global::Storage(stored_type))
}

/// Settings, counters and numpy scalars that training scripts save with the weights.
fn is_harmless(module: &str, name: &str) -> bool {
    matches!(
        (module, name),
        ("argparse", "Namespace")
            | (
                "builtins" | "__builtin__",
                "set" | "frozenset" | "dict" | "list" | "int" | "float" | "complex" | "bytearray"
            )
            | ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar")
            | ("numpy", "dtype")
            | ("_codecs", "encode")
            | ("torch.nn.parameter", "Parameter")
            | (
                "torch.jit._pickle",
                "build_intlist" | "build_doublelist" | "build_boollist" | "build_tensorlist"
            )
    )
}
