//! Reads settings one by one, and keeps what is wrong with any of them.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use figment::Figment;
use figment::value::{Dict, Value};
use http::Uri;
use http::uri::Authority;
use ipnet::IpNet;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::effective::{Effective, without_secrets};
use super::inputs::{Inputs, Layer, variables};
use super::problem::{CONFIGURATION, Problem};
use super::setting::{Form, Setting};
use crate::limits::{ICE_SERVER_BYTES_MAX, ICE_SERVERS_MAX};
use crate::tls::TlsFiles;

/// Where a value comes from that nobody set.
pub(super) const DEFAULT: &str = "default";

/// All layers, and what was found wrong in them.
#[expect(missing_debug_implementations, reason = "may hold a password")]
pub struct Reader {
    settings: Vec<Setting>,
    figment: Figment,
    problems: Vec<Problem>,
}

impl Reader {
    /// Puts the layers above each other. Names that no setting has are problems.
    ///
    /// # Errors
    /// A file that is no TOML: nobody knows then what else is wrong.
    pub fn new(settings: Vec<Setting>, inputs: &Inputs) -> Result<Self, Problem> {
        let mut this = Self {
            settings,
            figment: Figment::new(),
            problems: Vec::new(),
        };
        if let Some(file) = &inputs.file {
            this.add_file(file.layer()?);
        }
        let (layers, problems) = variables(&inputs.environment);
        this.problems.extend(problems);
        for (layer, key) in layers {
            if this.setting(&key).is_some() {
                this.add(layer);
            } else {
                let name = layer.name;
                this.unknown(&name, "environment", &key);
            }
        }
        Ok(this)
    }

    fn add(&mut self, layer: Layer) {
        self.figment = std::mem::take(&mut self.figment).merge(layer);
    }

    /// Takes what has a setting; what has none is a problem.
    fn add_file(&mut self, mut layer: Layer) {
        let source = layer.name.clone();
        let mut known = Dict::new();
        for (section, value) in std::mem::take(&mut layer.values) {
            let Some(values) = value.as_dict() else {
                self.unknown(&section, &source, &section);
                continue;
            };
            for (name, value) in values {
                let key = format!("{section}.{name}");
                if self.setting(&key).is_none() {
                    self.unknown(&key, &source, &key);
                    continue;
                }
                let inner = Dict::from([(name.clone(), value.clone())]);
                let merged = match known.remove(&section) {
                    Some(Value::Dict(tag, mut dict)) => {
                        dict.extend(inner);
                        Value::Dict(tag, dict)
                    }
                    _ => Value::from(inner),
                };
                known.insert(section.clone(), merged);
            }
        }
        layer.values = known;
        self.add(layer);
    }

    fn setting(&self, key: &str) -> Option<Setting> {
        self.settings.iter().find(|known| known.key == key).copied()
    }

    fn unknown(&mut self, written: &str, source: &str, key: &str) {
        let section = key.split('.').next().unwrap_or_default();
        let of_section = self.settings.iter().filter_map(|known| {
            let (known_section, name) = known.parts();
            (known_section == section).then_some(name)
        });
        let names: Vec<&str> = of_section.collect();
        let next = if names.is_empty() {
            let mut sections: Vec<&str> = self.settings.iter().map(|s| s.parts().0).collect();
            sections.dedup();
            format!("the sections are {}", sections.join(", "))
        } else {
            format!("[{section}] has {}", names.join(", "))
        };
        self.problems.push(Problem {
            reason: CONFIGURATION,
            key: written.to_owned(),
            source: source.to_owned(),
            wrong: "there is no such setting here".to_owned(),
            next,
        });
    }

    /// The value of a setting and its source; an empty text is as good as none.
    fn value(&self, setting: &Setting) -> (Option<Value>, String) {
        let default = (!setting.default.is_empty()).then(|| Value::from(setting.default));
        let Ok(value) = self.figment.find_value(setting.key) else {
            return (default, DEFAULT.to_owned());
        };
        if value.as_str().is_some_and(|text| text.trim().is_empty()) {
            return (default, DEFAULT.to_owned());
        }
        let metadata = self.figment.get_metadata(value.tag());
        let source = metadata.map_or("file", |metadata| &metadata.name);
        (Some(value), source.to_owned())
    }

    /// Where a setting's value came from.
    pub fn source(&self, key: &str) -> String {
        self.setting(key)
            .map_or_else(|| DEFAULT.to_owned(), |setting| self.value(&setting).1)
    }

    /// Keeps what is wrong with a setting.
    pub fn problem(&mut self, key: &str, wrong: impl Into<String>, next: impl Into<String>) {
        self.found(CONFIGURATION, key, wrong, next);
    }

