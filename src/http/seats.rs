//! A seat for each connection of the HTTP server. There is always one for a health check: a new connection
//! gets a seat, if need be that of the oldest connection without a request under way, and requests that take
//! their time cannot occupy all of them.
//!
//! A connection is unproved until a request on it was let through. While a token is needed, unproved
//! connections are few.

use actix_web::rt::net::TcpStream;
use std::any::Any;
use std::collections::BTreeMap;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// All seats. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Seats(Arc<Mutex<Table>>);

/// The seat of one connection, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    number: u64,
}

/// A request under way. Its connection keeps its seat until this is dropped.
#[derive(Debug)]
pub(super) struct Occupied {
    seats: Seats,
    number: u64,
}

/// A request that waits for the end of a job, until this is dropped.
#[derive(Debug)]
pub(super) struct Waiting(Seats);

/// As many requests are under way as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyRequests;

/// What is known of the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeatFigures {
    pub(super) connections: u64,
    /// Connections that were closed for others.
    pub(super) displaced: u64,
    /// Requests that were refused because too many were under way.
    pub(super) refused: u64,
}

#[derive(Debug)]
struct Table {
    limits: Limits,
    next: u64,
    taken: BTreeMap<u64, Taken>,
    waiting: usize,
    displaced: u64,
    refused: u64,
}

#[derive(Debug)]
struct Taken {
    connection: Connection,
    standing: Standing,
    /// Requests under way.
    requests: u32,
}

/// How a connection is closed.
#[derive(Debug)]
enum Connection {
    /// By a second descriptor of its socket.
    Socket(std::net::TcpStream),
    /// It cannot be: there was no descriptor left.
    NotReachable,
}

/// Whether a request on the connection was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Unproved,
    Proved,
}

/// How many there may be.
#[derive(Clone, Copy, Debug)]
struct Limits {
    seats: usize,
    unproved: usize,
    requests: usize,
    waiting: usize,
}

/// Connections at the same time.
const SEATS: usize = 256;
/// Connections without a valid token, where one is needed.
const UNPROVED_WITH_TOKEN: usize = 64;
/// Requests under way; the other seats can always be taken by those who connect.
const REQUESTS: usize = 192;
/// Requests that wait for as long as they wish.
const WAITING: usize = 128;
/// How long further requests wait.
const SHORT_WAIT: Duration = Duration::from_secs(1);
/// Connections that are being closed while others have their seats already.
const CLOSING: usize = 64;

/// How many connections the server has to take at once.
pub(super) const CONNECTIONS_MAX: usize = SEATS + CLOSING;

/// Who needs no token is proved by any request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Needed,
    NotNeeded,
}

impl Seats {
    pub(super) fn new(token: Token) -> Self {
        Seats::with(Limits {
            seats: SEATS,
            unproved: match token {
                Token::Needed => UNPROVED_WITH_TOKEN,
                Token::NotNeeded => SEATS,
            },
            requests: REQUESTS,
            waiting: WAITING,
        })
    }

    fn with(limits: Limits) -> Self {
        Seats(Arc::new(Mutex::new(Table {
            limits,
            next: 0,
            taken: BTreeMap::new(),
            waiting: 0,
            displaced: 0,
            refused: 0,
        })))
    }

    /// A seat for a new connection.
    pub(super) fn take(&self, stream: &dyn Any) -> Seat {
        let stream = stream.downcast_ref::<TcpStream>();
        let socket = stream.and_then(|it| it.as_fd().try_clone_to_owned().ok());
        self.seat(match socket {
            Some(socket) => Connection::Socket(socket.into()),
            None => Connection::NotReachable,
        })
    }

    fn seat(&self, connection: Connection) -> Seat {
        let mut table = self.table();
        table.make_room();
        let number = table.next;
        table.next += 1;
        let taken = Taken {
            connection,
            standing: Standing::Unproved,
            requests: 0,
        };
        table.taken.insert(number, taken);
        let seats = self.clone();
        Seat { seats, number }
    }

