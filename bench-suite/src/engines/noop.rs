//! The harness's own floor: every operation does nothing but copy one fixed value, so its time is what streams, copies,
//! checksums and sampling cost.

use super::contract::{Config, Engine, Group, Info, Session};
use crate::fault::Result;
use crate::workloads::stream::VALUE_LEN;

#[derive(Debug)]
pub(crate) struct Noop {
    value: [u8; VALUE_LEN],
}

impl Engine for Noop {
    type Session<'a> = NoopSession<'a>;
    const SAMPLE_EVERY: u32 = 16;

    fn open(_config: &Config) -> Result<Noop> {
        Ok(Noop { value: [0x5a; VALUE_LEN] })
    }

    fn info(&self) -> Info {
        Info {
            name: "noop".to_owned(),
            title: "noop (harness floor)".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            note: None,
            build: None,
            group: Group::InProcess,
            floor: true,
            settings: vec![
                "a get copies one fixed value, a set and an increment return at once".to_owned(),
            ],
        }
    }

    fn session(&self) -> Result<NoopSession<'_>> {
        Ok(NoopSession { value: &self.value, count: 0 })
    }
}

#[derive(Debug)]
pub(crate) struct NoopSession<'a> {
    value: &'a [u8; VALUE_LEN],
    count: i64,
}

impl Session for NoopSession<'_> {
    #[inline]
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        std::hint::black_box(key);
        out.clear();
        out.extend_from_slice(std::hint::black_box(self.value));
        Ok(true)
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        std::hint::black_box((key, value));
        Ok(())
    }

    #[inline]
    fn increment(&mut self, key: &[u8]) -> Result<i64> {
        std::hint::black_box(key);
        self.count += 1;
        Ok(self.count)
    }
}
