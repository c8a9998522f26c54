//! The disk itself: what is durable, what lies in its write cache, and what a power cut leaves of the latter.
//!
//! Owns the bytes. Must not know who reads and writes; no I/O, no clock, choices from a seed only. Any thread.

use std::collections::{BTreeMap, HashMap};

/// What is written at once or not at all.
pub const SECTOR: usize = 512;
const BLOCK: usize = 4096;
const SECTORS: usize = BLOCK / SECTOR;

type Block = Box<[u8; BLOCK]>;

/// What a flush does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// All that was written before is durable.
    Honoured,
    /// It says so and does nothing: a disk that lies, or a program that never flushes.
    Ignored,
    /// It fails, and the cache is lost, as after an error on the way to the medium.
    Fails,
}

/// What a power cut did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Sectors in the cache at the cut.
    pub volatile: usize,
    /// Those of them that are on the disk afterwards.
    pub kept: usize,
    /// Blocks of 4 KiB of which some sectors were kept and some lost.
    pub torn: usize,
    /// Flushes since power was turned on.
    pub flushes: u64,
}

/// The request that a cut waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Of the writes from now on the one with this number, from 0: it and all later ones never arrive.
    Write(u64),
    /// Of the flushes from now on the one with this number, from 0, with all that it was to make durable in the cache.
    Flush(u64),
}

#[derive(Clone, Copy)]
struct Armed {
    moment: Moment,
    seed: u64,
    kept_of_8: u8,
}

/// A block whose sectors named in `mask` wait in the cache.
#[derive(Clone)]
struct Cached {
    mask: u8,
    bytes: Block,
}

/// The disk. Absent blocks are zero.
#[derive(Clone)]
pub struct Image {
    size: u64,
    durable: HashMap<u64, Block>,
    cache: BTreeMap<u64, Cached>,
    flush: Flush,
    is_on: bool,
    flushes: u64,
    armed: Option<Armed>,
    last_cut: Option<Cut>,
    /// Counts how often power came: who opened the disk before a cut stays cut off.
    session: u64,
}

/// Why a request fails: power is off, or a flush failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

