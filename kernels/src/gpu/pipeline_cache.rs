//! Compiled pipelines kept on disk between processes, where the API can (Vulkan).
//!
//! **Trust.** The driver gets back what a file holds and executes it, so a file counts as what it once gave only if all of
//! this is so: the folder can be written by nobody but its owner (it is made with mode 0700, files with 0600), the
//! file carries the Keccak-256 of its content and of what it was made for, and that is this adapter, backend,
//! driver, driver version, and version of this crate. Against whoever may write as the owner nothing helps, here or
//! anywhere. The driver checks its own header besides. A file that fails is left aside and replaced; nothing here is an
//! error to the caller, only a line in the log.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::adapter::AdapterInfo;
use super::shader::IntegerForm;
use super::tuning::Tuning;
use crate::keccak::keccak256_one;

/// First bytes of a file.
const MAGIC: &[u8; 16] = b"outrider-cache-1";

/// Bytes before the data: [`MAGIC`] and the checksum.
const HEADER_BYTES: usize = MAGIC.len() + 32;

/// Longest file; one that has grown beyond it, with pipelines of shaders that are no more, is begun anew.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// A device's cache and the file that it is kept in.
#[derive(Debug)]
pub(super) struct PipelineCache {
    raw: wgpu::PipelineCache,
    file: CacheFile,
}

impl PipelineCache {
    /// The cache of a device, filled from the folder if there is a file for it. `None` where the API keeps none.
    pub(super) fn open(
        raw: &wgpu::Device,
        adapter: &wgpu::Adapter,
        folder: &Path,
        identity: &Identity<'_>,
    ) -> Option<Self> {
        if !raw.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let key = wgpu::util::pipeline_cache_key(&adapter.get_info())?;
        let file = CacheFile::new(folder, &identity.text(&key));
        let data = file.read().unwrap_or_else(|error| {
            log::info!("pipelines are compiled anew: {}: {error}", file.path.display());
            None
        });
        let descriptor =
            wgpu::PipelineCacheDescriptor { label: Some("outrider"), data: data.as_deref(), fallback: true };
        // SAFETY: `data` is none, or came from `PipelineCache::get_data` of the same adapter, driver and version of this
        // crate: `CacheFile::read` gives only what `CacheFile::write` put there, by its checksum, in a folder that
        // nobody else can write (see the module's words on trust).
        let raw = unsafe { raw.create_pipeline_cache(&descriptor) };
        Some(Self { raw, file })
    }

    /// What pipelines are created with.
    pub(super) const fn raw(&self) -> &wgpu::PipelineCache {
        &self.raw
    }

    /// Writes the file, if there is anything new to write.
    pub(super) fn store(&self) {
        let Some(data) = self.raw.get_data() else { return };
        match self.file.write(&data) {
            Ok(()) => log::debug!("{} bytes of pipelines kept in {}", data.len(), self.file.path.display()),
            Err(error) => log::info!("pipelines are not kept: {}: {error}", self.file.path.display()),
        }
    }
}

/// What a file is made for.
#[derive(Debug)]
pub(super) struct Identity<'a> {
    pub(super) info: &'a AdapterInfo,
    pub(super) form: IntegerForm,
    pub(super) tuning: Tuning,
}

impl Identity<'_> {
    /// All that must be the same, `key` being the API's own.
    fn text(&self, key: &str) -> String {
        let Self { info, form, tuning } = self;
        let AdapterInfo { name, driver, driver_info, backend, .. } = info;
        let version = env!("CARGO_PKG_VERSION");
        format!("{key}\n{backend}\n{name}\n{driver}\n{driver_info}\n{version}\n{form}\n{tuning}")
    }
}

/// A file of a private folder, with its checksum.
#[derive(Debug)]
struct CacheFile {
    path: PathBuf,
    identity: [u8; 32],
}

