-- A file as schema version 1 wrote it: never edit it, later versions must go on reading it.
BEGIN TRANSACTION;
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY,
    local TEXT NOT NULL,
    domain TEXT NOT NULL,
    hash TEXT NOT NULL,                   -- argon2id, encoded with its parameters
    hash_version INTEGER NOT NULL,        -- grows with each new password
    scram_salt BLOB NOT NULL,             -- one for all app passwords of the account (RFC 5802 section 5.1)
    scram_iterations INTEGER NOT NULL,
    quota INTEGER,                        -- octets, 0 = none, NULL = the default
    added REAL NOT NULL,
    removed REAL,                         -- set: rests until it is forgotten or brought back
    UNIQUE (local, domain)
);
INSERT INTO "accounts" VALUES(1,'ann','example.org','$argon2id$v=19$m=8,t=1,p=1$aCuXCGzJMZVNeCVPr/juyQ$olXA3l9uDglDfQ5yMBnGknKWLpUa44VvYojkN7DXG1M',1,X'0E3924B410A03E773E0F12249AA6B245',4096,1000000,1700000000.0,NULL);
INSERT INTO "accounts" VALUES(2,'bob','example.org','$argon2id$v=19$m=8,t=1,p=1$Tq7HRuNZkANGgDIR/D6qCw$y9pjMuPuI+nwTIgrD/HN+JcynAXV6Pk3hI+RfKCESCg',1,X'03304753ADE5A89EA8F42774C8EADA3F',4096,NULL,1700000000.0,1700000000.0);
CREATE TABLE aliases (
    local TEXT NOT NULL,
    domain TEXT NOT NULL REFERENCES domains (name),
    position INTEGER NOT NULL,
    target_local TEXT NOT NULL,
    target_domain TEXT NOT NULL,
    PRIMARY KEY (local, domain, position)
) WITHOUT ROWID;
INSERT INTO "aliases" VALUES('family','example.org',0,'ann+fam','example.org');
INSERT INTO "aliases" VALUES('family','example.org',1,'carl','far.example');
CREATE TABLE app_passwords (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    prefix TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL,
    digest BLOB NOT NULL,                 -- SHA-256 of the secret
    stored_key BLOB NOT NULL,             -- SCRAM-SHA-256 (RFC 7677)
    server_key BLOB NOT NULL,
    made REAL NOT NULL,
    used REAL,
    used_from TEXT NOT NULL DEFAULT '',
    used_by TEXT NOT NULL DEFAULT '',     -- the service
    UNIQUE (account, label)
);
INSERT INTO "app_passwords" VALUES(1,1,'2p47','phone',X'89966D9AA42BF44457EABCFC1BAA93B3F5BCDAC7DDDE3B8D20F714B3F505C7B8',X'0E287BB25251166D1D13BDAA3ACDE55EF4BA8FDB7D262420C70D71E6C451DCEE',X'F63AC33FA0BA5DD92AA17AF649DC70A86EC6CA32986583B3B74534980B9252AC',1700000000.0,NULL,'','');
CREATE TABLE domains (
    name TEXT PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,       -- order of adding: the first is asked for the bare postmaster
    owner INTEGER REFERENCES accounts (id) ON DELETE SET NULL,
    catch_all TEXT NOT NULL,              -- an address or ''
    added REAL NOT NULL
);
INSERT INTO "domains" VALUES('example.org',1,1,'',1700000000.0);
INSERT INTO "domains" VALUES('club.example',2,NULL,'ann@example.org',1700000000.0);
CREATE TABLE settings (
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (account, key)
) WITHOUT ROWID
;
INSERT INTO "settings" VALUES(1,'language','de');
COMMIT;
PRAGMA user_version=1;
