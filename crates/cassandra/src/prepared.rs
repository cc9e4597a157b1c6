//! The statements as a session knows them: each for both levels and for every size of a page.

use futures::future::try_join_all;
use scylla::client::session::Session;
use scylla::statement::Consistency;
use scylla::statement::prepared::PreparedStatement;
use stickystore_core::Result;

use crate::config::Serial;
use crate::connection::Level;
use crate::error;
use crate::pages::PageSize;
use crate::statement::Statement;

/// All statements, prepared.
pub(crate) struct Prepared {
    plain: Sizes,
    serial: Sizes,
}

/// Of each size, all statements in their order.
type Sizes = [Vec<PreparedStatement>; PageSize::COUNT];

impl Prepared {
    /// Prepares them for this table.
    ///
    /// # Errors
    /// Those of the cluster.
    pub(crate) async fn new(session: &Session, table: &str, serial: Serial) -> Result<Self> {
        let prepare = async |statement: Statement| {
            let mut prepared = session.prepare(statement.text(table)).await.map_err(error::preparing)?;
            // What reads answer are columns by their names, whose types no server changes; what conditional statements answer
            // is known only when they do.
            prepared.set_use_cached_result_metadata(statement.is_read());
            Ok(prepared)
        };
        let plain = try_join_all(Statement::ALL.map(prepare)).await?;
        let consistency = match serial {
            Serial::Global => Consistency::Serial,
            Serial::Local => Consistency::LocalSerial,
        };
        let mut serial = plain.clone();
        serial.iter_mut().for_each(|statement| statement.set_consistency(consistency));
        Ok(Self { plain: sizes(&plain), serial: sizes(&serial) })
    }

    /// One of them; all are there.
    pub(crate) fn get(
        &self,
        statement: Statement,
        level: Level,
        size: PageSize,
    ) -> Option<&PreparedStatement> {
        let sizes = match level {
            Level::Plain => &self.plain,
            Level::Serial => &self.serial,
        };
        sizes.get(size.place())?.get(statement.place())
    }
}

fn sizes(statements: &[PreparedStatement]) -> Sizes {
    let mut sizes = Sizes::default();
    for (of_size, size) in sizes.iter_mut().zip(PageSize::all()) {
        of_size.extend_from_slice(statements);
        of_size.iter_mut().for_each(|statement| statement.set_page_size(size.rows()));
    }
    sizes
}
