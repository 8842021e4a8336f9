// SPDX-License-Identifier: GPL-2.0

//! A new file, which stays only if there is something in it.

use std::fs::{self, File};
use std::io::{Result, Write};
use std::path::Path;

/// A file that was not there before. It is removed again unless it is kept.
pub(crate) struct NewFile<'a> {
    path: &'a Path,
    file: File,
    is_kept: bool,
}

impl<'a> NewFile<'a> {
    /// Makes it, with this text.
    pub(crate) fn create(path: &'a Path, text: &str) -> Result<Self> {
        let file = File::create_new(path)?;
        let mut new = Self {
            path,
            file,
            is_kept: false,
        };

        new.file.write_all(text.as_bytes())?;
        Ok(new)
    }

    /// Writes a line, and keeps the file.
    pub(crate) fn add(&mut self, line: &str) -> Result<()> {
        self.is_kept = true;
        writeln!(self.file, "{line}")
    }

    /// Keeps it, whatever is in it.
    pub(crate) fn keep(&mut self) {
        self.is_kept = true;
    }

    /// Puts a text in the place of what is in it, and keeps it. Whoever dies meanwhile leaves what was in it.
    pub(crate) fn replace(&mut self, text: &str) -> Result<()> {
        let mut name = self.path.as_os_str().to_owned();

        name.push(format!(".{}", std::process::id()));

        let mut whole = File::create_new(&name)?;
        let done = whole
            .write_all(text.as_bytes())
            .and_then(|()| fs::rename(&name, self.path));

        self.is_kept = done.is_ok();
        if !self.is_kept {
            let _ = fs::remove_file(&name);
        }
        done
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = fs::remove_file(self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in a folder of a test: each name with its text. The folder is removed.
    fn left_by(name: &str, test: impl FnOnce(&Path)) -> Vec<(String, String)> {
        let folder = std::env::temp_dir().join(format!("portlock-{name}-{}", std::process::id()));

        fs::create_dir_all(&folder).unwrap();
        test(&folder);

        let left = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();

                (name, fs::read_to_string(path).unwrap())
            })
            .collect();

        fs::remove_dir_all(folder).unwrap();
        left
    }

    #[test]
    fn a_new_file_has_one_of_two_texts_or_is_not_there() {
        let left = left_by("replaced", |folder| {
            let path = folder.join("new");
            let mut new = NewFile::create(&path, "before").ok().unwrap();

            assert_eq!(fs::read_to_string(&path).unwrap(), "before");
            assert!(NewFile::create(&path, "other").is_err());
            assert!(new.replace("after").is_ok());
        });

        assert_eq!(left, [("new".to_owned(), "after".to_owned())]);

        let left = left_by("dropped", |folder| {
            drop(NewFile::create(&folder.join("new"), "before"));
        });

        assert_eq!(left, []);

        let left = left_by("kept", |folder| {
            NewFile::create(&folder.join("new"), "")
                .ok()
                .unwrap()
                .keep();
        });

        assert_eq!(left, [("new".to_owned(), String::new())]);
    }

    #[test]
    fn what_cannot_be_replaced_is_not_left() {
        let left = left_by("failed", |folder| {
            let path = folder.join("new");
            let mut new = NewFile::create(&path, "before").ok().unwrap();

            // So that the name cannot be taken.
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
            assert!(new.replace("after").is_err());
            fs::remove_dir(&path).unwrap();
        });

        assert_eq!(left, []);
    }
}
