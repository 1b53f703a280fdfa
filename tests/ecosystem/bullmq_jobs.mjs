// Jobs of every kind that BullMQ has, through a real worker. Prints one line of JSON: what became of
// them. Usage: node bullmq_jobs.mjs PORT FOLDER, where FOLDER is node_modules.

import { createRequire } from 'node:module';

const [port, folder] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { FlowProducer, Queue, QueueEvents, Worker } = require('bullmq');
const connection = { host: '127.0.0.1', port: Number(port), maxRetriesPerRequest: null };

const order = [];
const worker = new Worker(
  'jobs',
  async (job) => {
    order.push(job.name);
    if (job.name === 'fails' && job.attemptsMade < 2) throw new Error(`attempt ${job.attemptsMade}`);
    if (job.name === 'always fails') throw new Error('never');
    await job.updateProgress(50);
    await job.log('half-way');
    if (job.name === 'parent') return Object.values(await job.getChildrenValues()).sort();
    return job.data.n * 2;
  },
  { connection, concurrency: 1, autorun: false, limiter: { max: 1000, duration: 1000 } },
);
const queue = new Queue('jobs', { connection });
const events = new QueueEvents('jobs', { connection });
await events.waitUntilReady();
const flow = new FlowProducer({ connection });

const plain = await queue.addBulk([1, 2, 3].map((n) => ({ name: `plain ${n}`, data: { n } })));
const urgent = await queue.add('urgent', { n: 4 }, { priority: 1 });
const later = await queue.add('later', { n: 5 }, { delay: 300 });
const fails = await queue.add('fails', { n: 6 }, { attempts: 3, backoff: { type: 'fixed', delay: 50 } });
const dead = await queue.add('always fails', { n: 7 });
const twice = await queue.add('same id', { n: 8 }, { jobId: 'only-once' });
await queue.add('same id', { n: 9 }, { jobId: 'only-once' });
const tree = await flow.add({
  name: 'parent', queueName: 'jobs', data: {},
  children: [
    { name: 'child', queueName: 'jobs', data: { n: 10 } },
    { name: 'child', queueName: 'jobs', data: { n: 11 } },
  ],
});
worker.run();

const jobs = { plain1: plain[0], plain2: plain[1], plain3: plain[2], urgent, later, fails, twice, parent: tree.job };
const results = {};
for (const [name, job] of Object.entries(jobs)) {
  results[name] = await job.waitUntilFinished(events, 30_000);
}
results.dead = await dead.waitUntilFinished(events, 30_000).catch((error) => error.message);
results.attempts = (await queue.getJob(fails.id)).attemptsMade;
results.progress = (await queue.getJob(urgent.id)).progress;
results.logs = (await queue.getJobLogs(urgent.id)).logs;
results.counts = await queue.getJobCounts('completed', 'failed', 'waiting', 'active', 'delayed');
results.later = [results.later, order.indexOf('later') > order.indexOf('plain 3')];

await queue.upsertJobScheduler('every', { every: 100, limit: 3 }, { name: 'tick', data: { n: 12 } });
while (order.filter((name) => name === 'tick').length < 3) {
  await new Promise((resolve) => setTimeout(resolve, 20));
}
await queue.pause();
await queue.add('paused', { n: 13 });
results.paused = await queue.getJobCounts('paused');
await queue.drain();
await queue.clean(0, 100, 'completed');
await queue.obliterate({ force: true });
results.left = await queue.getJobCounts();

await Promise.all([worker.close(), flow.close(), events.close()]);
await queue.close();
console.log(JSON.stringify(results));
