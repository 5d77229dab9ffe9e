/** Asks for the reason of a change. The services accept no longer one. */
export const REASON = { label: 'Reason', description: 'It is kept in the audit.', maxLength: 500 };
