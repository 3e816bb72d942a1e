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
  `CREATE TABLE manifest (
     digest TEXT PRIMARY KEY,
     media_type TEXT NOT NULL,
     config_digest TEXT NOT NULL,
     chain_id TEXT NOT NULL,
     config TEXT NOT NULL,
     added_at_ms INTEGER NOT NULL,
     used_at_ms INTEGER NOT NULL,
     is_removed INTEGER NOT NULL DEFAULT 0
   ) STRICT;
   CREATE INDEX manifest_config ON manifest (config_digest);
   CREATE TABLE manifest_blob (
     manifest_digest TEXT NOT NULL REFERENCES manifest (digest) ON DELETE CASCADE,
     position INTEGER NOT NULL,
     kind TEXT NOT NULL,
     digest TEXT NOT NULL,
     bytes INTEGER NOT NULL,
     media_type TEXT NOT NULL,
     diff_id TEXT,
     PRIMARY KEY (manifest_digest, position)
   ) STRICT;
   CREATE INDEX manifest_blob_digest ON manifest_blob (digest);
   CREATE TABLE image (
     reference TEXT PRIMARY KEY,
     manifest_digest TEXT NOT NULL REFERENCES manifest (digest) ON DELETE CASCADE,
     source_digest TEXT NOT NULL,
     tagged_at_ms INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX image_manifest ON image (manifest_digest);
   ALTER TABLE box ADD COLUMN image_digest TEXT;`,
  `ALTER TABLE box ADD COLUMN exit_code INTEGER;
   ALTER TABLE box ADD COLUMN cause TEXT;`,
]