impl Image {
    /// `size` zeroes, power on.
    pub fn new(size: u64) -> Image {
        Image {
            size,
            durable: HashMap::new(),
            cache: BTreeMap::new(),
            flush: Flush::Honoured,
            is_on: true,
            flushes: 0,
            armed: None,
            last_cut: None,
            session: 1,
        }
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whose requests are served at present.
    pub fn session(&self) -> u64 {
        self.session
    }

    /// The contents of another image; power on, in a new session.
    pub fn restore(&mut self, from: &Image) {
        let session = self.session + 1;
        *self = Image { session, ..from.clone() };
        self.power_on();
    }

    /// Power on in a new session, flushes honoured.
    pub fn power_on(&mut self) {
        self.session += 1;
        (self.is_on, self.flushes, self.flush) = (true, 0, Flush::Honoured);
        (self.armed, self.last_cut) = (None, None);
    }

    /// Cuts the power by itself when that request comes.
    pub fn cut_at(&mut self, moment: Moment, seed: u64, kept_of_8: u8) {
        self.armed = Some(Armed { moment, seed, kept_of_8 });
    }

    /// The cut, once power is off.
    pub fn last_cut(&self) -> Option<Cut> {
        self.last_cut
    }

    /// Counts a request down to the armed cut; fails when it is that one.
    fn count(&mut self, is_flush: bool) -> Result<(), Failed> {
        let Some(armed) = &mut self.armed else { return Ok(()) };
        let left = match (&mut armed.moment, is_flush) {
            (Moment::Write(left), false) | (Moment::Flush(left), true) => left,
            _ => return Ok(()),
        };
        if *left > 0 {
            *left -= 1;
            return Ok(());
        }
        let (seed, kept_of_8) = (armed.seed, armed.kept_of_8);
        self.cut(seed, kept_of_8);
        Err(Failed)
    }

    /// What flushes do from now on.
    pub fn set_flush(&mut self, flush: Flush) {
        self.flush = flush;
    }

    fn serves(&self, session: u64) -> Result<(), Failed> {
        if self.is_on && session == self.session { Ok(()) } else { Err(Failed) }
    }

    /// Reads what was last written, durable or not; beyond the end there is nothing.
    pub fn read(&self, session: u64, offset: u64, len: usize) -> Result<Vec<u8>, Failed> {
        self.serves(session)?;
        let len = len.min(usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX));
        let mut bytes = vec![0; len];
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let (block, inside) = (at / BLOCK as u64, (at % BLOCK as u64) as usize);
            let piece = (BLOCK - inside).min(len - done);
            if let Some(found) = self.block(block) {
                bytes[done..done + piece].copy_from_slice(&found[inside..inside + piece]);
            }
            done += piece;
        }
        Ok(bytes)
    }

    /// A cached block is whole: its sectors outside the mask were copied from the durable one.
    fn block(&self, block: u64) -> Option<&Block> {
        self.cache.get(&block).map(|cached| &cached.bytes).or_else(|| self.durable.get(&block))
    }

    /// Writes whole sectors into the cache.
    pub fn write(&mut self, session: u64, offset: u64, bytes: &[u8]) -> Result<(), Failed> {
        self.serves(session)?;
        let end = offset.checked_add(bytes.len() as u64).ok_or(Failed)?;
        if !offset.is_multiple_of(SECTOR as u64) || !bytes.len().is_multiple_of(SECTOR) || end > self.size {
            return Err(Failed);
        }
        self.count(false)?;
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let (block, inside) = (at / BLOCK as u64, (at % BLOCK as u64) as usize);
            let piece = (BLOCK - inside).min(bytes.len() - done);
            let durable = &self.durable;
            let cached = self.cache.entry(block).or_insert_with(|| Cached {
                mask: 0,
                bytes: durable.get(&block).cloned().unwrap_or_else(|| Box::new([0; BLOCK])),
            });
            cached.bytes[inside..inside + piece].copy_from_slice(&bytes[done..done + piece]);
            for sector in inside / SECTOR..(inside + piece) / SECTOR {
                cached.mask |= 1 << sector;
            }
            done += piece;
        }
        Ok(())
    }

    /// A flush by who has it open.
    pub fn flush_by(&mut self, session: u64) -> Result<(), Failed> {
        self.serves(session)?;
        self.count(true)?;
        match self.flush {
            Flush::Honoured => self.flush(),
            Flush::Ignored => {}
            Flush::Fails => {
                self.cache.clear();
                return Err(Failed);
            }
        }
        self.flushes += 1;
        Ok(())
    }

    /// All that is cached becomes durable.
    pub fn flush(&mut self) {
        for (block, cached) in std::mem::take(&mut self.cache) {
            self.durable.insert(block, cached.bytes);
        }
    }

    /// Power off: each cached sector becomes durable with `kept_of_8` chances of eight, the others are gone.
    pub fn cut(&mut self, seed: u64, kept_of_8: u8) -> Cut {
        (self.is_on, self.armed) = (false, None);
        let mut choices = Choices(seed);
        let mut cut = Cut { volatile: 0, kept: 0, torn: 0, flushes: self.flushes };
        for (block, cached) in std::mem::take(&mut self.cache) {
            let mut kept = 0u8;
            for sector in (0..SECTORS).filter(|sector| cached.mask & 1 << sector != 0) {
                cut.volatile += 1;
                if choices.next() % 8 < u64::from(kept_of_8) {
                    kept |= 1 << sector;
                }
            }
            cut.kept += kept.count_ones() as usize;
            cut.torn += usize::from(kept != 0 && kept != cached.mask);
            if kept == 0 {
                continue;
            }
            let durable = self.durable.entry(block).or_insert_with(|| Box::new([0; BLOCK]));
            for sector in (0..SECTORS).filter(|sector| kept & 1 << sector != 0) {
                let range = sector * SECTOR..(sector + 1) * SECTOR;
                durable[range.clone()].copy_from_slice(&cached.bytes[range]);
            }
        }
        self.last_cut = Some(cut);
        cut
    }
}

/// splitmix64.
struct Choices(u64);

impl Choices {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 1 << 20;

    fn image() -> Image {
        Image::new(SIZE)
    }

    fn read(image: &Image, offset: u64, len: usize) -> Vec<u8> {
        image.read(image.session(), offset, len).unwrap_or_else(|_| panic!("read of {len} at {offset} failed"))
    }

    #[test]
    fn reads_see_what_was_written_across_blocks() {
        let mut image = image();
        let bytes: Vec<u8> = (0..3 * BLOCK).map(|at| (at / SECTOR) as u8 + 1).collect();
        assert_eq!(image.write(1, SECTOR as u64, &bytes), Ok(()));
        assert_eq!(read(&image, 0, SECTOR), vec![0; SECTOR]);
        assert_eq!(read(&image, SECTOR as u64, bytes.len()), bytes);
        image.flush();
        assert_eq!(image.write(1, BLOCK as u64, &[9; SECTOR]), Ok(()));
        assert_eq!(read(&image, BLOCK as u64, SECTOR), vec![9; SECTOR]);
        assert_eq!(read(&image, BLOCK as u64 + SECTOR as u64, 7), bytes[BLOCK..BLOCK + 7]);
        assert_eq!(read(&image, SIZE - 3, 100).len(), 3);
    }

