//! Compiles the contract without a system `protoc`.

use std::path::Path;

use prost::Message as _;

const FILES: [&str; 11] = [
    "edgeledger/admin/v1/admin_service.proto",
    "edgeledger/identity/v1/deployment.proto",
    "edgeledger/identity/v1/identity_service.proto",
    "edgeledger/identity/v1/link.proto",
    "edgeledger/identity/v1/statement.proto",
    "edgeledger/ledger/v1/entry.proto",
    "edgeledger/ledger/v1/frame.proto",
    "edgeledger/ledger/v1/ledger_service.proto",
    "edgeledger/signal/v1/nearby.proto",
    "edgeledger/signal/v1/signal.proto",
    "edgeledger/signal/v1/signal_service.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    let folder = std::env::var("OUT_DIR")?;
    let path = Path::new(&folder).join("edgeledger.bin");
    std::fs::write(path, descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".")
        .compile_fds(descriptors)?;
    Ok(())
}
