//! Who works where: a pure function of the replica, run inside `apply`.
