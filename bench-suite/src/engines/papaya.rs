//! papaya: a lock-free map with incremental growth, the strongest reader among the peers.

use foldhash::fast::RandomState;
use papaya::HashMap;

use super::contract::{Config, Engine, Group, Info, Key, Session, Tally};
use super::integers;
use crate::fault::Result;

type Map = HashMap<Box<[u8]>, Box<[u8]>, RandomState>;

pub(crate) struct Papaya {
    map: Map,
}

impl Engine for Papaya {
    type Session<'a> = PapayaSession<'a>;
    const SAMPLE_EVERY: u32 = 16;
    const ENDS_WITH_PROCESS: bool = true;

    fn open(_config: &Config) -> Result<Papaya> {
        Ok(Papaya { map: HashMap::builder().hasher(RandomState::default()).build() })
    }

    fn info(&self) -> Info {
        Info {
            name: "papaya".to_owned(),
            title: "papaya".to_owned(),
            version: env!("VERSION_PAPAYA").to_owned(),
            note: None,
            build: None,
            group: Group::InProcess,
            floor: false,
            settings: vec![
                format!("stock (incremental resize); foldhash {} (fast)", env!("VERSION_FOLDHASH")),
                "keys and values are boxed byte slices; a write allocates both, as the map's interface asks".to_owned(),
                "starts empty; one guard for each operation or batch; counters are 8-byte integers".to_owned(),
            ],
        }
    }

    fn session(&self) -> Result<PapayaSession<'_>> {
        Ok(PapayaSession { map: &self.map })
    }
}

pub(crate) struct PapayaSession<'a> {
    map: &'a Map,
}

impl Session for PapayaSession<'_> {
    #[inline]
    fn get(&mut self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let map = self.map.pin();
        let Some(value) = map.get(key) else {
            return Ok(false);
        };
        out.clear();
        out.extend_from_slice(value);
        Ok(true)
    }

    #[inline]
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.map.pin().insert(key.into(), value.into());
        Ok(())
    }

    #[inline]
    fn increment(&mut self, key: &[u8]) -> Result<i64> {
        let map = self.map.pin();
        let held = map.update_or_insert(
            key.into(),
            |held| match integers::sum_of(held) {
                Ok(sum) => sum.to_le_bytes().into(),
                // Left as it is: the conformance check and the sum below notice.
                Err(_) => held.clone(),
            },
            integers::ONE.into(),
        );
        integers::sum_of(held).map(|next| next.wrapping_sub(1))
    }

    #[inline]
    fn get_many(&mut self, keys: &[Key], out: &mut Vec<u8>, tally: &mut Tally) -> Result<()> {
        let map = self.map.pin();
        for key in keys {
            match map.get(key.as_slice()) {
                Some(value) => {
                    out.clear();
                    out.extend_from_slice(value);
                    tally.hit(out);
                }
                None => tally.miss(),
            }
        }
        Ok(())
    }
}
