import 'reflect-metadata';
import { runService } from '@twinbox/api-kit';
import { paymentService } from './service.js';

await runService(paymentService);
