import { type PaymentRequest } from '@twinbox/client/payments';

/** The versions that this person has made, so that the page does not report them as those of a colleague. */
const own = new Set<string>();

export function useOwnDecisions() {
  return {
    remember: ({ id, version }: PaymentRequest) => void own.add(`${id} ${version}`),
    isOwn: ({ id, version }: PaymentRequest) => own.has(`${id} ${version}`),
  };
}
