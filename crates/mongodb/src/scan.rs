//! Going through a namespace: the users in the order of their ids, each page after the last one's id.

use stickystore_core::{
    AsyncScan, Call, Cursor, Error, ErrorKind, Keys, Namespace, Operation, Page, Result, async_trait,
};

use crate::error::{at, odd_answer};
use crate::layout::{self, Shown};
use crate::question::{Of, Question};
use crate::store::{MongodbStore, profile};

/// The most users of one page, so that it fits into a call.
const PAGE_AT_MOST: usize = 1000;

#[async_trait]
impl AsyncScan for MongodbStore {
    async fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.page(call, namespace, cursor, limit).await.map_err(at(Operation::Scan))
    }
}

impl MongodbStore {
    async fn page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.admit(call)?;
        let (first, end) = layout::id_range(namespace);
        let after = match cursor {
            None => first,
            Some(cursor) if layout::is_between(cursor.as_str(), namespace) => cursor.as_str().to_owned(),
            Some(_) => return Err(Error::new(ErrorKind::Invalid, "this cursor is not one of this store's")),
        };
        let limit = limit.clamp(1, PAGE_AT_MOST);
        let question = Question { of: Of::Between(after, end, limit), projection: None };
        let found = self.find(question, call.deadline).await?;
        let documents = found.documents()?;
        let mut page = Page::default();
        let mut last = None;
        for document in &documents {
            let id = layout::id_of(document).ok_or_else(odd_answer)?;
            last = Some(Cursor::new(id));
            // An id that we would not have written is nobody's.
            let Some(user) = layout::user_of(id, namespace) else { continue };
            match profile(&Keys::All, Some(document), Shown::Whole, call.now) {
                Ok(profile) if profile.is_empty() => {}
                Ok(profile) => page.users.push((user, profile)),
                Err(error) if error.kind() == ErrorKind::Corrupt => page.foreign += 1,
                Err(error) => return Err(error),
            }
        }
        page.next = last.filter(|_| documents.len() == limit);
        Ok(page)
    }
}