    /// Keeps what is wrong with what a setting names, under its own reason.
    pub(crate) fn found(
        &mut self,
        reason: &'static str,
        key: &str,
        wrong: impl Into<String>,
        next: impl Into<String>,
    ) {
        let source = self.source(key);
        self.problems.push(Problem {
            reason,
            key: key.to_owned(),
            source,
            wrong: wrong.into(),
            next: next.into(),
        });
    }

    /// Whether something is wrong with a setting already.
    pub fn has_problem(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| problem.key == key)
    }

    /// Everything that was found wrong.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// The configuration in effect, setting by setting.
    pub fn effective(&self) -> Vec<Effective> {
        let settings = self.settings.iter();
        settings
            .map(|setting| {
                let (value, source) = self.value(setting);
                Effective::new(*setting, value.as_ref(), source)
            })
            .collect()
    }

    /// A setting read by `parse`; what it cannot read is a problem, and none.
    fn read<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&Setting, &Value) -> Result<T, String>,
    ) -> Option<T> {
        let setting = self.setting(key)?;
        let value = self.value(&setting).0?;
        parse(&setting, &value)
            .map_err(|wrong| self.problem(key, wrong, setting.what_to_write()))
            .ok()
    }

    /// A setting of [`Form::Address`].
    pub fn address(&mut self, key: &str) -> Option<SocketAddr> {
        self.read(key, |_, value| parsed(value, "no IP address with a port"))
    }

    /// A setting of [`Form::Flag`].
    pub fn flag(&mut self, key: &str) -> Option<bool> {
        self.read(key, |_, value| parsed(value, "neither true nor false"))
    }

    /// A setting of [`Form::Count`].
    pub fn count(&mut self, key: &str) -> Option<u64> {
        self.read(key, |setting, value| {
            let count: u64 = parsed(value, "no whole number")?;
            if let Form::Count { min, max } = setting.form
                && !(min..=max).contains(&count)
            {
                return Err(format!("{count} is out of its limits"));
            }
            Ok(count)
        })
    }

    /// A setting of [`Form::Time`].
    pub fn time(&mut self, key: &str) -> Option<Duration> {
        self.read(key, |setting, value| {
            let text = text(value)?;
            let time = humantime::parse_duration(text.trim())
                .map_err(|_| format!("{text:?} is no time with a unit"))?;
            if let Form::Time { min, max } = setting.form
                && !(min..=max).contains(&time)
            {
                return Err(format!("{text:?} is out of its limits"));
            }
            Ok(time)
        })
    }

    /// A setting of [`Form::Path`].
    pub fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.read(key, |_, value| text(value).map(PathBuf::from))
    }

    /// A setting of [`Form::Word`].
    pub fn word(&mut self, key: &str) -> Option<&'static str> {
        self.read(key, |setting, value| {
            let text = text(value)?;
            let Form::Word(words) = setting.form else {
                return Err("it has no words".to_owned());
            };
            let found = words.iter().find(|word| **word == text);
            found
                .copied()
                .ok_or_else(|| format!("{text:?} is none of its words"))
        })
    }

    /// A setting of [`Form::SecretUrl`], unchecked: what is wrong with it is said without it.
    pub(super) fn secret(&mut self, key: &str) -> Option<String> {
        self.read(key, |_, value| {
            text(value).map_err(|_| "it is no text".to_owned())
        })
    }

    /// A setting of [`Form::Filter`].
    pub(super) fn filter(&mut self, key: &str) -> Option<String> {
        self.read(key, |_, value| {
            let text = text(value)?;
            if let Some(odd) = text.split(',').find(|directive| !names_level(directive)) {
                return Err(format!("{odd:?} names no level"));
            }
            match EnvFilter::try_new(&text) {
                Ok(_) => Ok(text),
                Err(_) => Err(format!("{text:?} is no filter")),
            }
        })
    }

    /// A setting of [`Form::Urls`]: a list, or a text with commas; of each scheme, host and port,
    /// and no more.
    pub fn urls(&mut self, key: &str) -> Vec<Uri> {
        let read = self.read(key, |setting, value| {
            let urls = items(value)?;
            if let Form::Urls(most) = setting.form
                && urls.len() > most
            {
                return Err(format!("{} are too many", urls.len()));
            }
            urls.iter().map(|text| url(text)).collect()
        });
        read.unwrap_or_default()
    }

    /// A setting of [`Form::Networks`]: a list, or a text with commas.
    pub(super) fn networks(&mut self, key: &str) -> Vec<IpNet> {
        let read = self.read(key, |_, value| {
            let network = |text: String| {
                let address = text.parse::<IpAddr>().map(IpNet::from);
                let network = address.or_else(|_| text.parse::<IpNet>());
                network.map_err(|_| format!("{text:?} is no IP network"))
            };
            items(value)?.into_iter().map(network).collect()
        });
        read.unwrap_or_default()
    }

    /// A setting of [`Form::Authorities`]: a list, or a text with commas.
    pub fn authorities(&mut self, key: &str) -> Vec<String> {
        let read = self.read(key, |_, value| {
            let names = items(value)?;
            for name in &names {
                let authority = name.parse::<Authority>();
                if authority.is_err() || name.contains('@') {
                    return Err(format!("{name:?} is no host with a port"));
                }
            }
            Ok(names)
        });
        read.unwrap_or_default()
    }

    /// A setting of [`Form::IceServers`]: a list, or a text with commas.
    pub fn ice_servers(&mut self, key: &str) -> Vec<String> {
        let read = self.read(key, |setting, value| {
            let Form::IceServers(scheme) = setting.form else {
                return Err("it has no scheme".to_owned());
            };
            let servers = items(value)?;
            if servers.len() > ICE_SERVERS_MAX {
                return Err(format!("{} are more than {ICE_SERVERS_MAX}", servers.len()));
            }
            match servers.iter().find(|server| !is_ice_server(scheme, server)) {
                None => Ok(servers),
                // Credentials are not written here, but may have been.
                Some(odd) if odd.contains('@') => Err("one has a name or password".to_owned()),
                Some(odd) => Err(format!("{odd:?} is no {scheme} server")),
            }
        });
        read.unwrap_or_default()
    }

    /// A setting of [`Form::Names`]: a list, or a text with commas.
    pub(super) fn names(&mut self, key: &str) -> Vec<String> {
        let read = self.read(key, |_, value| {
            let names = items(value)?;
            for name in &names {
                if !TlsFiles::is_client_name(name) {
                    return Err(format!("{name:?} is no URI"));
                }
            }
            Ok(names)
        });
        read.unwrap_or_default()
    }
}

