import { randomUUID } from 'node:crypto';
import { until } from '@twinbox/messaging/testing';
import { createServiceDatabaseIn } from '@twinbox/test-support';
import pg from 'pg';
import { type OrderServiceHarness, startOrderService } from './order-service.harness.js';

/** Names that PostgreSQL's parser splits depending on the locale or unlike JavaScript, with words that find them. */
const NAMES: readonly (readonly [name: string, ...words: string[]])[] = [
  ['Earl’s Choice', 'Earl’s', "Earl's", 'earls', 'EARL', 'choice'],
  ["Lady's Choice", "Lady's", 'Lady’s', 'ladys'],
  ['“Gold” Edition', '“Gold”', 'gold', '"Gold"'],
  ['🍵Tea', '🍵Tea', 'tea', '🍵tea'],
  ['Green\u00a0Leaf', 'Green\u00a0Leaf', 'leaf', 'green'],
  ['Cafe\u0301 noir', 'Caf\u00e9', 'Cafe\u0301', 'CAFÉ'],
  ['Cr\u00e8me br\u00fbl\u00e9e', 'Cre\u0300me', 'Br\u00fbl\u00e9e', 'bru\u0302le\u0301e'],
  ['Weiße Straße', 'Weiße', 'STRASSE', 'strasse', 'STRAẞE'],
  ['Чай Иван', 'чай', 'ИВАН'],
  ['抹茶ラテ', '抹茶', '抹茶ラテ'],
  ['ὈΔΟΣ', 'ὀδος', 'ὀδοσ'],
  ['Zimt\u00adstern', 'Zimt\u00adstern', 'zimtstern'],
  ['soft\u200bware', 'software', 'soft\u200bware'],
  ['Ｆｕｌｌ width №5', 'full', 'Ｆｕｌｌ', '№5', 'no5'],
  ['e-mail@home_2.0+x/y:z', 'mail', 'home', '2.0', 'y:z', 'e-mail@home_2.0+x/y:z'],
  [`${'x'.repeat(199)}y`, 'x'.repeat(90)],
];

describe.each([
  ['C', `locale_provider libc locale 'C'`],
  ['C.UTF-8', `locale_provider builtin builtin_locale 'C.UTF-8' lc_collate 'C' lc_ctype 'C'`],
])('in a database whose locale is %s', (_, locale) => {
  let service: OrderServiceHarness;
  beforeAll(async () => {
    service = await startOrderService({}, createServiceDatabaseIn(locale));
  });
  afterAll(() => service.stop());

  /** Reads all pages of a search and returns the ids. */
  async function found(search: string, limit = 100): Promise<string[]> {
    const { get } = service.aCustomer();
    const ids: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const path = `/products?limit=${limit}&q=${encodeURIComponent(search)}`;
      const { status, body } = await get(path + (cursor && `&cursor=${cursor}`));
      expect(status).toBe(200);
      ids.push(...body.items.map(({ id }: { id: string }) => id));
      cursor = body.nextCursor;
    }
    return ids;
  }

  async function put(name: string): Promise<string> {
    const id = `p-${randomUUID()}`;
    const operator = service.aCustomer('olga', { 'x-roles': 'operator' });
    const facts = { name, price: 950, currency: 'EUR', stock: 20 };
    expect(await operator.send('PUT', `/products/${id}`, facts)).toMatchObject({ status: 201 });
    return id;
  }

  /** Changes a name as the previous version does, which knows no words. */
  const rename = (id: string, name: string) =>
    service.database.sql('update orders.products set name = $2, version = version + 1 where id = $1', [id, name]);

  const untilIndexed = (id: string) =>
    until('the product has its words', async () => {
      const [row] = await service.database.sql('select from orders.products where id = $1 and words_of = name', [id]);
      return row;
    });

  it.each(NAMES)('%j is found by each of its words, whichever version wrote it', async (name, ...words) => {
    const written = await put(name);
    const before = await service.aProduct({ name });

    for (const word of words) expect(await found(word)).toEqual(expect.arrayContaining([written, before]));
    await untilIndexed(before);
    for (const word of words) expect(await found(word)).toEqual(expect.arrayContaining([written, before]));
  });

  it('a product is found by its new name and no longer by the old one, even if the previous version renamed it', async () => {
    const [first, second] = [randomUUID(), randomUUID()];
    const id = await put(first);

    await rename(id, second);

    expect([await found(first), await found(second)]).toEqual([[], [id]]);
    await untilIndexed(id);
    expect([await found(first), await found(second)]).toEqual([[], [id]]);
  });

  it('the previous version finds what this one writes', async () => {
    const [word, id] = ['Orangenblüten', await put('Orangenblüten')];

    const rows = await service.database.sql(
      `select id from orders.products p
        where to_tsvector('simple', translate(p.id || ' ' || p.name, '-./:@_+', '       ')) @@ to_tsquery('simple', $1)`,
      [`'${word}':*`],
    );

    expect(rows).toEqual([{ id }]);
  });

  it('products without words are on the same pages as the others, each once', async () => {
    const word = `w${randomUUID().slice(0, 8)}`;
    const ids: string[] = [];
    for (let n = 0; n < 6; n++) {
      const id = await put(`${word} ${n}`);
      ids.push(id, await service.aProduct({ name: `${word} ${n}` }));
    }
    // The lock keeps their words from being computed.
    const release = await lockAll(ids);

    const pages = await Promise.all([1, 2, 3, 100].map((limit) => found(word, limit)));
    await release();

    for (const page of pages) expect(page).toEqual(ids.toSorted());
  });

  it('while too many products have no words, they are found with the index of the previous version', async () => {
    const word = `w${randomUUID().slice(0, 8)}`;
    await service.database.sql(
      `insert into orders.products (id, name, price, currency, available, version, updated_at)
       select 'bulk-' || n, case when n % 500 = 0 then $1 else 'Thing' end || ' ' || n, 100, 'EUR', 1, 1, now()
         from generate_series(10001, 12000) as n`,
      [word],
    );
    const release = await lockAll(Array.from({ length: 2000 }, (_, n) => `bulk-${n + 10_001}`));

    const pages = await Promise.all([1, 3, 100].map((limit) => found(word, limit)));
    await release();

    for (const page of pages) expect(page).toEqual(['bulk-10500', 'bulk-11000', 'bulk-11500', 'bulk-12000']);
  });

  /** Locks the products as a sale does, until the returned function is called. */
  async function lockAll(ids: readonly string[]): Promise<() => Promise<void>> {
    const client = new pg.Client({ connectionString: service.database.directUrl });
    await client.connect();
    await client.query('begin');
    await client.query('select from orders.products where id = any($1) for no key update', [ids]);
    return () => client.end();
  }
});
