/**
 * The schema, one step per version; `PRAGMA user_version` counts them. A step is never changed once released. Additions
 * leave old columns alone, so that the version before still reads what it knows.
 */
export const migrations: readonly string[] = [
  `CREATE TABLE box (
     id TEXT PRIMARY KEY,
     name TEXT UNIQUE,
     created_at_ms INTEGER NOT NULL,
     config TEXT NOT NULL,
     status TEXT NOT NULL,
     started_at_ms INTEGER,
     stopped_at_ms INTEGER,
     reason TEXT
   ) STRICT;
   CREATE INDEX box_created ON box (created_at_ms DESC);`,
  `ALTER TABLE box ADD COLUMN health TEXT;
   ALTER TABLE box ADD COLUMN restart TEXT;
   CREATE TABLE event (
     cursor INTEGER PRIMARY KEY AUTOINCREMENT,
     at_ms INTEGER NOT NULL,
     box_id TEXT NOT NULL,
     box_name TEXT,
     type TEXT NOT NULL,
     details TEXT NOT NULL
   ) STRICT;`,
]
