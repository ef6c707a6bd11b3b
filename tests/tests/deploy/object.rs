//! An object, a pod and a container, as far as tests ask them.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::Value;

/// What marks a pod: the labels of it.
pub(crate) type Labels = BTreeMap<String, String>;

/// An object.
#[derive(Debug)]
pub(crate) struct Object(pub(crate) Value);

impl Object {
    pub(crate) fn kind(&self) -> &str {
        text(&self.0, "/kind")
    }

    pub(crate) fn name(&self) -> &str {
        text(&self.0, "/metadata/name")
    }

    pub(crate) fn at(&self, pointer: &str) -> &Value {
        at(&self.0, pointer)
    }
}

/// The pods that a workload makes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pod<'a> {
    /// The workload's name.
    pub(crate) name: &'a str,
    pub(crate) workload: &'a Object,
    pub(crate) template: &'a Value,
    pub(crate) spec: &'a Value,
}

impl<'a> Pod<'a> {
    pub(crate) fn of(workload: &'a Object) -> Self {
        let template = workload.at("/spec/template");
        Self {
            name: workload.name(),
            workload,
            template,
            spec: at(template, "/spec"),
        }
    }

    pub(crate) fn labels(&self) -> Labels {
        labels(at(self.template, "/metadata/labels"))
    }

    pub(crate) fn containers(&self) -> &'a [Value] {
        list(self.spec, "/containers")
    }

    /// The one container.
    pub(crate) fn container(&self) -> anyhow::Result<&'a Value> {
        match self.containers() {
            [one] => Ok(one),
            more => anyhow::bail!("{}: {} containers", self.name, more.len()),
        }
    }

    /// The variables of its container that have a value of their own, by name.
    pub(crate) fn environment(&self) -> anyhow::Result<BTreeMap<&'a str, &'a str>> {
        let variables = list(self.container()?, "/env").iter();
        Ok(variables
            .filter(|variable| variable.get("value").is_some())
            .map(|variable| (text(variable, "/name"), text(variable, "/value")))
            .collect())
    }

    /// The number of a port that is written as its name or its number.
    pub(crate) fn port(&self, port: &Value) -> anyhow::Result<u64> {
        if let Some(number) = port.as_u64() {
            return Ok(number);
        }
        let mut ports = self.containers().iter().flat_map(|of| list(of, "/ports"));
        let named = ports.find(|of| of["name"] == *port);
        let named = named.with_context(|| format!("{} has no port {port}", self.name))?;
        named["containerPort"].as_u64().context("no number")
    }
}

/// A part that may not be there.
pub(crate) fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// A text; empty if it is not there.
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    at(value, pointer).as_str().unwrap_or_default()
}

/// A list; empty if it is not there.
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    let list = at(value, pointer).as_array();
    list.map(Vec::as_slice).unwrap_or_default()
}

/// The texts of a map.
pub(crate) fn labels(value: &Value) -> Labels {
    let pairs = value.as_object().into_iter().flatten();
    let pairs = pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    pairs.collect()
}

/// Whether a selector selects who has these labels. An empty one selects everybody.
pub(crate) fn selects(selector: &Value, of: &Labels) -> anyhow::Result<bool> {
    let wanted = labels(at(selector, "/matchLabels"));
    let mut all = wanted.iter().all(|(key, value)| of.get(key) == Some(value));
    for expression in list(selector, "/matchExpressions") {
        let operator = text(expression, "/operator");
        anyhow::ensure!(operator == "In", "{operator} is not known here");
        let has = of.get(text(expression, "/key"));
        let values = list(expression, "/values").iter();
        all &= has.is_some_and(|has| values.filter_map(Value::as_str).any(|value| value == has));
    }
    for key in selector
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key)
    {
        let is_known = key == "matchLabels" || key == "matchExpressions";
        anyhow::ensure!(is_known, "{key} is not known here");
    }
    Ok(all)
}

/// A duration as Kubernetes, or a service, writes it: whole seconds, `4s`, `2m`, `1h`.
pub(crate) fn seconds(text: &str) -> anyhow::Result<u64> {
    let (number, unit) = text.split_at(text.len() - text.len().min(1));
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => anyhow::bail!("{text} is no time"),
    };
    Ok(number.parse::<u64>()? * unit)
}
