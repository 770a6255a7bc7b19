// imapflow reads what the others sent: node imapflow.mjs PORT USER PASSWORD CA SUBJECT -> one JSON line.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
const require = createRequire(process.env.NODE_PATH + '/');
const { ImapFlow } = require('imapflow');
const [port, user, pass, ca, subject] = process.argv.slice(2);
const client = new ImapFlow({
  host: '127.0.0.1', port: Number(port), secure: true, auth: { user, pass }, logger: false, qresync: true,
  tls: { ca: readFileSync(ca), servername: 'localhost' },
});
await client.connect();
const out = { folders: (await client.list()).map((box) => [box.path, box.specialUse || '']) };
await client.mailboxCreate('flow.box').catch(() => {});
const lock = await client.getMailboxLock('INBOX');
try {
  const found = await client.search({ header: { subject } }, { uid: true });
  out.found = found.length;
  const message = await client.fetchOne(found.at(-1), {
    uid: true, flags: true, bodyStructure: true, envelope: true, internalDate: true, size: true, source: true,
  }, { uid: true });
  out.subject = message.envelope.subject;
  out.size = message.size;
  out.sourceLength = message.source.length;
  out.type = message.bodyStructure.type;
  const download = await client.download(found.at(-1), undefined, { uid: true });
  let octets = 0;
  for await (const chunk of download.content) octets += chunk.length;
  out.downloaded = octets;
  await client.messageFlagsAdd(found.at(-1), ['\\Seen', '$Custom'], { uid: true });
  const moved = await client.messageMove(found.at(-1), 'flow.box', { uid: true });
  out.moved = moved.uidMap.size;
  await client.append('flow.box', 'Subject: appended\r\n\r\nbody\r\n', [], new Date('2024-02-01T00:00:00Z'));
} finally {
  lock.release();
}
const other = await client.getMailboxLock('flow.box');
try {
  out.box = [];
  for await (const message of client.fetch('1:*', { uid: true, flags: true, envelope: true })) {
    out.box.push([message.envelope.subject, [...message.flags].filter((flag) => flag !== '\\Recent').sort()]);
  }
  await client.messageDelete('1:*');
  out.left = client.mailbox.exists;
} finally {
  other.release();
}
out.status = await client.status('INBOX', { messages: true, unseen: true, highestModseq: true });
out.status.highestModseq = String(out.status.highestModseq);
out.status.uidValidity = String(out.status.uidValidity ?? '');
out.quota = Boolean(await client.getQuota('INBOX').catch(() => false));
await client.logout();
console.log(JSON.stringify(out));
