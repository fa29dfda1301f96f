//! One request: who asks, for which database, and the only way to what they may ask for. Whatever leads to a collection
//! or to another thing of the server takes the privilege for it.

use std::borrow::Cow;
use std::sync::Arc;

use elanus_engine::Collection;
use elanus_engine::collection::DEFAULT_DATABASE;

use crate::app::App;
use crate::auth::{Asker, Privilege, Target};
use crate::error::ApiError;
use crate::service::Context;

/// A request that was let in.
pub(super) struct Call<'a> {
    pub(super) context: Context<'a>,
    /// The database of the connection.
    database: String,
}

impl<'a> Call<'a> {
    pub(super) fn new(context: Context<'a>, database: String) -> Self {
        Self { context, database }
    }

    /// What the server has. Nothing of it is given to anybody before one of the methods below has let them through.
    pub(super) fn app(&self) -> &'a App {
        self.context.app
    }

    pub(super) fn asker(&self) -> &'a Asker {
        self.context.asker
    }

    /// The database that a request names, else that of its connection, else the default one.
    pub(super) fn database<'n>(&'n self, named: &'n str) -> &'n str {
        [named, &self.database].into_iter().find(|name| !name.is_empty()).unwrap_or(DEFAULT_DATABASE)
    }

    fn authorize(&self, privilege: Privilege, target: Target<'_>) -> Result<(), ApiError> {
        Ok(self.app().auth.authorize(self.asker(), privilege, target)?)
    }

    /// Lets through who may do this to a collection, by its own name or an alias. An empty name: to every one. Gives the
    /// database, which is there.
    pub(super) fn on_collection<'n>(
        &'n self,
        privilege: Privilege,
        database: &'n str,
        name: &str,
    ) -> Result<&'n str, ApiError> {
        let db = self.database(database);
        let name: Cow<'_, str> = match name {
            "" => "*".into(),
            name => self.app().engine.own_name(db, name).into(),
        };
        self.authorize(privilege, Target::Collection { db, name: &name })?;
        self.app().engine.check_database(db)?;
        Ok(db)
    }

    /// The collection of this name or alias, for who may do this to it.
    ///
    /// # Errors
    /// 1100 without a name, 800 without the database, 100 without the collection.
    pub(super) fn collection(
        &self,
        privilege: Privilege,
        database: &str,
        name: &str,
    ) -> Result<Arc<Collection>, ApiError> {
        let db = self.on_collection(privilege, database, name)?;
        if name.is_empty() {
            return Err(ApiError::invalid("collection name should not be empty: invalid parameter"));
        }
        Ok(self.app().engine.collection_in(db, name)?)
    }

    /// The same for reading its rows.
    ///
    /// # Errors
    /// As [`Call::collection`]; 101 when it was released.
    pub(super) fn readable(
        &self,
        privilege: Privilege,
        database: &str,
        name: &str,
    ) -> Result<Arc<Collection>, ApiError> {
        let collection = self.collection(privilege, database, name)?;
        collection.definition().check_readable()?;
        Ok(collection)
    }

    /// The collection of this number, where a request names none.
    ///
    /// # Errors
    /// As [`Call::collection`].
    pub(super) fn collection_or_number(
        &self,
        privilege: Privilege,
        database: &str,
        name: &str,
        number: i64,
    ) -> Result<Arc<Collection>, ApiError> {
        if !name.is_empty() || number == 0 {
            return self.collection(privilege, database, name);
        }
        let found = self.numbered(number);
        // To know that there is none takes the right to all that could be.
        let name = found.as_ref().map_or_else(String::new, |collection| collection.definition().name.clone());
        let database =
            found.as_ref().map_or_else(|| database.to_owned(), |c| c.definition().database.clone());
        self.on_collection(privilege, &database, &name)?;
        found.ok_or_else(|| {
            ApiError::not_found(format!("can't find collection[collection={number}]: collection not found"))
        })
    }

    /// The collection of this number, for those whom it is no secret to.
    pub(super) fn numbered(&self, number: i64) -> Option<Arc<Collection>> {
        let all = self.app().engine.open_collections();
        all.into_iter().find(|collection| i64::try_from(collection.id()) == Ok(number))
    }

    /// Lets through who may do this in a database. Gives its name, be it there or not.
    pub(super) fn on_database<'n>(
        &'n self,
        privilege: Privilege,
        named: &'n str,
    ) -> Result<&'n str, ApiError> {
        let db = self.database(named);
        self.authorize(privilege, Target::Database { db })?;
        Ok(db)
    }

    /// Lets through who may do this to the server.
    pub(super) fn on_cluster(&self, privilege: Privilege) -> Result<(), ApiError> {
        self.authorize(privilege, Target::Cluster)
    }

    /// Lets through who may do this to a user. Nobody needs it on themselves.
    pub(super) fn on_user(&self, privilege: Privilege, name: &str) -> Result<(), ApiError> {
        match self.asker() {
            Asker::User(user) if user == name => Ok(()),
            _ => self.authorize(privilege, Target::User { name }),
        }
    }

    /// Lets through who may do this to the server. Nobody needs it for a role of their own.
    pub(super) fn on_role(&self, privilege: Privilege, role: &str) -> Result<(), ApiError> {
        match self.app().auth.has_role(self.asker(), role) {
            true => Ok(()),
            false => self.on_cluster(privilege),
        }
    }
}
