// One service as a process of its own, be it a second replica: node tools/dist/service.js order-service
import { runOne } from './run-one.js';

await runOne('service', 'dist/main.js');