fn url(text: &str) -> Result<Uri, String> {
    let shown = without_secrets(text);
    let url: Uri = text.parse().map_err(|_| format!("{shown:?} is no URL"))?;
    let is_http = matches!(url.scheme_str(), Some("http" | "https"));
    let is_plain = url.path_and_query().is_none_or(|path| path == "/");
    let is_host = url
        .authority()
        .is_some_and(|host| !host.as_str().contains('@'));
    if is_http && is_plain && is_host {
        Ok(url)
    } else {
        Err(format!("{shown:?} is more or less than an address"))
    }
}

fn parsed<T: std::str::FromStr>(value: &Value, what: &str) -> Result<T, String> {
    let text = text(value)?;
    text.trim()
        .parse()
        .map_err(|_| format!("{text:?} is {what}"))
}

/// A value as it would stand in a variable.
pub(super) fn text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(_, text) => Ok(text.clone()),
        Value::Bool(_, flag) => Ok(flag.to_string()),
        Value::Num(_, number) => number
            .to_i128()
            .map(|number| number.to_string())
            .ok_or_else(|| "it is no whole number".to_owned()),
        Value::Char(_, _) | Value::Empty(_, _) | Value::Dict(_, _) | Value::Array(_, _) => {
            Err("it is a list or a table".to_owned())
        }
    }
}

pub(super) fn items(value: &Value) -> Result<Vec<String>, String> {
    if let Some(items) = value.as_array() {
        return items.iter().map(text).collect();
    }
    let text = text(value)?;
    let items = text.split(',').map(str::trim);
    Ok(items
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect())
}

/// Whether it is the address of a server that devices can use, who ask over UDP: a scheme, a host,
/// and maybe a port.
fn is_ice_server(scheme: &str, server: &str) -> bool {
    let rest = server.strip_prefix(scheme);
    let Some(address) = rest.and_then(|rest| rest.strip_prefix(':')) else {
        return false;
    };
    let address = match scheme {
        "turn" => address.strip_suffix("?transport=udp").unwrap_or(address),
        _ => address,
    };
    let Ok(authority) = address.parse::<Authority>() else {
        return false;
    };
    let host = authority.host();
    let whole = match authority.port_u16() {
        Some(port) => port > 0 && address == format!("{host}:{port}"),
        None => address == host,
    };
    whole && !host.is_empty() && server.is_ascii() && server.len() <= ICE_SERVER_BYTES_MAX
}

/// Whether a directive of a filter says which level it is about. The filter itself takes any word
/// for a target, so a level that is mistyped would silence everything.
fn names_level(directive: &str) -> bool {
    let level = directive
        .rsplit_once('=')
        .map_or(directive, |(_, level)| level);
    let is_word = !level.is_empty() && level.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_word && level.parse::<LevelFilter>().is_ok()
}
