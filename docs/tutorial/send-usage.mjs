// Signs a batch of usage events by the Standard Webhooks scheme and sends it: JSON on standard input, the answer on
// standard output. Needs nothing but Node.js, and in the environment COSTPLUS_URL, SERVICE_KEY and SIGNING_SECRET.
import { createHmac, randomUUID } from 'node:crypto';
import { text } from 'node:stream/consumers';

const { COSTPLUS_URL, SERVICE_KEY, SIGNING_SECRET = '' } = process.env;
const body = await text(process.stdin);
const id = `msg_${randomUUID()}`;
const timestamp = Math.floor(Date.now() / 1000);
// The bytes behind "whsec_" are the key; what is signed is the id, the time and the very bytes that are sent.
const key = Buffer.from(SIGNING_SECRET.replace(/^whsec_/, ''), 'base64');
const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');

const response = await fetch(`${COSTPLUS_URL}/v1/usage`, {
  method: 'POST',
  headers: {
    authorization: `Bearer ${SERVICE_KEY}`,
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': `v1,${signature}`,
  },
  body,
});
console.log(await response.text());
if (!response.ok) process.exitCode = 1;
