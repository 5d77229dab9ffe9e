import { orderItemSchema, orderSchema } from './order-schema.js';
import { productSchema } from './product-schema.js';

/** Every table that the service maps. */
export const entities = [orderSchema, orderItemSchema, productSchema];
