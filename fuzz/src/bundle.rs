//! Several files in one input, as a run folder or a map with its image.

use std::io;
use std::path::Path;

/// Files with their names, which are relative to the folder of the input.
///
/// As bytes, each file is a line `#file NAME LENGTH`, followed by its bytes. What does not fit this form
/// belongs to the file before it, so that any bytes are a bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// Name and content of each file.
    pub files: Vec<(String, Vec<u8>)>,
}

const MARK: &[u8] = b"#file ";

impl Bundle {
    /// Reads a bundle.
    pub fn parse(mut data: &[u8]) -> Self {
        let mut files = Vec::new();
        while let Some((name, length, rest)) = head(data) {
            let (content, after) = rest.split_at(length.min(rest.len()));
            files.push((name, content.to_vec()));
            data = after;
        }
        if let Some((_, content)) = files.last_mut() {
            content.extend_from_slice(data);
        }
        Self { files }
    }

    /// Writes the bundle as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, content) in &self.files {
            bytes.extend_from_slice(format!("#file {name} {}\n", content.len()).as_bytes());
            bytes.extend_from_slice(content);
        }
        bytes
    }

    /// Reads all files below a folder, sorted by name.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(name) = path.strip_prefix(folder) {
                    files.push((name.to_string_lossy().into_owned(), std::fs::read(&path)?));
                }
            }
        }
        files.sort();
        Ok(Self { files })
    }

    /// Writes the files below a folder. Names that would leave it are skipped.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        for (name, content) in &self.files {
            let path = Path::new(name);
            let stays_inside = path
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_)));
            if !stays_inside || name.contains('\0') {
                continue;
            }
            let path = folder.join(path);
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(path, content)?;
        }
        Ok(())
    }
}

/// Name and length of the first file, and the bytes after its line.
fn head(data: &[u8]) -> Option<(String, usize, &[u8])> {
    let line = data.strip_prefix(MARK)?;
    let end = line.iter().position(|&byte| byte == b'\n')?;
    let text = std::str::from_utf8(&line[..end]).ok()?;
    let (name, length) = text.rsplit_once(' ')?;
    Some((name.to_owned(), length.parse().ok()?, &line[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_back() {
        let bundle = Bundle {
            files: vec![
                ("a.yaml".to_owned(), b"x: 1\n".to_vec()),
                ("b/c.png".to_owned(), vec![0, 255, b'#']),
            ],
        };
        assert_eq!(Bundle::parse(&bundle.to_bytes()), bundle);
    }

    #[test]
    fn a_length_that_lies_takes_the_rest() {
        let bundle = Bundle::parse(b"#file a 99\nxy");
        assert_eq!(bundle.files, [("a".to_owned(), b"xy".to_vec())]);
    }

    #[test]
    fn names_that_leave_the_folder_are_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        let bundle = Bundle::parse(b"#file ../x 1\ny#file a 1\nz");
        bundle.write(&inside).unwrap();
        assert!(!folder.path().join("x").exists());
        assert_eq!(std::fs::read(inside.join("a")).unwrap(), b"z");
    }
}
