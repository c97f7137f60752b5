//! An in-process server of the ZooKeeper wire protocol.
