//! Where the workspace is, and which of its files belong to it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::command::Run;

/// A text file of the workspace.
#[derive(Debug)]
pub(crate) struct File {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The folder of the workspace.
pub(crate) fn find() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent()
        .expect("xtask is a folder of the workspace")
        .to_path_buf()
}

/// Whether the workspace is a git checkout, rather than an unpacked archive.
pub(crate) fn is_checkout(root: &Path) -> bool {
    root.join(".git").exists()
}

/// All text files that git tracks or would track; without git all but those of hidden folders
/// and of builds.
pub(crate) fn text_files(root: &Path) -> anyhow::Result<Vec<File>> {
    let mut paths = if is_checkout(root) {
        tracked(root)?
    } else {
        let mut found = Vec::new();
        walk(root, "", &mut found)?;
        found
    };
    paths.sort();
    paths.dedup();
    let mut files = Vec::new();
    for path in paths {
        let whole = root.join(&path);
        // A file that was removed but not yet from the index, or a link to a folder.
        if !whole.is_file() {
            continue;
        }
        let bytes = fs::read(&whole).with_context(|| format!("cannot read {path}"))?;
        if let Ok(text) = String::from_utf8(bytes)
            && !text.contains('\0')
        {
            files.push(File { path, text });
        }
    }
    Ok(files)
}

fn tracked(root: &Path) -> anyhow::Result<Vec<String>> {
    let listed = Run::git(root)
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .text()?;
    Ok(listed
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(String::from)
        .collect())
}

fn walk(root: &Path, folder: &str, found: &mut Vec<String>) -> anyhow::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() {
            name.clone()
        } else {
            format!("{folder}/{name}")
        };
        if entry.file_type()?.is_dir() {
            if name != "target" && name != ".git" {
                walk(root, &path, found)?;
            }
        } else {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_and_the_walk_both_find_this_file_and_nothing_built() {
        let root = find();
        let mut walked = Vec::new();
        walk(&root, "", &mut walked).expect("the workspace is readable");
        assert!(walked.contains(&String::from("xtask/src/root.rs")));
        assert!(!walked.iter().any(|path| path.starts_with("target/")));

        let files = text_files(&root).expect("the workspace is readable");
        assert!(files.iter().any(|file| file.path == "xtask/src/root.rs"));
        assert!(!files.iter().any(|file| file.path.starts_with("target/")));
    }
}
