/** The secret of webhooks in the demo. Everyone knows it, so that they can be tried on a development machine; production refuses it. */
export const DEMO_WEBHOOK_SECRET = 'whsec_dHdpbmJveDogYSBzZWNyZXQgZm9yIHRoaXMgbWFjaGluZQ==';
