// Not part of the index, because fast-check takes a second to list all characters, in each test file that imports this.
import { until } from '@twinbox/messaging/testing';
import fc from 'fast-check';
import { ApiProbe, type ProbeOptions } from './api-probe.js';
import { cutOff } from './in-process.js';
import { requestsOf } from './openapi-requests.js';

/** The seed is fixed, so that a failure is caused by the change under test. */
const GENERATED = { numRuns: 1000, seed: 20_261_129 };

export interface DescribedSetting extends ProbeOptions {
  /** The service's database schema. */
  readonly schema: string;
  /** Provokes the answers that no general request gets, keyed by name, such as `POST /orders price-changed`. */
  readonly specialCases: Readonly<Record<string, () => Promise<unknown>>>;
  /** Answers that occur, but cannot be provoked here. */
  readonly notReproducible: RegExp;
}

/** The number of connections that the service has. */
const CONCURRENCY = 8;

/** Tests that a service behaves as its OpenAPI document describes, both the one that it serves and the committed one. */
export function describeOpenApi(start: () => Promise<DescribedSetting>): void {
  let setting: DescribedSetting;
  let probe: ApiProbe;
  beforeAll(async () => {
    setting = await start();
    probe = new ApiProbe(setting);
  });
  afterAll(() => setting.service.stop());

  it('rejects exactly the requests that its document excludes, among 1,000 generated ones', async () => {
    const requests = fc.sample(requestsOf(probe.api, setting.known), GENERATED);

    const differences: string[] = [];
    while (requests.length > 0) {
      const some = await Promise.all(requests.splice(0, CONCURRENCY).map((request) => probe.differenceOf(request)));
      differences.push(...some.filter((difference) => difference !== undefined));
    }

    expect(differences).toEqual([]);
  });

  it('gives every success and every problem that its document names', async () => {
    await probe.sendGeneralRequests();
    for (const provoke of Object.values(setting.specialCases)) await provoke();
    const { schema, service } = setting;
    await service.database.sql(`alter schema ${schema} rename to elsewhere`);
    await probe.sendValidRequests();
    await service.database.sql(`alter schema elsewhere rename to ${schema}`);
    const restore = await cutOff(service.database);
    // Health checks share a ping of the database for a second.
    await until('health notices it', async () => (await service.caller({}).get('/health/ready')).status === 503);
    await probe.sendValidRequests();
    await restore();

    expect(probe.unseen().filter((name) => !setting.notReproducible.test(name))).toEqual([]);
    expect(service.undocumented()).toEqual([]);
  });
}
