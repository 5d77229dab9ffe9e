export { ORDER_EVENTS, OrderCancelled, OrderCompleted, type OrderEvent, OrderPlaced } from './order-events.js';
export {
  PAYMENT_EVENTS,
  type PaymentEvent,
  PaymentFailed,
  PaymentRequested,
  PaymentSucceeded,
} from './payment-events.js';
