import 'reflect-metadata';
import { runService } from '@twinbox/api-kit';
import { orderService } from './service.js';

await runService(orderService);
