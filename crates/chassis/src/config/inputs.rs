//! What is read: a file's text and the variables of an environment, as layers with their names.

use std::ffi::OsString;
use std::path::PathBuf;

use figment::providers::{Format as _, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Error, Metadata, Profile, Provider};

use super::problem::{CONFIGURATION, Problem};
use super::setting::PREFIX;

/// A file that was read.
#[derive(Debug, Clone)]
pub struct FileText {
    /// Its place, for what is said about it.
    pub path: PathBuf,
    /// What is in it: TOML.
    pub text: String,
}

/// Everything that a configuration is read from. The texts may hold a password.
#[derive(Clone, Default)]
#[expect(missing_debug_implementations, reason = "may hold a password")]
pub struct Inputs {
    /// The file, if one was named.
    pub file: Option<FileText>,
    /// The variables of the environment; other names than `EDGE_LEDGER__…` are passed over.
    pub environment: Vec<(OsString, OsString)>,
}

/// Values that have one source, for figment.
pub(super) struct Layer {
    /// The source, as people know it.
    pub(super) name: String,
    pub(super) values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

impl FileText {
    /// Its layer.
    pub(super) fn layer(&self) -> Result<Layer, Problem> {
        let name = self.path.display().to_string();
        match Toml::from_str::<Dict>(&self.text) {
            Ok(values) => Ok(Layer { name, values }),
            Err(error) => Err(Problem {
                reason: CONFIGURATION,
                key: name,
                source: "file".to_owned(),
                wrong: without_excerpt(&error.to_string()),
                next: "write TOML: `[section]`, then `key = \"value\"` lines".to_owned(),
            }),
        }
    }
}

/// The parser quotes the line that it could not read, which may hold a password.
fn without_excerpt(message: &str) -> String {
    let lines = message.lines().filter(|line| !line.contains('|'));
    lines.map(str::trim).collect::<Vec<_>>().join(": ")
}

/// The layers of an environment, one per variable, so that each value knows its name. Names that
/// no setting could have are problems, as are values that are no text.
pub(super) fn variables(
    environment: &[(OsString, OsString)],
) -> (Vec<(Layer, String)>, Vec<Problem>) {
    let (mut layers, mut problems) = (Vec::new(), Vec::new());
    for (name, value) in environment {
        let name = name.to_string_lossy().into_owned();
        let Some(key) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let mut problem = |wrong: &str, next: &str| {
            problems.push(Problem {
                reason: CONFIGURATION,
                key: name.clone(),
                source: "environment".to_owned(),
                wrong: wrong.to_owned(),
                next: next.to_owned(),
            });
        };
        let parts = key.split_once("__").filter(|(section, key)| {
            let is_upper = |part: &str| !part.is_empty() && part == part.to_ascii_uppercase();
            is_upper(section) && is_upper(key)
        });
        let Some((section, key)) = parts else {
            problem(
                "no setting has such a name",
                "write EDGE_LEDGER__SECTION__KEY in capitals, or unset it",
            );
            continue;
        };
        let Some(value) = value.to_str() else {
            problem("its value is no UTF-8 text", "write text");
            continue;
        };
        let (section, key) = (section.to_ascii_lowercase(), key.to_ascii_lowercase());
        let dotted = format!("{section}.{key}");
        let inner = Dict::from([(key, Value::from(value))]);
        let values = Dict::from([(section, Value::from(inner))]);
        layers.push((Layer { name, values }, dotted));
    }
    (layers, problems)
}
