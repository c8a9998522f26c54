// Scenarios of ali-ons 3.12.0:  node scenarios.js NAMESERVER RUN
// Topics must exist already (this client has no fallback to TBW102): they are named by topicsOf below and made by run.sh.
// Each scenario checks what arrives against what was sent and prints PASS or FAIL; the process ends with 1 when any failed.
'use strict';
const modules = process.env.RINGMQ_NODE_MODULES;
const { Producer, Consumer, Message } = require(modules + '/ali-ons');

const [nameSrv, run] = process.argv.slice(2);
const quiet = { info() {}, warn() {}, error(...args) { if (process.env.VERBOSE) console.error(...args); }, debug() {} };
const base = { httpclient: { request() { throw new Error('no address server here'); } }, nameSrv, accessKeyId: '', accessKeySecret: '', namespace: '', onsAddr: undefined, logger: quiet };
const sleep = ms => new Promise(r => setTimeout(r, ms));

class Ledger {
  constructor() { this.sent = new Map(); this.seen = new Map(); this.strangers = []; }
  plan(topic, tag, key, text) {
    const message = new Message(topic, tag, text);
    message.keys = [ key ];
    message.properties.who = key + ' 值';
    this.sent.set(text, { topic, tag, key });
    return message;
  }
  see(m) {
    const text = m.body.toString();
    if (!this.sent.has(text)) { this.strangers.push(text.slice(0, 60)); return; }
    if (!this.seen.has(text)) this.seen.set(text, []);
    this.seen.get(text).push({ topic: m.topic, tag: m.tags, key: [].concat(m.keys).join(' ').trim(), who: m.properties.who, queue: m.queueId, offset: m.queueOffset, times: m.reconsumeTimes });
  }
  async settle(seconds) {
    const end = Date.now() + seconds * 1000;
    while (this.seen.size < this.sent.size) {
      if (Date.now() > end) {
        const missing = [ ...this.sent.keys() ].filter(t => !this.seen.has(t));
        throw new Error(`${missing.length} of ${this.sent.size} messages not seen within ${seconds} s, e.g. "${missing[0].slice(0, 60)}"`);
      }
      await sleep(50);
    }
    await sleep(100);
    if (this.strangers.length) throw new Error('messages that nobody sent: ' + this.strangers.slice(0, 3));
    for (const [ text, want ] of this.sent) {
      const all = this.seen.get(text);
      if (all.length !== 1) throw new Error(`"${text.slice(0, 60)}" came ${all.length} times`);
      const got = all[0];
      for (const field of [ 'topic', 'tag', 'key' ]) if (got[field] !== want[field]) throw new Error(`"${text.slice(0, 60)}": ${field}: want ${want[field]}, got ${got[field]}`);
      if (got.who !== want.key + ' 值') throw new Error(`"${text.slice(0, 60)}": property who: got ${got.who}`);
    }
  }
}

async function producer(name) {
  const p = new Producer({ ...base, producerGroup: name + run });
  await p.ready();
  return p;
}

async function consume(name, topic, tags, listen) {
  const c = new Consumer({ ...base, consumerGroup: name + run, consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET' });
  c.subscribe(topic, tags, listen);
  await c.ready();
  return c;
}

async function send(p, message) {
  const r = await p.send(message);
  if (r.sendStatus !== 'SEND_OK') throw new Error('send status ' + r.sendStatus);
  return r;
}

// One after the other, and closed together at the end: this client shares one connection among its producers and consumers,
// and a consumer that starts while another registers loses its subscription for good when the broker does not know the
// other's group yet.
const open = [];
const scenarios = {
  async 'produce-consume'() {
    const topic = 'node_plain_' + run, ledger = new Ledger();
    const p = await producer('node_plain_p');
    for (let i = 0; i < 60; i++) await send(p, ledger.plan(topic, 'Tag' + i % 3, 'k' + i, `node body ${i} of ${run}`));
    const c = await consume('node_plain_c', topic, '*', async m => ledger.see(m));
    await ledger.settle(90);
    open.push(c, p);
  },
  async tags() {
    const topic = 'node_tags_' + run, ledger = new Ledger(), other = new Ledger();
    const p = await producer('node_tags_p');
    for (let i = 0; i < 30; i++) await send(p, (i % 3 === 1 ? ledger : other).plan(topic, 'Tag' + i % 3, 'k' + i, `tagged ${i} of ${run}`));
    const c = await consume('node_tags_c', topic, 'Tag1', async m => ledger.see(m));
    await ledger.settle(90);
    open.push(c, p);
  },
  async retry() {
    const topic = 'node_retry_' + run, ledger = new Ledger();
    const p = await producer('node_retry_p');
    for (let i = 0; i < 6; i++) await send(p, ledger.plan(topic, 'T', 'k' + i, `again ${i} of ${run}`));
    let failures = 0;
    const c = await consume('node_retry_c', topic, '*', async m => {
      if (m.body.toString().startsWith('again 2 ') && m.reconsumeTimes === 0) { failures++; throw new Error('the first try fails on purpose'); }
      ledger.see(m);
    });
    await ledger.settle(150);
    if (failures !== 1) throw new Error(`${failures} first tries of one message`);
    open.push(c, p);
  },
};

process.on('unhandledRejection', e => { console.log('FAIL unhandled:', e && e.message); process.exit(1); });
(async () => {
  let failed = 0;
  for (const [ name, scenario ] of Object.entries(scenarios)) {
    const begin = Date.now();
    try {
      await scenario();
      console.log(`PASS ${name} (${(Date.now() - begin) / 1000} s)`);
    } catch (e) {
      failed = 1;
      console.log(`FAIL ${name} (${(Date.now() - begin) / 1000} s): ${e.message}`);
    }
  }
  for (const each of open.reverse()) await each.close();
  process.exit(failed);
})();
