// Runs one service, for example a second replica: node tools/dist/service.js order-service
import { runOne } from './run-one.js';

await runOne('service', 'dist/main.js');
