import pg from 'pg';
import { required, run } from './command.js';

/** A small shop. Prices in cents. */
const PRODUCTS: readonly (readonly [id: string, name: string, price: number])[] = [
  ['tea-earl-grey', 'Earl Grey, 100 g', 890],
  ['tea-sencha', 'Sencha, 100 g', 1250],
  ['tea-assam', 'Assam, 100 g', 790],
  ['coffee-espresso', 'Espresso beans, 250 g', 1190],
  ['coffee-filter', 'Filter roast, 250 g', 1090],
  ['mug-stoneware', 'Stoneware mug', 1800],
  ['pot-cast-iron', 'Cast iron teapot', 6400],
  ['kettle-gooseneck', 'Gooseneck kettle', 8900],
];

run('demo-products', async () => {
  const client = new pg.Client({
    connectionString: required('DATABASE_URL', 'postgres://user:password@host:port/database'),
    connectionTimeoutMillis: 5000,
  });
  await client.connect();
  try {
    const { rowCount } = await client.query(
      `insert into orders.products (id, name, price, currency)
       select id, name, price, 'EUR' from unnest($1::text[], $2::text[], $3::bigint[]) as p (id, name, price)
       on conflict do nothing`,
      [PRODUCTS.map(([id]) => id), PRODUCTS.map(([, name]) => name), PRODUCTS.map(([, , price]) => price)],
    );
    console.log(`${rowCount ?? 0} demo products added`);
  } finally {
    await client.end();
  }
});
