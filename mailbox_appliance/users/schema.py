"""The rows of STATE/users.db: one script per schema version, applied forward only.

A script that has been released is never edited: a change is a new script at the end. Times are epoch seconds,
addresses of our own are in lower case, domains are A-labels.
"""

from __future__ import annotations

VERSION_1 = """
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
CREATE TABLE domains (
    name TEXT PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,       -- order of adding: the first is asked for the bare postmaster
    owner INTEGER REFERENCES accounts (id) ON DELETE SET NULL,
    catch_all TEXT NOT NULL,              -- an address or ''
    added REAL NOT NULL
);
CREATE TABLE aliases (
    local TEXT NOT NULL,
    domain TEXT NOT NULL REFERENCES domains (name),
    position INTEGER NOT NULL,
    target_local TEXT NOT NULL,
    target_domain TEXT NOT NULL,
    PRIMARY KEY (local, domain, position)
) WITHOUT ROWID;
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
CREATE TABLE settings (
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (account, key)
) WITHOUT ROWID
"""

THROWAWAYS = """
CREATE TABLE throwaways (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice: the folder that shows one takes its UIDVALIDITY from it
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    local TEXT NOT NULL,
    domain TEXT NOT NULL,
    label TEXT NOT NULL,                  -- as the account calls it
    made REAL NOT NULL,
    expires REAL,                         -- NULL: never
    revoked REAL,                         -- NULL: it lives
    text TEXT NOT NULL DEFAULT '',        -- what senders hear once it is revoked
    pinned TEXT NOT NULL DEFAULT '',      -- the domain that wrote to it first
    leaks INTEGER NOT NULL DEFAULT 0,     -- messages from other domains
    leaked REAL,
    leaked_by TEXT NOT NULL DEFAULT '',
    UNIQUE (local, domain)
)
"""

# What only this installation knows. ``salts`` makes the SCRAM salts of names that nobody has: they must stay the same
# over the years, as those of real accounts do.
SECRETS = """
CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;
INSERT INTO secrets (name, value) VALUES ('salts', randomblob(32))
"""

LISTS = """
CREATE TABLE lists (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- STATE/lists remembers posts by it
    local TEXT NOT NULL,
    domain TEXT NOT NULL REFERENCES domains (name),
    title TEXT NOT NULL,
    owner INTEGER REFERENCES accounts (id) ON DELETE SET NULL,
    posting TEXT NOT NULL DEFAULT 'members',   -- members, anyone, moderators
    joining TEXT NOT NULL DEFAULT 'open',      -- open, closed
    author TEXT NOT NULL DEFAULT 'auto',       -- From is rewritten: auto (where DMARC needs it), always
    tag TEXT NOT NULL DEFAULT '',              -- put before subjects
    archive INTEGER NOT NULL DEFAULT 0,
    most_octets INTEGER NOT NULL DEFAULT 10485760,
    added REAL NOT NULL,
    UNIQUE (local, domain)
);
CREATE TABLE list_members (
    id INTEGER PRIMARY KEY AUTOINCREMENT,      -- stands in return paths and links
    list INTEGER NOT NULL REFERENCES lists (id) ON DELETE CASCADE,
    local TEXT NOT NULL,
    domain TEXT NOT NULL,
    moderator INTEGER NOT NULL DEFAULT 0,
    paused TEXT NOT NULL DEFAULT '',           -- bounces, wish
    bounces INTEGER NOT NULL DEFAULT 0,
    bounced REAL NOT NULL DEFAULT 0,
    added REAL NOT NULL,
    UNIQUE (list, local, domain)
)
"""

# What is known of main passwords, each row about one hash_version only; and links to choose another, one use each.
PASSWORD_AUDITS = """
CREATE TABLE password_audits (
    account INTEGER PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    hash_version INTEGER NOT NULL,
    judged REAL,                          -- when it was judged while it was in hand; NULL: not yet
    guessing TEXT NOT NULL DEFAULT '',    -- of which order of guesses "tried" tells
    tried INTEGER NOT NULL DEFAULT 0,     -- so many guesses were wrong
    guessed REAL,                         -- when one was tried last
    weak TEXT NOT NULL DEFAULT '',        -- a kind of weakness, '' = none known
    found REAL,
    allowed INTEGER NOT NULL DEFAULT 0    -- the owner lets it send all the same
);
CREATE TABLE password_links (
    digest BLOB PRIMARY KEY,              -- SHA-256 of what stands in the link
    account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    hash_version INTEGER NOT NULL,        -- worth nothing once the password has changed
    expires REAL NOT NULL
) WITHOUT ROWID
"""

# As people are called: "Ann Example".
NAMES = "ALTER TABLE accounts ADD COLUMN name TEXT NOT NULL DEFAULT ''"

MIGRATIONS: tuple[str, ...] = (VERSION_1, THROWAWAYS, SECRETS, LISTS, PASSWORD_AUDITS, NAMES)