    #[test]
    fn whole_sectors_inside_the_disk_only() {
        let mut image = image();
        for (offset, len) in [(1, SECTOR), (0, 1), (SIZE, SECTOR), (SIZE - 512, 2 * SECTOR), (u64::MAX - 511, SECTOR)] {
            assert_eq!(image.write(1, offset, &vec![1; len]), Err(Failed), "{len} at {offset}");
        }
    }

    #[test]
    fn a_cut_loses_unflushed_sectors_by_seed() {
        let cut = |seed, kept_of_8| {
            let mut image = image();
            let _ = image.write(1, 0, &[1; 64 * BLOCK]);
            assert_eq!(image.flush_by(1), Ok(()));
            let _ = image.write(1, 0, &[2; 32 * BLOCK]);
            let cut = image.cut(seed, kept_of_8);
            assert_eq!(image.write(1, 0, &[3; SECTOR]), Err(Failed), "written without power");
            image.power_on();
            assert_eq!(image.write(1, 0, &[3; SECTOR]), Err(Failed), "written by a session that was cut off");
            (cut, read(&image, 0, 64 * BLOCK))
        };
        let (half, bytes) = cut(7, 4);
        assert_eq!((half.volatile, half.flushes), (32 * SECTORS, 1));
        assert!(half.torn > 25, "{half:?}");
        assert_eq!(bytes.chunks(SECTOR).filter(|sector| sector[0] == 2).count(), half.kept);
        assert!(bytes.chunks(SECTOR).all(|sector| sector.iter().all(|byte| *byte == sector[0])), "a sector is torn");
        assert!(bytes[32 * BLOCK..].iter().all(|byte| *byte == 1), "a flushed sector is gone");
        assert_eq!(cut(7, 4), (half, bytes.clone()), "the same seed chooses differently");
        assert_ne!(cut(8, 4).1, bytes, "another seed chooses the same");
        assert_eq!(cut(7, 0).0.kept, 0);
        assert_eq!(cut(7, 8).0.kept, 32 * SECTORS);
    }

    #[test]
    fn an_armed_cut_comes_with_its_request() {
        let mut image = image();
        image.cut_at(Moment::Write(1), 1, 8);
        assert_eq!(image.write(1, 0, &[1; SECTOR]), Ok(()));
        assert_eq!((image.flush_by(1), image.last_cut()), (Ok(()), None));
        assert_eq!(image.write(1, 0, &[2; SECTOR]), Err(Failed));
        assert!(image.last_cut().is_some_and(|cut| cut.volatile == 0), "{:?}", image.last_cut());
        image.power_on();
        let session = image.session();
        image.cut_at(Moment::Flush(0), 1, 0);
        assert_eq!(image.write(session, 0, &[3; SECTOR]), Ok(()));
        assert_eq!(image.flush_by(session), Err(Failed));
        assert!(image.last_cut().is_some_and(|cut| cut.volatile == 1), "{:?}", image.last_cut());
        image.power_on();
        assert_eq!(read(&image, 0, SECTOR), vec![1; SECTOR]);
    }

    #[test]
    fn an_ignored_flush_makes_nothing_durable_and_a_failed_one_says_so() {
        for flush in [Flush::Ignored, Flush::Fails] {
            let mut image = image();
            image.set_flush(flush);
            let _ = image.write(1, 0, &[2; BLOCK]);
            assert_eq!(image.flush_by(1), if flush == Flush::Fails { Err(Failed) } else { Ok(()) });
            image.cut(1, 0);
            image.power_on();
            assert_eq!(read(&image, 0, BLOCK), vec![0; BLOCK], "{flush:?}");
        }
    }

    #[test]
    fn restoring_forgets_cache_and_sessions() {
        let blank = image();
        let mut image = image();
        let _ = image.write(1, 0, &[2; BLOCK]);
        image.restore(&blank);
        assert_eq!(read(&image, 0, BLOCK), vec![0; BLOCK]);
        assert_eq!(image.write(1, 0, &[2; BLOCK]), Err(Failed));
    }
}
