import { SessionClient, withoutRefusal } from '@twinbox/messaging/session-client';
import { databaseUrl, run } from '@twinbox/migrations/command';

/** The products of a small shop, with prices in cents. Most are well stocked, a few are scarce and one is sold out. */
const PRODUCTS: readonly (readonly [id: string, name: string, price: number, currency: string, stock: number])[] = [
  ['tea-earl-grey', 'Earl Grey, 100 g', 890, 'EUR', 5000],
  ['tea-sencha', 'Sencha, 100 g', 1250, 'EUR', 400],
  ['tea-assam', 'Assam, 100 g', 790, 'EUR', 800],
  ['tea-darjeeling', 'Darjeeling first flush, 100 g', 1490, 'EUR', 60],
  ['tea-oolong', 'Oolong, 100 g', 2190, 'EUR', 12],
  ['tea-matcha', 'Matcha, 40 g', 2890, 'EUR', 4],
  ['tea-lapsang', 'Lapsang souchong, 100 g', 1190, 'EUR', 0],
  ['tea-rooibos', 'Rooibos, 200 g', 690, 'EUR', 180],
  ['tea-peppermint', 'Peppermint, 100 g', 590, 'EUR', 250],
  ['coffee-espresso', 'Espresso beans, 250 g', 1190, 'EUR', 500],
  ['coffee-filter', 'Filter roast, 250 g', 1090, 'EUR', 500],
  ['coffee-decaf', 'Decaf, 250 g', 1290, 'EUR', 90],
  ['coffee-geisha', 'Panama Geisha, 100 g', 4900, 'EUR', 2],
  ['mug-stoneware', 'Stoneware mug', 1800, 'EUR', 400],
  ['mug-travel', 'Travel mug', 2400, 'EUR', 75],
  ['pot-glass', 'Glass teapot', 3900, 'EUR', 9],
  ['pot-cast-iron', 'Cast iron teapot', 6400, 'EUR', 25],
  ['kettle-gooseneck', 'Gooseneck kettle', 8900, 'EUR', 3],
  ['grinder-hand', 'Hand grinder', 7900, 'EUR', 1],
  ['scale-brewing', 'Brewing scale', 3400, 'EUR', 30],
  ['filter-papers', 'Filter papers, 100 pieces', 450, 'EUR', 1000],
  ['whisk-bamboo', 'Bamboo whisk', 1400, 'EUR', 15],
  ['book-tea-ways', 'The Ways of Tea (book, imported)', 1899, 'USD', 40],
  ['book-coffee-atlas', 'Atlas of Coffee (book, imported)', 3499, 'USD', 15],
  ['tin-vintage', 'Vintage tea tin (imported)', 2799, 'USD', 5],
  ['gift-card-25', 'Gift card, 25 $', 2500, 'USD', 10_000],
  ['gift-card-100', 'Gift card, 100 $', 10_000, 'USD', 10_000],
];

run('demo-products', async () => {
  const connectionString = databaseUrl('postgres://user:password@host:port/database');
  const client = await withoutRefusal(async () => {
    const connecting = new SessionClient({ connectionString, connectionTimeoutMillis: 5000 });
    await connecting.connect();
    return connecting;
  });
  try {
    const { rowCount } = await client.query(
      `insert into orders.products (id, name, price, currency, available, version, updated_at)
       select id, name, price, currency, stock, 1, now()
         from unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::int[]) as p (id, name, price, currency, stock)
       on conflict do nothing`,
      [
        PRODUCTS.map(([id]) => id),
        PRODUCTS.map(([, name]) => name),
        PRODUCTS.map(([, , price]) => price),
        PRODUCTS.map(([, , , currency]) => currency),
        PRODUCTS.map(([, , , , stock]) => stock),
      ],
    );
    console.log(`Added ${rowCount ?? 0} demo products`);
  } finally {
    await client.end();
  }
});
