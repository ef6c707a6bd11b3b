//! Who tells.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;

use super::Program;
use crate::version::VERSION;

/// The program, and what `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` add.
pub(super) fn of(program: Program) -> Resource {
    let own = [
        KeyValue::new("service.name", program.name),
        KeyValue::new("service.namespace", "edge-ledger"),
        KeyValue::new("service.version", VERSION),
        KeyValue::new("service.instance.id", uuid::Uuid::now_v7().to_string()),
    ];
    // Without a name of its own the kit says `unknown_service`.
    let said = Resource::builder().build();
    let unknown = |value: &str| value.starts_with("unknown_service");
    let said = said
        .iter()
        .filter(|(key, value)| key.as_str() != "service.name" || !unknown(&value.as_str()))
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let mut all = own.to_vec();
    all.extend(said);
    Resource::builder_empty().with_attributes(all).build()
}
