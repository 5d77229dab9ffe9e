import { type PaymentGateway } from '../../application/payment-gateway.js';
import { type PaymentServiceConfig } from '../../config.js';
import { ManualGateway } from './manual-gateway.js';
import { SimulatedGateway } from './simulated-gateway.js';

/** To add a provider, write its gateway class and add it here. The type requires an entry for every gateway name. */
const GATEWAYS: Readonly<
  Record<PaymentServiceConfig['PAYMENT_GATEWAY'], (config: PaymentServiceConfig) => PaymentGateway>
> = {
  manual: () => new ManualGateway(),
  simulated: ({ SIMULATED_DELAY, SIMULATED_FAILURE_RATE, SIMULATED_SEED }) =>
    new SimulatedGateway({ delayMs: SIMULATED_DELAY, failureRate: SIMULATED_FAILURE_RATE, seed: SIMULATED_SEED }),
};

export function gatewayOf(config: PaymentServiceConfig): PaymentGateway {
  return GATEWAYS[config.PAYMENT_GATEWAY](config);
}
