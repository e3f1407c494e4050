//! From an address to checked files on this machine: out of the cache, else from the hub.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::address::is_relative_path;
use super::cache::RepoCache;
use super::choose::{COMPANIONS, beside, choose, is_index, may_have_companions, shards};
use super::download::{Wanted, download};
use super::facts::{ask, file_url};
use super::http::{HubClient, Method, Request, lasting, network, url_path};
use super::integrity::{Verdict, check_cached};
use super::{FileFacts, HubAddress, HubModel, HubSettings, Origin, Progress};
use crate::error::{Error, Result};

/// A listing of a repository's files stays far below this.
const MAX_LISTING_BYTES: u64 = 16 << 20;

/// Looks in the cache only, and reads no more of it than names.
pub fn located(address: &HubAddress, settings: &HubSettings) -> Option<HubModel> {
    lookup(&RepoCache::open(settings, address)?, address).ok()?
}

/// Looks in the cache only. A file is compared with its hash the first time it is met.
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

/// The model out of the cache, else from the hub.
///
/// # Errors
/// As [`refresh`], where the cache can't serve.
pub fn fetch(address: &HubAddress, settings: &HubSettings, progress: &mut dyn FnMut(Progress<'_>)) -> Result<HubModel> {
    match cached(address, settings, progress) {
        Ok(Some(model)) => Ok(model),
        // Damaged: the hub has sound bytes. With no hub the damage is the answer.
        Err(damaged @ Error::NotWeights { .. }) if settings.offline => Err(damaged),
        Ok(None) | Err(Error::NotWeights { .. }) => refresh(address, settings, progress),
        Err(other) => Err(other),
    }
}

/// Asks the hub what the revision is now, and downloads what is missing or changed.
///
/// # Errors
/// [`Error::Network`] if the hub can't be reached, refuses, or sends other bytes than it announced;
/// [`Error::UnknownModel`] if it has no such thing, or nothing may be fetched; [`Error::Write`] if the disk is full.
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
    let (file, companions) = match address.file() {
        Some(file) => (file.to_owned(), Companions::Unknown),
        None => {
            let names = list(&client, address)?;
            (choose(address, &names)?, Companions::Listed(names))
        }
    };
    let mut bring = Bring {
        client: &client,
        cache: &cache,
        address,
        progress,
    };
    // The config comes first: weights that are here must mean that all is here.
    if may_have_companions(&file) {
        bring.companions(&file, &companions)?;
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

/// What the hub says of the file that `address` names.
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

/// What is known of a repository's files beside the weights.
enum Companions {
    Listed(Vec<String>),
    Unknown,
}

/// Brings files of one revision.
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

    fn companions(&mut self, file: &str, known: &Companions) -> Result<()> {
        for companion in COMPANIONS.map(|name| beside(file, name)) {
            if matches!(known, Companions::Listed(names) if !names.contains(&companion)) {
                continue;
            }
            match ask(self.client, self.address, &companion) {
                Ok(facts) => self.file(&companion, &facts)?,
                Err(Error::UnknownModel { .. }) => continue,
                Err(other) => return Err(other),
            };
        }
        Ok(())
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
            // Config files alone are what an interrupted download leaves: nothing is here yet.
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
    let mut told = false;
    check_cached(path, |_| {
        if !told {
            progress(Progress::Checking {
                file: &file,
                bytes_total,
            });
            told = true;
        }
    })
}

/// The hub's answer about a repository: of all it says, the names of its files.
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
        body.map_err(|source| {
            lasting(network(
                &url,
                &format!("the list of files did not come through ({source})"),
            ))
        })
    })?;
    let listing: Listing = serde_json::from_slice(&bytes).map_err(|_| Error::Network {
        url: url.clone(),
        problem: "it answers with something that is no list of a repository's files".into(),
        hint: Some("check HF_ENDPOINT, and whether a login page stands between this machine and the network".into()),
    })?;
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
        problem: "there is no folder to keep it in: neither HF_HOME nor HOME is set".into(),
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
        problem: format!("it is not in the cache{place}, and HF_HUB_OFFLINE forbids to ask the hub"),
        hint: None,
    }
}