impl CacheFile {
    fn new(folder: &Path, identity: &str) -> Self {
        let identity = keccak256_one(identity.as_bytes());
        let name: String = identity[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { path: folder.join(format!("{name}.pipelines")), identity }
    }

    fn checksum(&self, data: &[u8]) -> [u8; 32] {
        keccak256_one(&[&self.identity, data].concat())
    }

    /// The data of the file; `None` if there is no file.
    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        let file = match fs::File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        self.check_folder()?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(io::Error::other("the file has grown too long"));
        }
        let data =
            bytes.strip_prefix(MAGIC).and_then(|rest| rest.split_at_checked(HEADER_BYTES - MAGIC.len()));
        match data {
            Some((checksum, data)) if checksum == self.checksum(data) => Ok(Some(data.to_vec())),
            _ => Err(io::Error::other("the file is damaged, or of another device or version")),
        }
    }

    /// Replaces the file by one with this data, all at once.
    fn write(&self, data: &[u8]) -> io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let folder = self.path.parent().unwrap_or(Path::new("."));
        make_private_folder(folder)?;
        self.check_folder()?;
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let draft = self.path.with_extension(format!("{}-{count}.draft", std::process::id()));
        let written = private_file(&draft).and_then(|mut file| {
            file.write_all(MAGIC)?;
            file.write_all(&self.checksum(data))?;
            file.write_all(data)?;
            fs::rename(&draft, &self.path)
        });
        if written.is_err() {
            // Whatever kept it from being written may keep it from being removed.
            let _ = fs::remove_file(&draft);
        }
        written
    }

    /// An error if others may write in the folder.
    #[cfg(unix)]
    fn check_folder(&self) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        if fs::metadata(folder)?.permissions().mode() & 0o022 != 0 {
            return Err(io::Error::other("others may write in the folder"));
        }
        Ok(())
    }

    /// Elsewhere folders of a user's profile are private by default.
    #[cfg(not(unix))]
    fn check_folder(&self) -> io::Result<()> {
        fs::metadata(&self.path).map(drop)
    }
}

fn make_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn private_file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::tests::device;
    use crate::gpu::{Device, DeviceOptions};
    use crate::keccak::KeccakKernel;
    use crate::registry;

    #[test]
    fn a_file_gives_what_was_written_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let private = folder.path().join("a/b");
        let file = CacheFile::new(&private, "card, driver 1");
        assert_eq!(file.read().unwrap(), None, "nothing there yet");
        for data in [&b"pipelines"[..], b"", b"others"] {
            file.write(data).unwrap();
            assert_eq!(file.read().unwrap().unwrap(), data);
        }
        // Another driver has another file, and does not take this one under its own name.
        let other = CacheFile::new(&private, "card, driver 2");
        assert_eq!(other.read().unwrap(), None);
        fs::copy(&file.path, &other.path).unwrap();
        assert!(other.read().is_err());
        let whole = fs::read(&file.path).unwrap();
        for at in [0, MAGIC.len(), HEADER_BYTES - 1, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&file.path, &damaged).unwrap();
            assert!(file.read().is_err(), "byte {at}");
        }
        for len in [0, MAGIC.len(), HEADER_BYTES, whole.len() - 1] {
            fs::write(&file.path, &whole[..len]).unwrap();
            assert!(file.read().is_err(), "{len} bytes");
        }
        assert_eq!(fs::read_dir(&private).unwrap().count(), 2, "a draft was left behind");
    }

    #[cfg(unix)]
    #[test]
    fn files_are_private_and_a_folder_that_others_may_write_is_not_used() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let private = folder.path().join("cache");
        let file = CacheFile::new(&private, "card");
        file.write(b"pipelines").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&private), mode(&file.path)), (0o700, 0o600));
        fs::set_permissions(&private, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(file.read().is_err() && file.write(b"others").is_err());
    }

    /// A device with a cache in a folder, on which a kernel has become ready.
    fn served(folder: &Path) -> Option<Device> {
        let cache_folder = Some(folder.to_owned());
        let device = device(DeviceOptions { cache_folder, ..DeviceOptions::default() })?;
        registry::ready::<KeccakKernel>(&device).unwrap();
        device.begin_service();
        Some(device)
    }

    #[test]
    fn a_device_keeps_its_pipelines_and_takes_no_damaged_ones() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("cache");
        let Some(device) = served(&folder) else { return };
        let Some(cache) = device.pipeline_cache() else {
            assert!(!folder.exists(), "the API keeps no pipelines");
            return;
        };
        // Cold, then warm.
        let kept = cache.file.read().unwrap().unwrap();
        assert!(!kept.is_empty());
        eprintln!("{} bytes kept", kept.len());
        drop(device);
        let warm = served(&folder).unwrap();
        let file = &warm.pipeline_cache().unwrap().file;
        assert!(file.read().unwrap().is_some());
        // Damaged: the kernel is ready all the same, and the file whole again.
        fs::write(&file.path, b"no pipelines").unwrap();
        assert!(file.read().is_err());
        let again = served(&folder).unwrap();
        assert!(again.pipeline_cache().unwrap().file.read().unwrap().is_some());
        // A folder that cannot be: no failure.
        served(Path::new("/dev/null/cache")).unwrap();
    }
}
