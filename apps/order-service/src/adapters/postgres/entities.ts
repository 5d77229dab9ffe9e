import { orderItemSchema, orderSchema } from './order-schema.js';
import { productSchema } from './product-schema.js';

export const entities = [orderSchema, orderItemSchema, productSchema];
