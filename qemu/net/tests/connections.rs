//! Connections over a wire that loses frames, to a peer that is smoltcp, too, with a clock that steps as often
//! as the board waits.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddrV4;

use board_net::{Config, Controller, Error, LONGEST_FRAME, MacAddress};
use embedded_io::{Read as _, Write as _};
use smoltcp::iface::{self, Interface, SocketHandle, SocketSet, SocketStorage};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr};

const CONFIG: Config = Config::emulator(0);
const PORT: u16 = 80;
const PEER: SocketAddrV4 = SocketAddrV4::new(CONFIG.gateway, PORT);

#[test]
fn what_the_peer_sends_arrives_whole_though_frames_are_lost() {
    let sent: Vec<u8> = (0..100_000u32).map(|n| (n * 7 / 3) as u8).collect();
    let peer = Peer::new();
    peer.says(&sent);
    lose_every(23);
    let mut network = network(CONFIG);
    let mut connection = network.connection(PEER, || peer.step());
    connection.connect().unwrap();
    let mut read = Vec::new();
    let mut chunk = [0; 1000];
    loop {
        match connection.read(&mut chunk).unwrap() {
            0 => break,
            count => read.extend_from_slice(&chunk[..count]),
        }
    }
    assert!(read == sent, "{} of {} bytes", read.len(), sent.len());
}

#[test]
fn what_is_flushed_has_arrived_though_frames_are_lost() {
    let peer = Peer::new();
    lose_every(5);
    let mut network = network(CONFIG);
    let mut connection = network.connection(PEER, || peer.step());
    connection.connect().unwrap();
    let sent: Vec<u8> = (0..20_000u32).map(|n| (n / 11) as u8).collect();
    connection.write_all(&sent).unwrap();
    connection.flush().unwrap();
    assert!(*peer.heard.borrow() == sent);
}

#[test]
fn a_peer_that_is_not_there_is_given_up_after_the_timeout() {
    let mut network = network(CONFIG);
    let mut connection = network.connection(PEER, step_clock);
    let start = NOW.get();
    assert_eq!(connection.connect(), Err(Error::TimedOut));
    let waited = NOW.get() - start;
    assert!((5_000..5_010).contains(&waited), "{waited} ms");
}

#[test]
fn a_peer_that_falls_silent_is_given_up_after_the_timeout() {
    let peer = Peer::new();
    let mut network = network(CONFIG);
    let mut connection = network.connection(PEER, || peer.step());
    connection.connect().unwrap();
    lose_every(1);
    let start = NOW.get();
    assert_eq!(connection.read(&mut [0; 10]), Err(Error::TimedOut));
    let waited = NOW.get() - start;
    assert!((5_000..5_010).contains(&waited), "{waited} ms");
}

#[test]
fn a_slow_peer_is_waited_for_as_long_as_something_moves() {
    let peer = Peer::new();
    let mut network = network(CONFIG);
    let steps = Cell::new(0u32);
    let mut connection = network.connection(PEER, || {
        steps.set(steps.get() + 1);
        // Its window is soon full, and opens once in 4 s.
        peer.is_deaf.set(!steps.get().is_multiple_of(4_000));
        peer.step();
    });
    connection.connect().unwrap();
    connection.write_all(&[7; 2_000]).unwrap();
    // One call, in which the timeout begins anew each time.
    connection.flush().unwrap();
    assert!(steps.get() > 10_000, "{} ms", steps.get());
}

#[test]
fn a_port_that_nobody_listens_at_refuses() {
    let peer = Peer::new();
    let mut network = network(CONFIG);
    let nobodys = SocketAddrV4::new(CONFIG.gateway, 1);
    let mut connection = network.connection(nobodys, || peer.step());
    assert_eq!(connection.connect(), Err(Error::Refused));
}

#[test]
fn port_zero_is_no_address() {
    let mut network = network(CONFIG);
    let nowhere = SocketAddrV4::new(CONFIG.gateway, 0);
    let mut connection = network.connection(nowhere, step_clock);
    assert_eq!(connection.connect(), Err(Error::Unaddressable));
}

