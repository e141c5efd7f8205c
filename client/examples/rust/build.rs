//! Generates the clients from proto/ with the protoc in PATH, or the one that the variable PROTOC names.
use std::path::{Path, PathBuf};
use std::{fs, io};

fn main() -> io::Result<()> {
    let proto = Path::new("../../../proto");
    let files: Vec<PathBuf> = fs::read_dir(proto.join("attune/v1"))?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    tonic_prost_build::configure()
        .build_server(false)
        // google.rpc.Status and the error details come ready-made.
        .extern_path(".google.rpc", "::tonic_types::pb")
        .compile_protos(&files, &[proto.to_path_buf()])
}
