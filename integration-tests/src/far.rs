//! A longer way: a TCP proxy through which every byte takes so much longer, and as many are under way at once as come.
//!
//! [`proxy`](crate::proxy) misbehaves, and its `Delay` holds up what comes behind; this one only makes a network of a
//! loopback, for figures. It has threads of its own, since a runtime's timer counts in milliseconds.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Starts one to this port of this machine, half of whose round trip is this time; gives its own port. It runs until the
/// process ends.
pub fn start(port: u16, one_way: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
            for stream in [&client, &server] {
                stream.set_nodelay(true).unwrap();
            }
            carry(client.try_clone().unwrap(), server.try_clone().unwrap(), one_way);
            carry(server, client, one_way);
        }
    });
    own
}

/// One direction: a thread that notes when bytes come, and one that lets them go when their time has passed.
fn carry(mut from: TcpStream, to: TcpStream, one_way: Duration) {
    let (sender, receiver): (Sender<(Instant, Vec<u8>)>, _) = channel();
    std::thread::spawn(move || deliver(&receiver, to));
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if sender.send((Instant::now() + one_way, buffer[..read].to_vec())).is_err() {
                return;
            }
        }
    });
}

fn deliver(receiver: &Receiver<(Instant, Vec<u8>)>, mut to: TcpStream) {
    while let Ok((due, bytes)) = receiver.recv() {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            return;
        }
    }
    // It may be closed already.
    let _ = to.shutdown(Shutdown::Both);
}