#[test]
fn a_closed_connection_can_be_opened_again() {
    let peer = Peer::new();
    let mut network = network(CONFIG);
    let mut connection = network.connection(PEER, || peer.step());
    for said in [b"one", b"two"] {
        peer.says(said);
        connection.connect().unwrap();
        let mut heard = [0; 3];
        connection.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, said);
        connection.close().unwrap();
    }
}

#[test]
fn a_dropped_connection_is_reset() {
    let peer = Peer::new();
    let mut network = network(CONFIG);
    let mut connection = network.connection(PEER, || peer.step());
    connection.connect().unwrap();
    peer.step();
    assert_eq!(peer.state(), State::Established);
    drop(connection);
    peer.look();
    assert_eq!(peer.state(), State::Closed);
}

#[test]
fn each_connection_has_a_port_of_its_own_after_a_reset_too() {
    let peer = Peer::new();
    let mut seen = Vec::new();
    // 0x3FFF: the second connection's port wraps.
    for seed in [3, 4, 0x3FFF] {
        let mut network = network(Config { seed, ..CONFIG });
        for _ in 0..2 {
            let mut connection = network.connection(PEER, || peer.step());
            connection.connect().unwrap();
            peer.step();
            seen.push(peer.port_of_the_board());
            drop(connection);
            peer.step(); // It listens again.
        }
    }
    assert_eq!(seen, [0xC003, 0xC004, 0xC004, 0xC005, 0xFFFF, 0xC000]);
}

#[test]
fn a_prefix_that_is_too_long_means_all_bits() {
    let config = Config {
        prefix: 200,
        ..CONFIG
    };
    let peer = Peer::new();
    let mut network = network(config);
    let mut connection = network.connection(PEER, || peer.step());
    // A network of one: not even the gateway is in it.
    assert_eq!(connection.connect(), Err(Error::TimedOut));
}

thread_local! {
    /// Milliseconds.
    static NOW: Cell<u64> = const { Cell::new(0) };
    static TO_BOARD: RefCell<VecDeque<Vec<u8>>> = const { RefCell::new(VecDeque::new()) };
    static TO_PEER: RefCell<VecDeque<Vec<u8>>> = const { RefCell::new(VecDeque::new()) };
    /// One of so many frames is lost, if it is not 0.
    static LOSE: Cell<u32> = const { Cell::new(0) };
    static FRAMES: Cell<u32> = const { Cell::new(0) };
}

fn step_clock() {
    NOW.set(NOW.get() + 1);
}

fn lose_every(frames: u32) {
    LOSE.set(frames);
}

fn network(config: Config) -> board_net::Network<Card> {
    let storage = Box::leak(Box::new(board_net::Storage::<Card>::new()));
    board_net::Network::new(storage, config).unwrap()
}

type Wire = std::thread::LocalKey<RefCell<VecDeque<Vec<u8>>>>;

/// One end of the wire.
struct Card {
    sends: &'static Wire,
    receives: &'static Wire,
}

impl Controller for Card {
    type Buffers = ();
    type Error = Infallible;

    const EMPTY: () = ();

    fn start((): &'static mut (), _: MacAddress) -> Result<Self, Infallible> {
        Ok(Self {
            sends: &TO_PEER,
            receives: &TO_BOARD,
        })
    }

    fn now() -> u64 {
        NOW.get()
    }

    fn jitter() -> u32 {
        0
    }
}

impl Device for Card {
    type RxToken<'a> = Received;
    type TxToken<'a> = ToSend;

    fn receive(&mut self, _: Instant) -> Option<(Received, ToSend)> {
        let frame = self.receives.with_borrow_mut(VecDeque::pop_front)?;
        Some((Received(frame), ToSend(self.sends)))
    }

    fn transmit(&mut self, _: Instant) -> Option<ToSend> {
        Some(ToSend(self.sends))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = LONGEST_FRAME;
        capabilities
    }
}

struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

struct ToSend(&'static Wire);

impl TxToken for ToSend {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        FRAMES.set(FRAMES.get() + 1);
        let is_lost = LOSE.get() != 0 && FRAMES.get().is_multiple_of(LOSE.get());
        if !is_lost {
            self.0.with_borrow_mut(|wire| wire.push_back(frame));
        }
        result
    }
}

/// The other end: listens at [`PORT`], keeps what it hears, and closes when all is said that there is to say.
struct Peer {
    card: RefCell<Card>,
    interface: RefCell<Interface>,
    sockets: RefCell<SocketSet<'static>>,
    tcp: SocketHandle,
    to_say: RefCell<VecDeque<u8>>,
    closes: Cell<bool>,
    /// Nothing is taken out of its window.
    is_deaf: Cell<bool>,
    heard: RefCell<Vec<u8>>,
}

impl Peer {
    fn new() -> Self {
        let mut card = Card {
            sends: &TO_BOARD,
            receives: &TO_PEER,
        };
        let mac = EthernetAddress([2, 0, 0, 0, 0, 1]);
        let settings = iface::Config::new(mac.into());
        let mut interface = Interface::new(settings, &mut card, instant());
        interface.update_ip_addrs(|addresses| {
            let own = IpCidr::new((*PEER.ip()).into(), CONFIG.prefix);
            addresses.push(own).unwrap();
        });
        let buffer = |size| SocketBuffer::new(vec![0; size].leak());
        let mut sockets = SocketSet::new(vec![SocketStorage::EMPTY].leak());
        let tcp = sockets.add(Socket::new(buffer(512), buffer(4096)));
        Self {
            card: RefCell::new(card),
            interface: RefCell::new(interface),
            sockets: RefCell::new(sockets),
            tcp,
            to_say: RefCell::default(),
            closes: Cell::new(false),
            is_deaf: Cell::new(false),
            heard: RefCell::default(),
        }
    }

    /// What to say to whoever connects, before it closes.
    fn says(&self, bytes: &[u8]) {
        self.to_say.borrow_mut().extend(bytes);
        self.closes.set(true);
    }

    /// A millisecond goes by, in which the peer does what there is to do.
    fn step(&self) {
        step_clock();
        self.look();
        self.act();
        self.look();
    }

    /// Moves what can be moved between wire and socket.
    fn look(&self) {
        let card = &mut *self.card.borrow_mut();
        let sockets = &mut *self.sockets.borrow_mut();
        self.interface.borrow_mut().poll(instant(), card, sockets);
    }

    fn act(&self) {
        let mut sockets = self.sockets.borrow_mut();
        let socket = sockets.get_mut::<Socket<'_>>(self.tcp);
        if !socket.is_open() || socket.state() == State::TimeWait {
            socket.abort();
            socket.listen(PORT).unwrap();
        }
        while socket.can_recv() && !self.is_deaf.get() {
            let heard = |bytes: &mut [u8]| (bytes.len(), bytes.to_vec());
            let bytes = socket.recv(heard).unwrap();
            self.heard.borrow_mut().extend(bytes);
        }
        let mut to_say = self.to_say.borrow_mut();
        if socket.can_send() {
            let count = socket.send_slice(to_say.make_contiguous()).unwrap();
            to_say.drain(..count);
        }
        if to_say.is_empty() && self.closes.get() && socket.state() == State::Established {
            socket.close();
            self.closes.set(false);
        }
    }

    fn state(&self) -> State {
        self.with_socket(|socket| socket.state())
    }

    fn port_of_the_board(&self) -> u16 {
        self.with_socket(|socket| socket.remote_endpoint().unwrap().port)
    }

    fn with_socket<T>(&self, look: impl FnOnce(&Socket<'_>) -> T) -> T {
        look(self.sockets.borrow().get(self.tcp))
    }
}

fn instant() -> Instant {
    Instant::from_millis(NOW.get().cast_signed())
}
