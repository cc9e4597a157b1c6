//! What is asked of the collection, and the documents of the answer as they came.

use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use mongodb::bson::{Document, RawBsonRef, RawDocument, doc};
use mongodb::options::{Collation, FindOptions, ReadConcern, ReadPreference, SelectionCriteria};
use mongodb::raw_batch_cursor::RawBatch;
use stickystore_core::Result;

use crate::connection::{Live, answered};
use crate::error::odd_answer;

/// One find.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) of: Of,
    /// What is wanted of each document; nothing for all of it.
    pub(crate) projection: Option<Document>,
}

/// Which documents a question is about.
#[derive(Debug)]
pub(crate) enum Of {
    /// The one with this id.
    One(String),
    /// Those with these ids, in no order.
    These(Vec<String>),
    /// Those with ids after the first one and before the second, in their order, so many at most.
    Between(String, String, usize),
}

impl Question {
    /// Asks until all of the answer is there.
    pub(crate) async fn ask(&self, live: &Live, deadline: Instant) -> mongodb::error::Result<Found> {
        let question = live.collection().find(self.filter()).with_options(self.options(deadline));
        let cursor = question.batch().await?;
        answered();
        Ok(Found(cursor.try_collect().await?))
    }

    fn filter(&self) -> Document {
        match &self.of {
            Of::One(id) => doc! { "_id": id },
            Of::These(ids) => doc! { "_id": { "$in": ids } },
            Of::Between(after, end, _) => doc! { "_id": { "$gt": after, "$lt": end } },
        }
    }

    fn options(&self, deadline: Instant) -> FindOptions {
        let mut options = FindOptions::default();
        match &self.of {
            // A negative one says, too, that no cursor is kept.
            Of::One(_) => options.limit = Some(-1),
            Of::These(ids) => at_most(&mut options, ids.len()),
            Of::Between(_, _, limit) => {
                at_most(&mut options, *limit);
                options.sort = Some(doc! { "_id": 1 });
            }
        }
        options.projection.clone_from(&self.projection);
        options.collation = Some(bytewise());
        options.read_concern = Some(ReadConcern::majority());
        options.selection_criteria = Some(primary());
        options.max_time = Some(left(deadline));
        options
    }
}

/// So many documents, in one batch if it holds them.
fn at_most(options: &mut FindOptions, limit: usize) {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    options.limit = Some(limit);
    options.batch_size = u32::try_from(limit).ok();
}

/// The documents of an answer, which stay where they are.
#[derive(Debug)]
pub(crate) struct Found(Vec<RawBatch>);

impl Found {
    /// All of them.
    ///
    /// # Errors
    /// [`odd_answer`] if the server's answer is not whole.
    pub(crate) fn documents(&self) -> Result<Vec<&RawDocument>> {
        let mut documents = Vec::new();
        for batch in &self.0 {
            for document in batch.doc_slices().map_err(|_| odd_answer())? {
                let Ok(RawBsonRef::Document(document)) = document else { return Err(odd_answer()) };
                documents.push(document);
            }
        }
        Ok(documents)
    }

    /// The first one, if there is any.
    ///
    /// # Errors
    /// As [`documents`](Self::documents).
    pub(crate) fn first(&self) -> Result<Option<&RawDocument>> {
        let Some(batch) = self.0.first() else { return Ok(None) };
        match batch.doc_slices().map_err(|_| odd_answer())?.into_iter().next() {
            None => Ok(None),
            Some(Ok(RawBsonRef::Document(document))) => Ok(Some(document)),
            Some(_) => Err(odd_answer()),
        }
    }
}

/// Whatever the URL says: other members may be behind.
pub(crate) fn primary() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Primary)
}

/// Whatever the collection says: ids, revisions and values are the same only if their bytes are.
pub(crate) fn bytewise() -> Collation {
    Collation::builder().locale("simple").build()
}

/// How long the server may take: what comes later is of no use to the caller.
pub(crate) fn left(deadline: Instant) -> Duration {
    // Zero would mean without end.
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}
