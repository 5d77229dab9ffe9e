// Runs the relay of a service as a separate process: node tools/dist/relay.js order-service
import { runOne } from './run-one.js';

await runOne('relay', 'dist/relay.js');