    pub(super) fn figures(&self) -> SeatFigures {
        let table = self.table();
        SeatFigures {
            connections: table.taken.len() as u64,
            displaced: table.displaced,
            refused: table.refused,
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// A request was let through, and is under way now.
    pub(super) fn occupy(&self) -> Result<Occupied, TooManyRequests> {
        let mut table = self.seats.table();
        let under_way: usize = table.taken.values().map(|it| it.requests as usize).sum();
        if under_way >= table.limits.requests {
            table.refused += 1;
            return Err(TooManyRequests);
        }
        if let Some(taken) = table.taken.get_mut(&self.number) {
            taken.standing = Standing::Proved;
            taken.requests += 1;
        }
        Ok(Occupied {
            seats: self.seats.clone(),
            number: self.number,
        })
    }

    /// A request begins to wait: for how long it may.
    pub(super) fn wait(&self, wish: Duration) -> (Waiting, Duration) {
        let mut table = self.seats.table();
        let is_crowded = table.waiting >= table.limits.waiting;
        table.waiting += 1;
        let limit = if is_crowded { SHORT_WAIT } else { wish };
        (Waiting(self.seats.clone()), wish.min(limit))
    }
}

impl Table {
    /// Closes the oldest connections without a request, unproved ones first, until there is a seat.
    fn make_room(&mut self) {
        let unproved = |it: &Taken| it.standing == Standing::Unproved && it.requests == 0;
        let count = self.taken.values().filter(|it| unproved(it)).count();
        if count >= self.limits.unproved {
            self.displace(unproved);
        } else if self.taken.len() >= self.limits.seats {
            let is_displaced = self.displace(unproved) || self.displace(|it| it.requests == 0);
            // Fewer requests than seats can be under way.
            debug_assert!(is_displaced);
        }
    }

    fn displace(&mut self, is_free: impl Fn(&Taken) -> bool) -> bool {
        let oldest = self.taken.iter().find(|(_, it)| is_free(it));
        let Some(number) = oldest.map(|(number, _)| *number) else {
            return false;
        };
        if let Some(Connection::Socket(socket)) = self.taken.remove(&number).map(|it| it.connection)
        {
            // A connection that its client has closed is shut down already.
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.displaced += 1;
        true
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.table().taken.remove(&self.number);
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        let mut table = self.seats.table();
        if let Some(taken) = table.taken.get_mut(&self.number) {
            taken.requests -= 1;
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.table().waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        seats: 4,
        unproved: 2,
        requests: 3,
        waiting: 1,
    };

    fn seat(seats: &Seats) -> Seat {
        seats.seat(Connection::NotReachable)
    }

    fn numbers(seats: &Seats) -> Vec<u64> {
        seats.table().taken.keys().copied().collect()
    }

    #[test]
    fn the_oldest_unproved_connection_makes_room() {
        let seats = Seats::with(LIMITS);
        let _open: Vec<_> = (0..3).map(|_| seat(&seats)).collect();
        assert_eq!(numbers(&seats), [1, 2]);
        assert_eq!(seats.figures().displaced, 1);
    }

    #[test]
    fn of_proved_connections_the_oldest_without_a_request_makes_room() {
        let seats = Seats::with(LIMITS);
        let open: Vec<_> = (0..4)
            .map(|_| {
                let seat = seat(&seats);
                (seat.occupy().unwrap(), seat).1
            })
            .collect();
        let _under_way = open[0].occupy().unwrap();
        let _fifth = seat(&seats);
        assert_eq!(numbers(&seats), [0, 2, 3, 4]);
    }

    #[test]
    fn requests_leave_seats_for_those_who_connect() {
        let seats = Seats::with(LIMITS);
        let under_way = [(); 3].map(|()| {
            let seat = seat(&seats);
            (seat.occupy().unwrap(), seat)
        });
        for _ in 0..10 {
            assert_eq!(seat(&seats).occupy().err(), Some(TooManyRequests));
        }
        assert_eq!(seats.figures().refused, 10);
        drop(under_way);
        assert!(seat(&seats).occupy().is_ok());
    }

    #[test]
    fn further_requests_wait_for_a_short_time() {
        let seats = Seats::with(LIMITS);
        let seat = seat(&seats);
        let wish = Duration::from_secs(30);
        let first = seat.wait(wish);
        assert_eq!(first.1, wish);
        assert_eq!(seat.wait(wish).1, SHORT_WAIT);
        drop(first);
        assert_eq!(seat.wait(wish).1, wish);
    }
}
