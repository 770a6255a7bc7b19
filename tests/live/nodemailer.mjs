// nodemailer submits: node nodemailer.mjs PORT USER PASSWORD CA SUBJECT -> one JSON line.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
const require = createRequire(process.env.NODE_PATH + '/');
const nodemailer = require('nodemailer');
const [port, user, pass, ca, subject] = process.argv.slice(2);
const transport = nodemailer.createTransport({
  host: '127.0.0.1', port: Number(port), secure: false, requireTLS: true, auth: { user, pass },
  tls: { ca: readFileSync(ca), servername: 'localhost' },
});
await transport.verify();
const info = await transport.sendMail({
  from: user, to: user, bcc: `"Blind" <${user}>`, subject, text: 'Grüße\n.leading dot\n', html: '<p>Grüße</p>',
  attachments: [{ filename: 'zero.bin', content: Buffer.alloc(100000) }],
});
console.log(JSON.stringify({ accepted: info.accepted, response: info.response }));
