import { orderItemSchema, orderSchema } from './order-table.js';
import { productSchema } from './product-table.js';

export const entities = [orderSchema, orderItemSchema, productSchema];
