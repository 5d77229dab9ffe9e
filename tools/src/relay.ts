// A relay as a process of its own: node tools/dist/relay.js order-service
import { runOne } from './run-one.js';

await runOne('relay', 'dist/relay.js');
