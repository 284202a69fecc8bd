//! A journal segment as a file: full of zeros and synced before it takes its first record, so that a
//! write goes into pages that exist, and `fdatasync` has no metadata to write.

use super::segment::{epoch as header_epoch, header};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

pub(crate) struct Segment {
    pub(crate) number: u64,
    pub(crate) epoch: u64,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    file: File,
    /// Writes and syncs fail from now on.
    #[cfg(test)]
    pub(crate) broken: std::sync::atomic::AtomicBool,
}

impl Segment {
    pub(crate) fn file_name(number: u64) -> String {
        format!("{number:010}.journal")
    }

    /// Zero-filled and synced before its header makes it a segment. One that cannot be finished is
    /// removed: on a full disk half of it would only take more room.
    pub(crate) fn create(dir: &Path, number: u64, epoch: u64, bytes: u64) -> io::Result<Self> {
        let path = dir.join(Self::file_name(number));
        match Self::fill(dir, &path, epoch, bytes) {
            Ok(file) => Ok(Self {
                number,
                epoch,
                path,
                bytes,
                file,
                #[cfg(test)]
                broken: false.into(),
            }),
            Err(error) => {
                if let Err(kept) = std::fs::remove_file(&path) {
                    tracing::debug!(%kept, "half a segment stays");
                }
                Err(error)
            }
        }
    }

    fn fill(dir: &Path, path: &Path, epoch: u64, bytes: u64) -> io::Result<File> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(path)?;
        write_zeros(&mut file, bytes)?;
        file.sync_all()?;
        file.write_all_at(&header(epoch), 0)?;
        file.sync_all()?;
        File::open(dir)?.sync_all()?;
        Ok(file)
    }

    /// One that the writer has left behind.
    pub(crate) fn open(path: &Path, number: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut page = vec![0; 4096];
        file.read_exact_at(&mut page, 0)?;
        let epoch = header_epoch(&page)
            .ok_or_else(|| io::Error::other("a journal segment without its header"))?;
        Ok(Self {
            number,
            epoch,
            path: path.to_owned(),
            bytes: file.metadata()?.len(),
            file,
            #[cfg(test)]
            broken: false.into(),
        })
    }

    pub(crate) fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(buffer, at)
    }

    pub(crate) fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        #[cfg(test)]
        self.check()?;
        self.file.write_all_at(bytes, at)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        self.check()?;
        self.file.sync_data()
    }

    #[cfg(test)]
    fn check(&self) -> io::Result<()> {
        match self.broken.load(std::sync::atomic::Ordering::SeqCst) {
            true => Err(io::Error::from_raw_os_error(5)),
            false => Ok(()),
        }
    }
}

pub(crate) fn write_zeros(file: &mut File, bytes: u64) -> io::Result<()> {
    let mut left = bytes;
    while left > 0 {
        let n = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
        file.write_all(ZEROS.get(..n).unwrap_or_default())?;
        left -= n as u64;
    }
    Ok(())
}
