import { EntitySchema } from 'typeorm';
import { type Product } from '../../domain/product.js';
import { minorUnits } from './order-schema.js';

export const productSchema = new EntitySchema<Product>({
  name: 'Product',
  tableName: 'products',
  columns: {
    id: { type: 'varchar', length: 64, primary: true, primaryKeyConstraintName: 'products_pkey' },
    name: { type: 'varchar', length: 200 },
    price: { type: 'bigint', transformer: minorUnits },
    currency: { type: 'char', length: 3 },
    available: { type: 'integer' },
    version: { type: 'integer' },
    updatedAt: { name: 'updated_at', type: 'timestamptz', precision: 3 },
  },
  checks: [
    { name: 'products_price_positive', expression: 'price > 0' },
    { name: 'products_available_not_negative', expression: 'available >= 0' },
  ],
  // An expression, which a schema cannot say.
  indices: [{ name: 'products_search', synchronize: false }],
});
