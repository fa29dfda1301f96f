//! The privileges of Milvus, the object each belongs to, and the nine groups that are always there. A name that this
//! program does not know (from a newer one's file) gives no right.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a privilege is about, in Milvus's first form of grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ObjectType {
    /// The server, a database, or a collection as a whole.
    Global,
    /// What is in a collection.
    Collection,
    /// A user.
    User,
}

impl ObjectType {
    /// The type of a name; exact, as in Milvus.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Global, Self::Collection, Self::User].into_iter().find(|object| object.name() == name)
    }

    /// Milvus's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Global => "Global",
            Self::Collection => "Collection",
            Self::User => "User",
        }
    }
}

/// How far a privilege reaches; privileges of a built-in group all reach equally far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The whole server.
    Cluster,
    /// One database.
    Database,
    /// One collection.
    Collection,
}

macro_rules! privileges {
    ($($name:ident $object:ident $level:ident),* $(,)?) => {
        /// A right to do one thing.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs)] // The names are Milvus's and say what they are.
        pub enum Privilege { $($name),* }

        impl Privilege {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Milvus's name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            /// What it is about.
            pub fn object(self) -> ObjectType {
                match self { $(Self::$name => ObjectType::$object),* }
            }

            /// How far it reaches.
            pub fn level(self) -> Level {
                match self { $(Self::$name => Level::$level),* }
            }
        }
    };
}

privileges! {
    Query Collection Collection,
    Search Collection Collection,
    IndexDetail Collection Collection,
    GetFlushState Collection Collection,
    GetLoadState Collection Collection,
    GetLoadingProgress Collection Collection,
    HasPartition Collection Collection,
    ShowPartitions Collection Collection,
    GetStatistics Collection Collection,
    ListAliases Global Collection,
    DescribeCollection Global Collection,
    DescribeAlias Global Collection,
    RunAnalyzer Collection Collection,
    CreateIndex Collection Collection,
    DropIndex Collection Collection,
    CreatePartition Collection Collection,
    DropPartition Collection Collection,
    Load Collection Collection,
    Release Collection Collection,
    LoadBalance Collection Collection,
    Insert Collection Collection,
    Delete Collection Collection,
    Upsert Collection Collection,
    Import Collection Collection,
    Flush Collection Collection,
    Compaction Collection Collection,
    AddCollectionField Collection Collection,
    CreateAlias Global Collection,
    DropAlias Global Collection,
    ShowCollections Global Database,
    DescribeDatabase Global Database,
    AlterDatabase Global Database,
    CreateCollection Global Database,
    DropCollection Global Database,
    ListDatabases Global Cluster,
    SelectOwnership Global Cluster,
    SelectUser User Cluster,
    DescribeResourceGroup Global Cluster,
    ListResourceGroups Global Cluster,
    ListPrivilegeGroups Global Cluster,
    FlushAll Global Cluster,
    TransferNode Global Cluster,
    TransferReplica Global Cluster,
    UpdateResourceGroups Global Cluster,
    BackupRBAC Global Cluster,
    RestoreRBAC Global Cluster,
    CreateDatabase Global Cluster,
    DropDatabase Global Cluster,
    CreateOwnership Global Cluster,
    DropOwnership Global Cluster,
    ManageOwnership Global Cluster,
    UpdateUser User Cluster,
    CreateResourceGroup Global Cluster,
    DropResourceGroup Global Cluster,
    RenameCollection Global Cluster,
    CreatePrivilegeGroup Global Cluster,
    DropPrivilegeGroup Global Cluster,
    OperatePrivilegeGroup Global Cluster,
}

impl Privilege {
    /// The privilege of a name; exact, as in Milvus.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|privilege| privilege.name() == name)
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A group that is always there: its name, its level, and the last privilege it holds of that level. The table above
/// lists each level's privileges so that every group holds a beginning of its level.
const BUILT_IN: [(&str, Level, Privilege); 9] = [
    ("CollectionReadOnly", Level::Collection, Privilege::RunAnalyzer),
    ("CollectionReadWrite", Level::Collection, Privilege::AddCollectionField),
    ("CollectionAdmin", Level::Collection, Privilege::DropAlias),
    ("DatabaseReadOnly", Level::Database, Privilege::DescribeDatabase),
    ("DatabaseReadWrite", Level::Database, Privilege::AlterDatabase),
    ("DatabaseAdmin", Level::Database, Privilege::DropCollection),
    ("ClusterReadOnly", Level::Cluster, Privilege::ListPrivilegeGroups),
    ("ClusterReadWrite", Level::Cluster, Privilege::UpdateResourceGroups),
    ("ClusterAdmin", Level::Cluster, Privilege::OperatePrivilegeGroup),
];

/// The level of a built-in group; none for another name.
pub(super) fn built_in_level(group: &str) -> Option<Level> {
    BUILT_IN.iter().find(|(name, ..)| *name == group).map(|(_, level, _)| *level)
}

/// Whether a built-in group holds a privilege; false for another name.
pub(super) fn built_in_holds(group: &str, privilege: Privilege) -> bool {
    let found = BUILT_IN.iter().find(|(name, ..)| *name == group);
    found.is_some_and(|(_, level, last)| privilege.level() == *level && privilege <= *last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str) -> Vec<&'static str> {
        let held = Privilege::ALL.iter().filter(|privilege| built_in_holds(name, **privilege));
        held.map(|privilege| privilege.name()).collect()
    }

    #[test]
    fn names_lead_back() {
        for privilege in Privilege::ALL {
            assert_eq!(Privilege::named(privilege.name()), Some(*privilege));
        }
        assert_eq!(Privilege::named("insert"), None);
        assert_eq!(ObjectType::named("Collection"), Some(ObjectType::Collection));
        assert_eq!(ObjectType::named("collection"), None);
    }

    #[test]
    fn groups_are_those_of_milvus() {
        assert_eq!(group("DatabaseReadOnly"), ["ShowCollections", "DescribeDatabase"]);
        assert_eq!(group("DatabaseReadWrite").len(), 3);
        assert_eq!(group("DatabaseAdmin")[3..], ["CreateCollection", "DropCollection"]);
        let (read, write, admin) =
            (group("CollectionReadOnly"), group("CollectionReadWrite"), group("CollectionAdmin"));
        assert!(read.contains(&"Search") && !read.contains(&"Insert") && !read.contains(&"CreateIndex"));
        assert!(write.contains(&"Upsert") && write.starts_with(&read) && !write.contains(&"DropAlias"));
        assert_eq!(admin[write.len()..], ["CreateAlias", "DropAlias"]);
        assert_eq!(group("ClusterReadWrite")[group("ClusterReadOnly").len()..][0], "FlushAll");
        assert!(group("ClusterAdmin").contains(&"CreateOwnership"));
        assert!(!group("ClusterReadWrite").contains(&"BackupRBAC"));
        assert!(group("Custom").is_empty());
        let admins = ["CollectionAdmin", "DatabaseAdmin", "ClusterAdmin"];
        let held: usize = admins.iter().map(|name| group(name).len()).sum();
        assert_eq!(held, Privilege::ALL.len());
    }
}
