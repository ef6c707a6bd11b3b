//! What is in effect, fit to be shown.

use std::fmt;

use figment::value::Value;
use serde_json::Value as Json;

use super::reader::{items, text};
use super::setting::{Form, Setting};

/// What is shown of a secret.
const HIDDEN: &str = "***";

/// A setting as it is in effect, fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The setting.
    pub setting: Setting,
    /// Its value as the file would write it; secrets are hidden. None: not set.
    pub value: Option<Json>,
    /// Where it came from: `default`, the file, or the variable.
    pub source: String,
}

impl Effective {
    pub(super) fn new(setting: Setting, value: Option<&Value>, source: String) -> Self {
        Self {
            setting,
            value: value.map(|value| shown(setting.form, value)),
            source,
        }
    }
}

/// What cannot be read is shown as it stands, unless it may be secret.
fn shown(form: Form, value: &Value) -> Json {
    let text = text(value).unwrap_or_default();
    match form {
        Form::SecretUrl => hidden(&text).into(),
        Form::Authorities | Form::Names | Form::Networks | Form::IceServers(_) => {
            items(value).map_or(Json::Null, Json::from)
        }
        Form::Urls(_) => items(value).map_or(Json::Null, |urls| {
            urls.iter().map(|url| without_secrets(url)).collect()
        }),
        Form::Flag | Form::Count { .. } => {
            serde_json::from_str(text.trim()).unwrap_or_else(|_| text.into())
        }
        Form::Address
        | Form::OptionalAddress
        | Form::Time { .. }
        | Form::Path
        | Form::Word(_)
        | Form::Filter => text.into(),
    }
}

/// An address as a message may show it: whole if nothing in it can be secret.
pub fn without_secrets(url: &str) -> String {
    if url.contains(['@', '?', '#']) {
        hidden(url)
    } else {
        url.to_owned()
    }
}

/// A URL without what may be secret: user, password, and what follows a question or hash mark.
fn hidden(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return HIDDEN.to_owned();
    };
    let rest = match rest.rsplit_once('@') {
        Some((_, host)) => format!("{HIDDEN}@{host}"),
        None => rest.to_owned(),
    };
    match rest.find(['?', '#']) {
        Some(at) => format!("{scheme}://{}{HIDDEN}", &rest[..=at]),
        None => format!("{scheme}://{rest}"),
    }
}

/// As a line of the file, with its source. TOML writes these values as JSON does.
impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.setting.parts().1;
        match &self.value {
            None => write!(f, "# {name} is not set"),
            Some(value) => write!(f, "{name} = {value}  # {}", self.source.escape_debug()),
        }
    }
}
