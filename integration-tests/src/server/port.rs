//! Ports that stay ours: also while the server that has one is away, and comes back to it.
//!
//! The kernel gives the ports of its ephemeral range to whoever connects anywhere or asks for any port, so also that of a
//! server that was killed a moment ago. Ours are outside of it. Among our own processes a port belongs to who claims it.

use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the kernel says which ports it gives away.
const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// The ports that may be ours: above those of services that machines have.
const OURS: RangeInclusive<u16> = 10_000..=65_535;

/// How far apart the ports lie with which processes and calls begin to look: a prime, so that they meet late.
const STRIDE: u32 = 7_919;

/// A port that nobody else is given as long as this is held.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// The kernel lets go of it when the process ends, however it does.
    _claim: UnixListener,
}

impl Port {
    /// One that nobody listens on now, on 127.0.0.1.
    pub fn free() -> Self {
        Self::free_on(&["127.0.0.1"])
    }

    /// One that nobody listens on now, on any of these addresses of this machine.
    ///
    /// # Panics
    /// If there is none.
    pub fn free_on(addresses: &[&str]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let ours = ours();
        let turn = std::process::id().wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let from = usize::try_from(turn.wrapping_mul(STRIDE)).unwrap() % ours.len();
        let numbers = ours[from..].iter().chain(&ours[..from]);
        numbers
            .filter_map(|number| Self::claim(*number))
            .find(|port| port.is_free_on(addresses))
            .expect("a port that nobody listens on")
    }

    /// Whether nobody listens on it now, on any of these addresses.
    fn is_free_on(&self, addresses: &[&str]) -> bool {
        addresses.iter().all(|address| TcpListener::bind((*address, self.number)).is_ok())
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// This one, unless another handle has it, in whichever process.
    fn claim(number: u16) -> Option<Self> {
        // A name that is no file: gone with the socket.
        let name = SocketAddr::from_abstract_name(format!("stickystore-port-{number}")).unwrap();
        Some(Self { number, _claim: UnixListener::bind_addr(&name).ok()? })
    }
}

/// All that may be ours; those that the kernel gives away among them only where it gives away nearly all.
fn ours() -> Vec<u16> {
    let ephemeral = ephemeral();
    let ours: Vec<_> = OURS.filter(|port| !ephemeral.contains(port)).collect();
    if ours.is_empty() { OURS.collect() } else { ours }
}

/// The ports that the kernel gives away.
fn ephemeral() -> RangeInclusive<u16> {
    let text = std::fs::read_to_string(EPHEMERAL).unwrap();
    let mut ends = text.split_whitespace().map(|end| end.parse().unwrap());
    ends.next().unwrap()..=ends.next().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_gives_away_is_not_ours() {
        let given: Vec<_> = (0..200).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        for listener in given {
            let number = listener.local_addr().unwrap().port();
            assert!(ephemeral().contains(&number), "{number}");
        }
        let port = Port::free();
        assert!(!ephemeral().contains(&port.number()), "{port:?}");
    }

    #[test]
    fn a_port_has_one_owner_until_it_is_dropped() {
        let port = Port::free();
        let number = port.number();
        assert!(TcpListener::bind(("127.0.0.1", number)).is_ok(), "nobody listens there");
        assert!(Port::claim(number).is_none(), "and it is taken");
        drop(port);
        assert!(Port::claim(number).is_some());
    }

    #[test]
    fn a_port_on_which_somebody_listens_is_not_free() {
        let both = ["127.0.0.1", "127.0.0.2"];
        let port = Port::free_on(&both);
        let _listener = TcpListener::bind(("127.0.0.2", port.number())).unwrap();
        assert!(port.is_free_on(&["127.0.0.1"]));
        assert!(!port.is_free_on(&both));
    }
}
