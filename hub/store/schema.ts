/**
 * The tables of the hub in SQL that SQLite and PostgreSQL both take. Documents are JSON text: the hub reads
 * them whole, and only what is searched by has a column.
 * Promise: `schemaVersion` changes with every change of meaning; a database of another version is not opened.
 */

export const schemaVersion = 1

export const schema = `
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
`
