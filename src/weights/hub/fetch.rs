//! Turns an address into checked files on this machine, from the cache or else from the hub.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::address::is_relative_path;
use super::cache::RepoCache;
use super::choose::{choose, in_same_folder, may_have_config, shards};
use super::download::{Wanted, download};
use super::facts::{ask, file_url};
use super::http::{HubClient, Method, Request, network, not_a_hub, permanent, url_path};
use super::integrity::{Verdict, check_cached};
use super::{FileFacts, HubAddress, HubModel, HubSettings, Origin, Progress};
use crate::error::{Error, Result};
use crate::weights::config;
use crate::weights::files::{CONFIG_NAMES, TOKENIZER, is_index};

/// More than any list of a repository's files.
const MAX_LISTING_BYTES: u64 = 16 << 20;

/// Looks in the cache only, and reads only names there.
pub fn located(address: &HubAddress, settings: &HubSettings) -> Option<HubModel> {
    lookup(&RepoCache::open(settings, address)?, address).ok()?
}

/// Looks in the cache only. A file is compared with its hash the first time it is used.
///
/// # Errors
/// [`Error::NotWeights`] if a file's hash is not the hub's; [`Error::UnknownModel`] if several files could be meant.
pub fn cached(
    address: &HubAddress,
    settings: &HubSettings,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Option<HubModel>> {
    let Some(cache) = RepoCache::open(settings, address) else {
        return Ok(None);
    };
    let Some(model) = lookup(&cache, address)? else {
        return Ok(None);
    };
    for path in &model.weights {
        if let Verdict::Damaged { expected, found } = check(path, progress)? {
            return Err(Error::NotWeights {
                path: path.clone(),
                expected: format!("the hub's file, with the {} {}", expected.kind(), expected.hex()),
                found: format!("other bytes, with {}", found.hex()),
            });
        }
    }
    Ok(Some(model))
}

/// The model from the cache, else from the hub.
///
/// # Errors
/// As [`refresh`], if it is not in the cache.
pub fn fetch(address: &HubAddress, settings: &HubSettings, progress: &mut dyn FnMut(Progress<'_>)) -> Result<HubModel> {
    match cached(address, settings, progress) {
        Ok(Some(model)) => Ok(model),
        // Damaged: the hub has the right bytes. Offline, the damage is the answer.
        Err(damaged @ Error::NotWeights { .. }) if settings.offline => Err(damaged),
        Ok(None) | Err(Error::NotWeights { .. }) => refresh(address, settings, progress),
        Err(other) => Err(other),
    }
}

/// Asks the hub for the revision's current commit, and downloads what is missing or changed.
///
/// # Errors
/// [`Error::Network`] if the hub can't be reached, refuses, or sends other bytes than it announced;
/// [`Error::UnknownModel`] if it does not exist there, or nothing may be fetched; [`Error::Write`] if the disk is full.
pub fn refresh(
    address: &HubAddress,
    settings: &HubSettings,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<HubModel> {
    if settings.offline {
        return Err(offline(address, settings));
    }
    let cache = RepoCache::open(settings, address).ok_or_else(|| no_cache(address))?;
    let client = HubClient::new(settings)?;
    let (file, listing) = match address.file() {
        Some(file) => (file.to_owned(), None),
        None => {
            let names = list(&client, address)?;
            (choose(address, &names)?, Some(names))
        }
    };
    let mut bring = Bring {
        client: &client,
        cache: &cache,
        address,
        progress,
    };
    // The configs come first, so that a cache with the weights has everything. One list costs less than asking for each;
    // a mirror may have none.
    if may_have_config(&file) {
        let listing = listing.or_else(|| list(&client, address).ok());
        bring.configs(&file, listing.as_deref())?;
    }
    let facts = ask(&client, address, &file)?;
    let main = bring.file(&file, &facts)?;
    if is_index(&file) {
        for shard in shards(&main, &file)? {
            bring.file(&shard, &ask(&client, address, &shard)?)?;
        }
    }
    cache.remember_revision(&facts.commit)?;
    let model = lookup(&cache, address)?.ok_or_else(|| no_cache(address))?;
    Ok(HubModel {
        origin: Origin::Hub,
        ..model
    })
}

/// What the hub says about the file that `address` names.
///
/// # Errors
/// As [`refresh`].
pub fn hub_facts(address: &HubAddress, settings: &HubSettings) -> Result<FileFacts> {
    if settings.offline {
        return Err(offline(address, settings));
    }
    let client = HubClient::new(settings)?;
    let file = match address.file() {
        Some(file) => file.to_owned(),
        None => choose(address, &list(&client, address)?)?,
    };
    ask(&client, address, &file)
}

/// Brings files of one revision into the cache.
struct Bring<'a> {
    client: &'a HubClient<'a>,
    cache: &'a RepoCache,
    address: &'a HubAddress,
    progress: &'a mut dyn FnMut(Progress<'_>),
}

impl Bring<'_> {
    fn file(&mut self, file: &str, facts: &FileFacts) -> Result<PathBuf> {
        let url = file_url(self.client, self.address, file);
        let wanted = Wanted { url: &url, file, facts };
        download(self.client, self.cache, wanted, self.progress)?;
        self.cache.link(facts, file)
    }

    /// Brings the configs in the same folder; `listing` is the names of the repository's files, if they are known.
    fn configs(&mut self, weights: &str, listing: Option<&[String]>) -> Result<()> {
        let mut brings_tokenizer = false;
        for name in CONFIG_NAMES {
            let config = self.config(&in_same_folder(weights, name), listing)?;
            brings_tokenizer |= config
                .as_deref()
                .and_then(Path::parent)
                .is_some_and(config::brings_tokenizer);
        }
        if brings_tokenizer {
            self.config(&in_same_folder(weights, TOKENIZER), listing)?;
        }
        Ok(())
    }

    /// Brings a file, if the repository has it.
    fn config(&mut self, file: &str, listing: Option<&[String]>) -> Result<Option<PathBuf>> {
        if listing.is_some_and(|names| !names.iter().any(|name| name == file)) {
            return Ok(None);
        }
        match ask(self.client, self.address, file) {
            Ok(facts) => self.file(file, &facts).map(Some),
            Err(Error::UnknownModel { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }
}

/// Finds all files of the model in the cache, unchecked.
fn lookup(cache: &RepoCache, address: &HubAddress) -> Result<Option<HubModel>> {
    let Some(snapshot) = cache.snapshot() else {
        return Ok(None);
    };
    let file = match address.file() {
        Some(file) => file.to_owned(),
        None => {
            let names = names_in(&snapshot);
            // An interrupted download leaves only config files.
            match names.iter().any(|name| !name.ends_with(".json") || is_index(name)) {
                true => choose(address, &names)?,
                false => return Ok(None),
            }
        }
    };
    let Some(main) = cache.file(&file) else {
        return Ok(None);
    };
    let mut model = HubModel {
        path: main.clone(),
        weights: vec![main.clone()],
        origin: Origin::Cache,
    };
    if is_index(&file) {
        let shards: Option<Vec<PathBuf>> = shards(&main, &file)?.iter().map(|shard| cache.file(shard)).collect();
        let Some(shards) = shards else {
            return Ok(None);
        };
        model.path = main.parent().map_or(snapshot, Path::to_owned);
        model.weights = shards;
    }
    Ok(Some(model))
}

fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

fn check(path: &Path, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Verdict> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let bytes_total = fs::metadata(path).map_or(0, |meta| meta.len());
    let mut was_reported = false;
    check_cached(path, |_| {
        if !was_reported {
            progress(Progress::Checking {
                file: &file,
                bytes_total,
            });
            was_reported = true;
        }
    })
}

/// The hub's answer about a repository, of which only the names of files are read.
#[derive(Deserialize)]
struct Listing {
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
}

fn list(client: &HubClient<'_>, address: &HubAddress) -> Result<Vec<String>> {
    let repo = address.repo();
    let revision = url_path(address.revision()).replace('/', "%2F");
    let url = format!("{}/api/models/{repo}/revision/{revision}", client.settings.endpoint);
    let wanted = address.to_string();
    let bytes = client.patiently(|client| {
        let mut answer = client.answer(Request {
            method: Method::Get,
            url: &url,
            range: None,
            wanted: &wanted,
        })?;
        let body = answer.body_mut().with_config().limit(MAX_LISTING_BYTES).read_to_vec();
        body.map_err(|source| permanent(network(&url, &format!("the list of files did not arrive ({source})"))))
    })?;
    let listing: Listing = serde_json::from_slice(&bytes)
        .map_err(|_| not_a_hub(&url, "its answer is not a list of a repository's files".into()))?;
    Ok(listing
        .siblings
        .into_iter()
        .map(|file| file.rfilename)
        .filter(|name| is_relative_path(name))
        .collect())
}

fn no_cache(address: &HubAddress) -> Error {
    Error::UnknownModel {
        name: address.to_string(),
        problem: "no folder to keep it in: neither HF_HOME nor HOME is set".into(),
        hint: Some("set HF_HOME to a folder".into()),
    }
}

fn offline(address: &HubAddress, settings: &HubSettings) -> Error {
    let place = settings
        .cache_dir
        .as_deref()
        .map_or(String::new(), |dir| format!(" (`{}`)", dir.display()));
    Error::UnknownModel {
        name: address.to_string(),
        problem: format!("it is not in the cache{place}, and HF_HUB_OFFLINE forbids asking the hub"),
        hint: None,
    }
}
