//! What origins and their collectors need of ZooKeeper: conditional writes, listings, deletions in
//! batches.

use super::super::{CoordinationError, Folder, Node, Revision, Written, check_size};
use super::{ZooKeeper, error_of};
use crate::ids::LogPosition;
use futures_util::future::join_all;
use std::ops::Range;
use zookeeper_client::{Client, CreateMode, Error};

/// How many deletions are one transaction, and how many transactions are on their way at once.
const DELETED_AT_ONCE: usize = 250;
const IN_FLIGHT: usize = 4;

impl ZooKeeper {
    pub(super) async fn revised(
        &self,
        node: Node,
    ) -> Result<Option<(Vec<u8>, Revision)>, CoordinationError> {
        let path = self.layout.node(&node);
        match self.client()?.get_data(&path).await {
            Ok((data, stat)) => Ok(Some((data, Revision(stat.version)))),
            Err(Error::NoNode) => Ok(None),
            Err(error) => Err(error_of(&path, error)),
        }
    }

    pub(super) async fn replaced(
        &self,
        node: Node,
        data: Vec<u8>,
        seen: Option<Revision>,
    ) -> Result<Written, CoordinationError> {
        let path = self.layout.node(&node);
        check_size(&path, &data)?;
        let client = self.client()?;
        let options = CreateMode::Persistent.with_acls(self.acls);
        let written = match seen {
            None => client.create(&path, &data, &options).await.map(drop),
            Some(Revision(version)) => client.set_data(&path, &data, Some(version)).await.map(drop),
        };
        match written {
            Ok(()) => Ok(Written::Yes),
            Err(Error::NodeExists | Error::BadVersion | Error::NoNode) => Ok(Written::KeptExisting),
            Err(error) => Err(error_of(&path, error)),
        }
    }

    pub(super) async fn names(&self, folder: Folder) -> Result<Vec<String>, CoordinationError> {
        let path = self.layout.folder(folder);
        let names = self.client()?.list_children(&path).await;
        names.map_err(|error| error_of(&path, error))
    }

    pub(super) async fn delete_nodes(&self, nodes: Vec<Node>) -> Result<(), CoordinationError> {
        let paths = nodes.into_iter().map(|node| self.layout.node(&node));
        self.delete_paths(paths).await
    }

    pub(super) async fn delete_range(
        &self,
        positions: Range<LogPosition>,
    ) -> Result<(), CoordinationError> {
        let positions = (positions.start.0..positions.end.0).map(LogPosition);
        self.delete_paths(positions.map(|position| self.layout.entry(position)))
            .await
    }

    pub(super) async fn entries(&self) -> Result<u64, CoordinationError> {
        let path = self.layout.log();
        let stat = self.client()?.check_stat(&path).await;
        let stat = stat.map_err(|error| error_of(&path, error))?;
        let count = stat.map_or(0, |stat| stat.num_children);
        Ok(u64::try_from(count).unwrap_or(0))
    }

    async fn delete_paths(
        &self,
        paths: impl Iterator<Item = String>,
    ) -> Result<(), CoordinationError> {
        let client = self.client()?;
        let mut paths = paths.peekable();
        while paths.peek().is_some() {
            let mut round = Vec::new();
            for _ in 0..IN_FLIGHT {
                let batch: Vec<String> = paths.by_ref().take(DELETED_AT_ONCE).collect();
                round.push(delete_batch(&client, batch));
            }
            for deleted in join_all(round).await {
                deleted?;
            }
        }
        Ok(())
    }
}

/// Deletes all in one transaction, or one by one when some are missing, which would undo it.
async fn delete_batch(client: &Client, paths: Vec<String>) -> Result<(), CoordinationError> {
    let refused = |error| error_of("to delete nodes", error);
    let mut writer = client.new_multi_writer();
    for path in &paths {
        writer.add_delete(path, None).map_err(refused)?;
    }
    match writer.commit().await.map_err(Error::from) {
        Ok(_) => return Ok(()),
        Err(Error::NoNode) => {}
        Err(error) => return Err(refused(error)),
    }
    for deleted in join_all(paths.iter().map(|path| client.delete(path, None))).await {
        match deleted {
            Ok(()) | Err(Error::NoNode) => {}
            Err(error) => return Err(refused(error)),
        }
    }
    Ok(())
}
