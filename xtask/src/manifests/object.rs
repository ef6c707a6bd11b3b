//! What `kubectl kustomize` prints, object by object. It prints one form, so that no parser is
//! needed here: `---` between objects, and their own fields at the left edge.

use anyhow::Context as _;

/// One object.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) kind: String,
    pub(super) api_version: String,
    pub(super) text: String,
}

impl Object {
    /// The name of its schema, if it is custom: `cert-manager.io_certificate_v1`.
    pub(super) fn schema(&self) -> String {
        let (group, version) = self
            .api_version
            .split_once('/')
            .unwrap_or(("core", &self.api_version));
        format!("{group}_{}_{version}", self.kind.to_ascii_lowercase())
    }
}

/// The objects of a text.
pub(super) fn split(text: &str) -> Vec<anyhow::Result<Object>> {
    let texts = text.split("\n---\n");
    let texts = texts.filter(|text| !text.trim().is_empty());
    texts.map(read).collect()
}

fn read(text: &str) -> anyhow::Result<Object> {
    let field = |name: &str| {
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value
            .map(str::to_owned)
            .with_context(|| format!("an object has no {name}:\n{text}"))
    };
    Ok(Object {
        kind: field("kind")?,
        api_version: field("apiVersion")?,
        text: format!("{}\n", text.trim_end()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_split_at_its_marks() {
        let text = "apiVersion: v1\nkind: Service\nmetadata:\n  kind: no\n---\n\
                    apiVersion: cert-manager.io/v1\nkind: Certificate\n";
        let objects: Vec<_> = split(text).into_iter().map(Result::unwrap).collect();
        let schemas: Vec<String> = objects.iter().map(Object::schema).collect();
        assert_eq!(
            schemas,
            ["core_service_v1", "cert-manager.io_certificate_v1"]
        );
        assert!(objects[0].text.ends_with("  kind: no\n"));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let split = split("apiVersion: v1\nmetadata: {}\n");
        let error = split[0].as_ref().expect_err("it has no kind");
        assert!(error.to_string().contains("no kind"), "{error}");
    }
}
