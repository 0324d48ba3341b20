/**
 * The tables of the hub in SQL that SQLite and PostgreSQL both take. Documents are JSON text: the hub reads
 * them whole, and only what is searched by has a column.
 * Promise: what is in a database of an earlier version stays as it is: each version adds its tables to those of
 * the one before. A database of a later version is not opened.
 */

/** Each version by what it adds. */
export const schemaSteps: readonly string[] = [
  `
CREATE TABLE devices (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE releases (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE wraps (
  release TEXT NOT NULL, device TEXT NOT NULL, blob TEXT NOT NULL, wrapped TEXT NOT NULL,
  PRIMARY KEY (release, device, blob)
);
CREATE TABLE rollouts (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE attempts (
  rollout TEXT NOT NULL, device TEXT NOT NULL, made BIGINT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (rollout, device)
);
CREATE INDEX attempts_of_device ON attempts (device, made);
CREATE TABLE statuses (
  device TEXT NOT NULL, boot TEXT NOT NULL, seq BIGINT NOT NULL, life BIGINT NOT NULL, at BIGINT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (device, boot, seq)
);
CREATE INDEX statuses_in_order ON statuses (device, life, seq);
CREATE TABLE evidences (
  device TEXT NOT NULL, boot TEXT NOT NULL, seq BIGINT NOT NULL, kind TEXT NOT NULL, life BIGINT NOT NULL,
  at BIGINT NOT NULL, code TEXT, what TEXT, attempt BIGINT, body TEXT NOT NULL,
  PRIMARY KEY (device, boot, seq, kind)
);
CREATE INDEX evidences_in_order ON evidences (device, life, seq);
CREATE TABLE retained (topic TEXT PRIMARY KEY, payload BYTEA NOT NULL);
`,
  `
CREATE TABLE skills (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE contents (sha256 TEXT PRIMARY KEY, bytes BIGINT NOT NULL, state TEXT NOT NULL, at BIGINT NOT NULL);
CREATE TABLE own_clips (
  device TEXT NOT NULL, clip TEXT NOT NULL, sha256 TEXT NOT NULL, bytes BIGINT NOT NULL,
  PRIMARY KEY (device, clip)
);
CREATE TABLE telemetry_newest (
  device TEXT PRIMARY KEY, number BIGINT NOT NULL, at BIGINT NOT NULL, body TEXT NOT NULL
);
CREATE TABLE telemetry (
  device TEXT NOT NULL, number BIGINT NOT NULL, at BIGINT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (device, number)
);
`,
]

export const schemaVersion = schemaSteps.length
