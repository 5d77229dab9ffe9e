import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { root } from './checkout.js';
import { SERVICE_HEAP, STEP_HEAP } from './memory.js';

interface Container {
  readonly image: string;
  readonly mem_limit?: string;
  readonly restart?: string;
  readonly environment?: Readonly<Record<string, string | number>>;
}

async function containers(): Promise<[string, Container][]> {
  const text = await readFile(join(root, 'docker-compose.yml'), 'utf8');
  const { services } = parse(text, { merge: true }) as { readonly services: Readonly<Record<string, Container>> };
  return Object.entries(services);
}

const megabytes = (limit = '') => Number.parseInt(limit, 10) * (limit.endsWith('g') ? 1024 : 1);

it('every container has a memory limit', async () => {
  const limits = (await containers()).map(([name, { mem_limit: limit }]) => [name, limit]);

  expect(limits).toEqual(limits.map(([name]) => [name, expect.stringMatching(/^\d+[mg]$/)]));
});

it('every Node process in a container has a heap limit of at most half the memory of its container', async () => {
  const ours = (await containers()).filter(([, { image }]) => image === 'twinbox');

  expect(ours.length).toBeGreaterThan(0);
  for (const [name, { environment, mem_limit: limit, restart }] of ours) {
    // The console keeps sessions only.
    const heap = restart === 'no' || name === 'console' ? STEP_HEAP : SERVICE_HEAP;
    expect([name, environment?.['NODE_OPTIONS']]).toEqual([name, heap]);
    expect(megabytes(limit)).toBeGreaterThanOrEqual(2 * Number(heap.split('=')[1]));
  }
});

it('the heap of Kafka is at most half the memory of its container', async () => {
  const [, kafka] = (await containers()).find(([name]) => name === 'kafka') ?? [];
  const heap = /-Xmx(\d+m)/.exec(String(kafka?.environment?.['KAFKA_HEAP_OPTS']))?.[1];

  expect(megabytes(kafka?.mem_limit)).toBeGreaterThanOrEqual(2 * megabytes(heap));
});

it('every npm script that runs a service, a relay or a one-shot command limits its heap', async () => {
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    readonly scripts: Readonly<Record<string, string>>;
  };

  const ours = Object.values(scripts).filter((script) =>
    /migrations\/dist\/|tools\/dist\/(currencies|relay|service|provisioning\/topics)\.js/.test(script),
  );

  expect(ours).toEqual(ours.map(() => expect.stringMatching(/ --max-old-space-size=\d+ /)));
  expect(ours.length).toBeGreaterThan(6);
});

it('the image limits the heap through NODE_OPTIONS, which a flag of the command can override', async () => {
  const image = await readFile(join(root, 'Dockerfile'), 'utf8');

  expect(image).toContain(`\nENV NODE_OPTIONS=${SERVICE_HEAP}\n`);
});

it('the container of a service has room for a body of the maximum size on every connection', async () => {
  const services = (await containers()).filter(([, { environment }]) => environment?.['NODE_OPTIONS'] === SERVICE_HEAP);

  expect(services.length).toBeGreaterThan(0);
  for (const [, { environment, mem_limit: limit }] of services) {
    const bodies = Number(environment?.['MAX_CONNECTIONS']) * 0.1;
    // What Node itself uses outside the heap.
    const rest = 128;
    expect(bodies + rest + Number(SERVICE_HEAP.split('=')[1])).toBeLessThanOrEqual(megabytes(limit));
  }
});
