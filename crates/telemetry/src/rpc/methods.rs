//! Which methods there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// What a method is called that nobody knows: callers choose paths, and metrics must not grow by it.
pub(super) const OTHER: &str = "_OTHER";

/// What every service serves beside its own.
const COMMON: [(&str, bool); 4] = [
    ("grpc.health.v1.Health/Check", false),
    ("grpc.health.v1.Health/Watch", true),
    (
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        true,
    ),
    (
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        true,
    ),
];

/// The methods that are known by name. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Methods(Arc<BTreeMap<Arc<str>, bool>>);

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Method {
    pub(super) name: Arc<str>,
    /// Whether its answer is a stream, and lasts.
    pub(super) is_stream: bool,
}

impl Methods {
    /// Those of a `FileDescriptorSet` as protobuf writes it, and those that every service has. Of
    /// bytes that are none, just the latter.
    pub fn new(descriptors: &[u8]) -> Self {
        let mut methods = BTreeMap::new();
        for (name, is_stream) in COMMON {
            methods.insert(Arc::from(name), is_stream);
        }
        let set = FileDescriptorSet::decode(descriptors).unwrap_or_default();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                    methods.insert(Arc::from(name), method.server_streaming());
                }
            }
        }
        Self(Arc::new(methods))
    }

    /// The method of a path.
    pub(super) fn of(&self, path: &str) -> Method {
        let known = self.0.get_key_value(path.trim_start_matches('/'));
        let other = || Method {
            name: OTHER.into(),
            is_stream: false,
        };
        known.map_or_else(other, |(name, is_stream)| Method {
            name: Arc::clone(name),
            is_stream: *is_stream,
        })
    }
}

#[cfg(test)]
mod tests {
    use prost_types::{FileDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto};

    use super::*;

    #[test]
    fn what_nobody_knows_has_one_name() {
        let method = MethodDescriptorProto {
            name: Some("Sync".to_owned()),
            server_streaming: Some(true),
            ..MethodDescriptorProto::default()
        };
        let file = FileDescriptorProto {
            package: Some("a.v1".to_owned()),
            service: vec![ServiceDescriptorProto {
                name: Some("Ledger".to_owned()),
                method: vec![method],
                ..ServiceDescriptorProto::default()
            }],
            ..FileDescriptorProto::default()
        };
        let methods = Methods::new(&FileDescriptorSet { file: vec![file] }.encode_to_vec());
        let sync = methods.of("/a.v1.Ledger/Sync");
        assert_eq!((&*sync.name, sync.is_stream), ("a.v1.Ledger/Sync", true));
        for path in ["/a.v1.Ledger/Sink", "/", "", "/a.v1.Ledger/Sync/../../x\n"] {
            let other = methods.of(path);
            assert_eq!((&*other.name, other.is_stream), (OTHER, false), "{path:?}");
        }
    }
}
