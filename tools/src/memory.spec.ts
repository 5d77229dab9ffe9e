import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { root } from './checkout.js';
import { SERVICE_HEAP, STEP_HEAP } from './memory.js';

interface Container {
  readonly image: string;
  readonly mem_limit?: string;
  readonly restart?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

async function containers(): Promise<[string, Container][]> {
  const text = await readFile(join(root, 'docker-compose.yml'), 'utf8');
  const { services } = parse(text, { merge: true }) as { readonly services: Readonly<Record<string, Container>> };
  return Object.entries(services);
}

const megabytes = (limit = '') => Number.parseInt(limit, 10) * (limit.endsWith('g') ? 1024 : 1);

it('bounds the memory of every container', async () => {
  const limits = (await containers()).map(([name, { mem_limit: limit }]) => [name, limit]);

  expect(limits).toEqual(limits.map(([name]) => [name, expect.stringMatching(/^\d+[mg]$/)]));
});

it('bounds the heap of every Node process in a container, with as much again beside it', async () => {
  const ours = (await containers()).filter(([, { image }]) => image === 'twinbox');

  expect(ours.length).toBeGreaterThan(0);
  for (const [name, { environment, mem_limit: limit, restart }] of ours) {
    const heap = restart === 'no' ? STEP_HEAP : SERVICE_HEAP;
    expect([name, environment?.['NODE_OPTIONS']]).toEqual([name, heap]);
    expect(megabytes(limit)).toBeGreaterThanOrEqual(2 * Number(heap.split('=')[1]));
  }
});

it('leaves Kafka as much memory beside its heap as in it', async () => {
  const [, kafka] = (await containers()).find(([name]) => name === 'kafka') ?? [];
  const heap = /-Xmx(\d+m)/.exec(kafka?.environment?.['KAFKA_HEAP_OPTS'] ?? '')?.[1];

  expect(megabytes(kafka?.mem_limit)).toBeGreaterThanOrEqual(2 * megabytes(heap));
});

it('bounds the heap of every script that is a service or a relay itself', async () => {
  const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    readonly scripts: Readonly<Record<string, string>>;
  };

  const ours = Object.values(scripts).filter((script) => /tools\/dist\/(relay|service)\.js/.test(script));

  expect(ours).toEqual(ours.map(() => expect.stringMatching(/ --max-old-space-size=\d+ /)));
  expect(ours.length).toBeGreaterThan(0);
});
