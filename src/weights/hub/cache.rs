//! The hub's cache on disk, in the layout of all Hugging Face tools.
//!
//! ```text
//! models--OWNER--REPO/blobs/ETAG                 the bytes; ETAG.incomplete during the download
//!                    /refs/REVISION              the last known commit of a branch
//!                    /snapshots/COMMIT/FILE      a link to the blob
//!                    /.verified/ETAG             ours: size and time of a blob with a checked hash
//! .locks/models--OWNER--REPO/ETAG.lock           one writer at a time, also among Python's tools
//! ```

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use hf_hub::{Cache, CacheRepo, Repo, RepoType};

use super::disk::{make_parent, write_error};
use super::{FileFacts, HubAddress, HubSettings, Progress};
use crate::error::Result;
use crate::files;

/// An address as `hf-hub` takes it, which knows the folders of the cache.
fn hub_repo(address: &HubAddress) -> Repo {
    Repo::with_revision(
        address.repo().to_owned(),
        RepoType::Model,
        address.revision().to_owned(),
    )
}

/// One repository's folder of the cache.
pub(super) struct RepoCache {
    /// The folder that holds `models--*`.
    cache_dir: PathBuf,
    repo: Repo,
    files: CacheRepo,
    names_a_commit: bool,
}

impl RepoCache {
    /// `None` if the settings name no cache.
    pub(super) fn open(settings: &HubSettings, address: &HubAddress) -> Option<Self> {
        let cache_dir = settings.cache_dir.clone()?;
        let repo = hub_repo(address);
        Some(RepoCache {
            files: Cache::new(cache_dir.clone()).repo(repo.clone()),
            cache_dir,
            repo,
            names_a_commit: address.names_a_commit(),
        })
    }

    fn repo_dir(&self) -> PathBuf {
        self.cache_dir.join(self.repo.folder_name())
    }

    /// The folder with the files of the revision, if there is one.
    pub(super) fn snapshot(&self) -> Option<PathBuf> {
        let commit = match self.names_a_commit {
            true => self.repo.revision().to_owned(),
            false => {
                let commit = fs::read_to_string(self.repo_dir().join("refs").join(self.repo.revision())).ok()?;
                let commit = commit.trim().to_owned();
                super::address::is_relative_path(&commit).then_some(commit)?
            }
        };
        let dir = self.files.pointer_path(&commit);
        dir.is_dir().then_some(dir)
    }

    /// A file of the revision, if it is in the cache.
    pub(super) fn file(&self, file: &str) -> Option<PathBuf> {
        let path = self.snapshot()?.join(file);
        path.is_file().then_some(path)
    }

    fn blobs(&self) -> PathBuf {
        self.repo_dir().join("blobs")
    }

    pub(super) fn blob(&self, facts: &FileFacts) -> PathBuf {
        self.blobs().join(&facts.etag)
    }

    /// Where the bytes are until the download is complete and checked.
    pub(super) fn incomplete(&self, facts: &FileFacts) -> PathBuf {
        self.blobs().join(format!("{}.incomplete", facts.etag))
    }

    /// Locks this blob against other processes until the lock is dropped; waits for a process that holds it.
    pub(super) fn lock(&self, facts: &FileFacts, file: &str, progress: &mut dyn FnMut(Progress<'_>)) -> Result<File> {
        let path = self
            .cache_dir
            .join(".locks")
            .join(self.repo.folder_name())
            .join(format!("{}.lock", facts.etag));
        make_parent(&path)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(write_error(&path))?;
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => progress(Progress::Waiting { file }),
            Err(TryLockError::Error(source)) => return Err(write_error(&path)(source)),
        }
        lock.lock().map_err(write_error(&path))?;
        Ok(lock)
    }

    /// Links the blob under its name in the snapshot of its commit; returns that path.
    pub(super) fn link(&self, facts: &FileFacts, file: &str) -> Result<PathBuf> {
        let path = self.files.pointer_path(&facts.commit).join(file);
        make_parent(&path)?;
        // By its parts, because a link of Windows leads nowhere if it is written with slashes.
        let up = std::iter::repeat_n("..", 2 + file.matches('/').count());
        let target: PathBuf = up.chain(["blobs", &facts.etag]).collect();
        if fs::read_link(&path).is_ok_and(|now| now == target) {
            return Ok(path);
        }
        files::link_new(&path, |new| link_or_copy(&target, &self.blob(facts), new)).map_err(write_error(&path))?;
        Ok(path)
    }

    /// Notes the commit of the revision, unless the revision is itself a commit.
    pub(super) fn remember_revision(&self, commit: &str) -> Result<()> {
        if self.names_a_commit {
            return Ok(());
        }
        let path = self.repo_dir().join("refs").join(self.repo.revision());
        make_parent(&path)?;
        files::replace(&path, |new| fs::write(new, commit).map_err(write_error(&path)))
    }
}

/// A relative link, or a copy if the system has no links.
fn link_or_copy(target: &Path, blob: &Path, link: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    let linked = std::os::unix::fs::symlink(target, link);
    #[cfg(windows)]
    let linked = std::os::windows::fs::symlink_file(target, link);
    #[cfg(not(any(unix, windows)))]
    let linked: std::io::Result<()> = Err(std::io::ErrorKind::Unsupported.into());
    linked.or_else(|_| fs::copy(blob, link).map(|_| ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(dir: &Path, address: &str) -> RepoCache {
        let settings = HubSettings {
            cache_dir: Some(dir.to_owned()),
            ..HubSettings::default()
        };
        RepoCache::open(&settings, &HubAddress::parse(address).unwrap()).unwrap()
    }

    fn facts() -> FileFacts {
        FileFacts {
            commit: "c".repeat(40),
            etag: "e".repeat(64),
            size_bytes: 3,
        }
    }

    #[test]
    fn a_linked_file_is_found_by_branch_and_by_commit() {
        let dir = tempfile::tempdir().unwrap();
        let by_branch = cache(dir.path(), "o/r");
        assert_eq!(by_branch.file("sub/f.pt"), None);
        let blob = by_branch.blob(&facts());
        make_parent(&blob).unwrap();
        fs::write(&blob, "abc").unwrap();
        by_branch.link(&facts(), "sub/f.pt").unwrap();
        by_branch.remember_revision(&facts().commit).unwrap();

        let path = by_branch.file("sub/f.pt").unwrap();
        assert_eq!(
            path,
            dir.path()
                .join("models--o--r/snapshots")
                .join("c".repeat(40))
                .join("sub/f.pt")
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "abc");
        let by_commit = cache(dir.path(), &format!("o/r@{}", "c".repeat(40)));
        assert_eq!(by_commit.file("sub/f.pt"), Some(path));
    }

    #[test]
    fn a_revision_file_that_points_outside_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("models--o--r/refs")).unwrap();
        fs::create_dir_all(dir.path().join("models--o--r/snapshots")).unwrap();
        fs::write(dir.path().join("models--o--r/refs/main"), "../..").unwrap();
        assert_eq!(cache(dir.path(), "o/r").snapshot(), None);
    }
}
