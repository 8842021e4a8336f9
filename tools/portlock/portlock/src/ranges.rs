// SPDX-License-Identifier: GPL-2.0

//! Sets of addresses as ranges of numbers, and as the prefixes that the kernel takes.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Disjoint ranges in rising order, with both ends, that do not touch each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    fn insert(&mut self, first: u128, last: u128) {
        let (mut first, mut last) = (first, last);

        self.0.retain(|&(a, b)| {
            let touches = a <= last.saturating_add(1) && first <= b.saturating_add(1);

            if touches {
                first = first.min(a);
                last = last.max(b);
            }
            !touches
        });
        self.0.push((first, last));
        self.0.sort_unstable();
    }

    fn remove(&mut self, first: u128, last: u128) {
        let mut left = Vec::new();

        for &(a, b) in &self.0 {
            if b < first || a > last {
                left.push((a, b));
                continue;
            }
            if a < first {
                left.push((a, first - 1));
            }
            if b > last {
                left.push((last + 1, b));
            }
        }
        self.0 = left;
    }

    fn has(&self, value: u128) -> bool {
        self.0.iter().any(|&(a, b)| a <= value && value <= b)
    }

    /// The fewest prefixes of numbers with `bits` bits that are the same set: the numbers and the lengths.
    fn prefixes(&self, bits: u32) -> Vec<(u128, u8)> {
        let mut all = Vec::new();

        for &(first, last) in &self.0 {
            let mut at = first;

            loop {
                // The largest aligned block that starts here and does not go past the end.
                let span = |size: u32| u128::MAX.checked_shr(128 - size).unwrap_or(0);
                let size = (0..=at.trailing_zeros().min(bits))
                    .rev()
                    .find(|size| span(*size) <= last - at)
                    .unwrap_or(0);

                all.push((at, (bits - size) as u8));
                if span(size) == last - at {
                    break;
                }
                at += span(size) + 1;
            }
        }
        all
    }
}

/// A set of IPv4 and IPv6 addresses.
///
/// ```
/// use portlock::AddressSet;
///
/// let mut set = AddressSet::default();
/// set.insert("10.0.0.0/8".parse().unwrap());
/// set.remove("10.128.0.0/9".parse().unwrap());
/// assert!(set.has("10.1.2.3".parse().unwrap()));
/// assert_eq!(set.prefixes(), ["10.0.0.0/9".parse().unwrap()]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSet {
    v4: Ranges,
    v6: Ranges,
}

fn ends(net: IpNet) -> (bool, u128, u128) {
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    };

    (
        net.addr().is_ipv4(),
        number(net.network()),
        number(net.broadcast()),
    )
}

impl AddressSet {
    /// The addresses of these prefixes.
    pub fn of(nets: &[IpNet]) -> Self {
        let mut set = Self::default();

        for net in nets {
            set.insert(*net);
        }
        set
    }

    /// Every address of both families.
    pub fn all() -> Self {
        let mut set = Self::default();

        set.v4.insert(0, u32::MAX.into());
        set.v6.insert(0, u128::MAX);
        set
    }

    /// Adds the addresses of a prefix.
    pub fn insert(&mut self, net: IpNet) {
        match ends(net) {
            (true, first, last) => self.v4.insert(first, last),
            (false, first, last) => self.v6.insert(first, last),
        }
    }

    /// Takes the addresses of a prefix away.
    pub fn remove(&mut self, net: IpNet) {
        match ends(net) {
            (true, first, last) => self.v4.remove(first, last),
            (false, first, last) => self.v6.remove(first, last),
        }
    }

    /// Takes the addresses of another set away.
    pub fn subtract(&mut self, other: &Self) {
        for &(first, last) in &other.v4.0 {
            self.v4.remove(first, last);
        }
        for &(first, last) in &other.v6.0 {
            self.v6.remove(first, last);
        }
    }

    /// Whether the address is in the set.
    pub fn has(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.has(u32::from(address).into()),
            IpAddr::V6(address) => self.v6.has(address.into()),
        }
    }

    /// Whether there is no address in it.
    pub fn is_empty(&self) -> bool {
        self.v4.0.is_empty() && self.v6.0.is_empty()
    }

    /// An address that a rule can be about, if there is one. An IPv4-mapped address of IPv6 is none, and
    /// neither are the wildcards as `remote` addresses.
    pub fn example(&self, remote: bool) -> Option<IpAddr> {
        let mut real = self.clone();

        real.v6.remove(0xffff_0000_0000, 0xffff_ffff_ffff);
        if remote {
            real.v4.remove(0, 0);
            real.v6.remove(0, 0);
        }

        // CAST: These ranges have 32 bits.
        let v4 = (real.v4.0.first()).map(|&(first, _)| Ipv4Addr::from(first as u32).into());

        v4.or_else(|| (real.v6.0.first()).map(|&(first, _)| Ipv6Addr::from(first).into()))
    }

    /// The fewest prefixes that are this set, in rising order.
    pub fn prefixes(&self) -> Vec<IpNet> {
        // CAST: These numbers have 32 bits.
        let v4 = (self.v4.prefixes(32).into_iter())
            .filter_map(|(at, len)| Ipv4Net::new(Ipv4Addr::from(at as u32), len).ok())
            .map(IpNet::from);
        let v6 = (self.v6.prefixes(128).into_iter())
            .filter_map(|(at, len)| Ipv6Net::new(Ipv6Addr::from(at), len).ok())
            .map(IpNet::from);

        v4.chain(v6).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(insert: &[&str], remove: &[&str]) -> AddressSet {
        let mut set = AddressSet::default();

        for net in insert {
            set.insert(net.parse().unwrap());
        }
        for net in remove {
            set.remove(net.parse().unwrap());
        }
        set
    }

    #[test]
    fn all_is_two_prefixes() {
        assert_eq!(
            AddressSet::all().prefixes(),
            ["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()]
        );
    }

    // The numbers are those of the kernel's guide.
    #[test]
    fn the_complement_of_private_networks_has_as_many_prefixes_as_the_guide_says() {
        let v4 = [
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "169.254.0.0/16",
            "127.0.0.0/8",
        ];

        assert_eq!(set(&["0.0.0.0/0"], &v4).prefixes().len(), 45);
        assert_eq!(
            set(&["::/0"], &["fc00::/7", "fe80::/10", "::1/128"])
                .prefixes()
                .len(),
            135
        );
    }

    #[test]
    fn neighbours_become_one() {
        assert_eq!(
            set(&["10.0.0.0/9", "10.128.0.0/9"], &[]),
            set(&["10.0.0.0/8"], &[])
        );
    }

    #[test]
    fn the_last_addresses_are_prefixes_too() {
        let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128";

        assert_eq!(set(&[last], &[]).prefixes(), [last.parse().unwrap()]);
        assert_eq!(
            set(&["255.255.255.255/32"], &[]).prefixes(),
            ["255.255.255.255/32".parse().unwrap()]
        );
        assert_eq!(set(&["::/0"], &[last]).prefixes().len(), 128);
    }
}
