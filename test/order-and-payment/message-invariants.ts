import { type Change, type Sight } from './change.js';
import { type Message } from './memory.js';
import { must } from './must.js';

/** Each service says a thing once, in order, and of one payment an order. */
function servicesDoNotRepeatThemselves({ before, now }: Change): void {
  for (const [messages, known] of [
    [now.orderMessages, before.orderMessages.length],
    [now.paymentMessages, before.paymentMessages.length],
  ] as const)
    for (const message of messages.slice(known).filter(isOwn)) {
      const earlier = messages
        .slice(0, messages.indexOf(message))
        .filter((other) => other.orderId === message.orderId && isOwn(other));
      must(!earlier.some(({ type }) => type === message.type), `nothing is said twice; ${message.type} was`);
      must(
        earlier.every(({ sequence }) => sequence < message.sequence),
        `the messages of an order have growing sequences; that of ${message.type} did not`,
      );
    }
}

/** Whatever is heard leaves one line: of the step it led to, or that it was passed over. */
function orderServiceKeepsLines({ before, now, newOrderLines, tally }: Change): void {
  for (const id of now.heardOfPayments.slice(before.heardOfPayments.length)) {
    const message = messageOf(now.paymentMessages, id);
    const told = newOrderLines.filter(({ messageId }) => messageId === id);
    must(told.length === 1, `a message leaves one line in the timeline; ${message.type} left ${told.length}`);

    const was = before.orders.get(message.orderId);
    const order = now.orders.get(message.orderId);
    const isStep =
      was?.status !== order?.status ||
      // They are what an order that is CANCELLED waits for, and they only change what it knows of its payment.
      ((message.type === 'PaymentCancelled' || message.type === 'PaymentRefunded') &&
        order?.status === 'CANCELLED' &&
        was?.payment?.status !== order.payment?.status);
    const again = isHeardAgain(now.paymentMessages, now.heardOfPayments, message);
    holdLine({ message, isStep, isPassedOver: told[0]!.type === 'MessagePassedOver', again }, tally);
  }
}

function paymentServiceKeepsLines({ before, now, newPaymentLines, tally }: Change): void {
  for (const id of now.heardOfOrders.slice(before.heardOfOrders.length)) {
    const told = newPaymentLines.filter(({ messageId }) => messageId === id);
    if (id.startsWith('webhook')) {
      must(told.length === 1, `a webhook leaves one line in the timeline, not ${told.length}`);
      const { orderId, type } = told[0]!;
      const isStep = requestOf(before, orderId)?.status !== requestOf(now, orderId)?.status;
      must(isStep === (type !== 'MessagePassedOver'), `a webhook that changes nothing is passed over; not so ${type}`);
      continue;
    }
    const message = messageOf(now.orderMessages, id);
    const { type, orderId } = message;
    if (type !== 'OrderPlaced' && type !== 'OrderCancelled') {
      must(told.length === 0, `${type} is nothing to payment-service`);
      continue;
    }
    const isBelated = told.map((line) => line.type).join() === 'PaymentRequested,PaymentCancelled';
    must(told.length === 1 || isBelated, `a message leaves one line in the timeline; ${type} left ${told.length}`);

    const request = requestOf(now, orderId);
    const again = isHeardAgain(now.orderMessages, now.heardOfOrders, message);
    // An order whose payment has failed is cancelled for it: that is no news, but it was to come.
    const isEcho = type === 'OrderCancelled' && request !== undefined && !again;
    const isStep = requestOf(before, orderId)?.status !== request?.status || isEcho;
    holdLine({ message, isStep, isPassedOver: told[0]!.type === 'MessagePassedOver', again }, tally);
  }
}

export const messageLaws = [servicesDoNotRepeatThemselves, orderServiceKeepsLines, paymentServiceKeepsLines];

interface Hearing {
  readonly message: Message;
  /** It changed something, or was expected although it did not. */
  readonly isStep: boolean;
  readonly isPassedOver: boolean;
  /** Another message that said the same had been heard. */
  readonly again: boolean;
}

function holdLine(
  { message: { type, isUntrue = false }, isStep, isPassedOver, again }: Hearing,
  tally: Change['tally'],
): void {
  must(isPassedOver === !isStep, `what changes nothing, and only that, is said to be passed over; not so ${type}`);
  must(isPassedOver || !again, `what was heard before is passed over; not so ${type}`);
  must(isPassedOver || !isUntrue, `what contradicts what was heard before is passed over; not so ${type}`);
  if (again) tally.add(`message: a second ${type}`);
  if (isUntrue) tally.add(`message: an untrue ${type}`);
}

/** Neither said in place of another, nor untrue. */
function isOwn({ repeats, isUntrue }: Message): boolean {
  return repeats === undefined && !isUntrue;
}

function isHeardAgain(messages: readonly Message[], heard: readonly string[], { id, repeats = id }: Message): boolean {
  return messages.some(
    (other) => other.id !== id && (other.id === repeats || other.repeats === repeats) && heard.includes(other.id),
  );
}

function messageOf(messages: readonly Message[], id: string): Message {
  const message = messages.find((message) => message.id === id);
  must(message !== undefined, `what is heard has been said; nobody said ${id}`);
  return message;
}

function requestOf({ requests }: Sight, orderId: string) {
  return [...requests.values()].find((request) => request.orderId === orderId);
}
