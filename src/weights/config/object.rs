//! One object of a config file: checks its keys against the table, and reads values with errors that name file and key.

use std::path::Path;

use serde_json::{Map, Value};

use super::keys::{Section, Treatment};
use crate::error::{Error, Result};

/// An object of a config file, whose keys are checked.
pub(super) struct Object<'a> {
    pub(super) file: &'a Path,
    /// Where it is in the file, as `vision_cfg`; empty for the file itself.
    path: String,
    json: &'a Map<String, Value>,
    section: &'static Section,
}

/// The largest number that a config may state for a size.
const SIZE_MAX: u64 = 1 << 20;

impl<'a> Object<'a> {
    /// Checks all keys. Those that nothing is known about are added to `unknown`.
    pub(super) fn new(
        file: &'a Path,
        path: &str,
        json: &'a Map<String, Value>,
        section: &'static Section,
        unknown: &mut Vec<String>,
    ) -> Result<Self> {
        let object = Object {
            file,
            path: path.to_owned(),
            json,
            section,
        };
        for (key, value) in json.iter().filter(|(_, value)| !value.is_null()) {
            match section.treatment(key) {
                Some(Treatment::Fixed(accepted, what)) => {
                    if !accepted.contains(&value.to_string().as_str()) {
                        let problem = format!("{what}, which longclip does not compute");
                        return Err(object.refused(key, &problem));
                    }
                }
                Some(Treatment::CarriedOut | Treatment::Compared | Treatment::NoEffect) => {}
                None => unknown.push(object.dotted(key)),
            }
        }
        Ok(object)
    }

    /// The key with its object, as `vision_cfg.width`.
    pub(super) fn dotted(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }

    /// An error about a key's value.
    pub(super) fn refused(&self, key: &str, problem: &str) -> Error {
        let value = match self.json.get(key) {
            Some(value) => format!("is {value}"),
            None => "is missing".into(),
        };
        Error::Unsupported {
            path: self.file.to_owned(),
            problem: format!("`{}` {value}: {problem}", self.dotted(key)),
            hint: None,
        }
    }

    /// A value that is not null.
    ///
    /// # Panics
    /// If the table doesn't say that this key is read.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        let treatment = self.section.treatment(key);
        assert!(
            matches!(treatment, Some(Treatment::CarriedOut | Treatment::Compared)),
            "`{key}` is read, but {} says {treatment:?}",
            self.section.title
        );
        self.json.get(key).filter(|value| !value.is_null())
    }

    /// Whether the file has this key with the value null, which some libraries read as another value than their default.
    pub(super) fn is_null(&self, key: &str) -> bool {
        self.json.get(key).is_some_and(Value::is_null)
    }

    /// A value that is an object.
    pub(super) fn object(&self, key: &str) -> Result<Option<&'a Map<String, Value>>> {
        self.read(key, "an object is expected", Value::as_object)
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.read(key, "a text is expected", Value::as_str)
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.read(key, "true or false is expected", Value::as_bool)
    }

    /// A number above 0.
    pub(super) fn size(&self, key: &str) -> Result<Option<usize>> {
        self.read(key, "a size is expected", as_size)
    }

    /// A size, or a list of two equal sizes.
    pub(super) fn square(&self, key: &str) -> Result<Option<usize>> {
        self.read(key, "one size for both sides is expected", |value| {
            match value.as_array() {
                Some(sides) => match sides.as_slice() {
                    [only] => as_size(only),
                    [first, second] if first == second => as_size(first),
                    _ => None,
                },
                None => as_size(value),
            }
        })
    }

    pub(super) fn float(&self, key: &str) -> Result<Option<f64>> {
        self.read(key, "a number is expected", |value| {
            value.as_f64().filter(|number| number.is_finite())
        })
    }

    /// Three numbers, or one for all three.
    pub(super) fn three(&self, key: &str) -> Result<Option<[f32; 3]>> {
        self.read(key, "three numbers are expected", |value| match value.as_array() {
            Some(list) => {
                let numbers: Vec<f32> = list
                    .iter()
                    .map(|n| n.as_f64().map(|n| n as f32))
                    .collect::<Option<_>>()?;
                numbers.try_into().ok()
            }
            None => value.as_f64().map(|number| [number as f32; 3]),
        })
    }

    /// What a layer norm adds to a variance.
    pub(super) fn epsilon(&self, key: &str, value: &Value) -> Result<f32> {
        let epsilon = value.as_f64().filter(|epsilon| (0.0..1.0).contains(epsilon));
        epsilon
            .map(|epsilon| epsilon as f32)
            .ok_or_else(|| self.refused(key, "a number from 0 to 1 is expected"))
    }

    fn read<T>(&self, key: &str, expected: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Result<Option<T>> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| self.refused(key, expected)),
        }
    }
}

pub(super) fn as_size(value: &Value) -> Option<usize> {
    let number = value.as_u64().filter(|number| (1..=SIZE_MAX).contains(number))?;
    usize::try_from(number).ok()
}
