//! A hub of its own for each test, and a cache that is filled from it.

use std::fs;
use std::path::PathBuf;

use longclip::Result;
use longclip::weights::hub::HubSettings;
use longclip::weights::names::{Places, Resolved, resolve};

use crate::hub_server::{Host, HubServer, Seen, Served};

/// A temporary folder with a cache, and the hub that the cache is filled from.
pub(crate) struct Sandbox {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) server: HubServer,
}

impl Sandbox {
    pub(crate) fn new(files: &[(&str, Served)]) -> Self {
        Sandbox {
            dir: tempfile::tempdir().unwrap(),
            server: HubServer::start(files),
        }
    }

    pub(crate) fn settings(&self, more: &[(&str, &str)]) -> HubSettings {
        let endpoint = self.server.endpoint();
        let home = self.dir.path().to_str().unwrap().to_owned();
        HubSettings::from_lookup(move |name| {
            let own = [("HF_HOME", home.as_str()), ("HF_ENDPOINT", endpoint.as_str())];
            let found = more.iter().chain(&own).find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    pub(crate) fn resolve(&self, name: &str) -> Result<Resolved> {
        self.resolve_with(name, &[])
    }

    pub(crate) fn resolve_with(&self, name: &str, more: &[(&str, &str)]) -> Result<Resolved> {
        resolve(Some(name), &Places::default(), &self.settings(more), &mut |_| ())
    }

    pub(crate) fn repo(&self, folder: &str) -> PathBuf {
        self.dir.path().join("hub").join(folder)
    }

    /// The names in a repository's `blobs`.
    pub(crate) fn blobs(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.repo(folder).join("blobs")).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn at_cdn(&self) -> Vec<Seen> {
        self.server
            .seen()
            .into_iter()
            .filter(|seen| seen.host == Host::ContentNetwork)
            .collect()
    }
}
